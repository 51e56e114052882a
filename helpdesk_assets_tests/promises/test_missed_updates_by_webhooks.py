"""Promises 4 and 5 with our receiver: its events prove delivery, and misses are recorded once."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.webhooks import JudgedBy
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, as_versions


@pytest.fixture
def harness_with_event(harness: Harness) -> Harness:
    """A helpdesk whose receiver has been working for a while."""
    hear_an_event(harness)
    return harness


def hear_an_event(harness: Harness) -> None:
    harness.sync()
    harness.deliver_to_receiver(harness.simulator.change(1))
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()


def test_only_lost_webhooks_are_missed_despite_duplicates_and_delays(
    harness_with_event: Harness,
) -> None:
    changed = harness_with_event.simulator.change(12, spread_seconds=60)
    lost, slow, twice, after = changed[:3], changed[3:5], changed[5:7], changed[7:9]
    harness_with_event.deliver_to_receiver([*changed[9:], *reversed(twice)])
    harness_with_event.deliver_to_receiver(twice, delay=40)
    # The newest change is delivered, so MAX(modifiedTime) passes the lost ones.
    harness_with_event.deliver_to_receiver(harness_with_event.simulator.change(1))
    harness_with_event.simulator.advance(SECONDS_PAST_GRACE)
    harness_with_event.deliver_to_receiver(slow, delay=500)
    report = harness_with_event.sync()
    assert harness_with_event.reasons() == {
        **dict.fromkeys(as_versions([*lost, *after]), "missed"),
        **dict.fromkeys(as_versions(slow), "late"),
    }
    assert report.facts.missed_total == 5
    assert (report.facts.webhooks.judged, report.facts.webhooks.late) == (13, 2)

    # These arrive after the sync has stored their tickets and recorded them as missed.
    harness_with_event.deliver_to_receiver(after, delay=900)
    report = harness_with_event.sync()
    assert harness_with_event.reasons() == {
        **dict.fromkeys(as_versions(lost), "missed"),
        **dict.fromkeys(as_versions([*slow, *after]), "late"),
    }
    assert (report.facts.missed_total, report.facts.webhooks.late) == (0, 2)
    harness_with_event.assert_equal()


def test_change_within_grace_is_judged_by_the_next_run(
    harness_with_event: Harness,
) -> None:
    lost = harness_with_event.simulator.change(2)
    harness_with_event.simulator.advance(30)
    assert harness_with_event.sync().facts.missed_total == 0
    harness_with_event.assert_equal()
    harness_with_event.simulator.advance(SECONDS_PAST_GRACE)
    report = harness_with_event.sync()
    assert harness_with_event.reasons() == dict.fromkeys(as_versions(lost), "missed")
    assert report.facts.missed_total == 2


def test_grace_longer_than_overlap_skips_nothing(harness_with_event: Harness) -> None:
    lost = harness_with_event.simulator.change(2)
    for _ in range(3):
        harness_with_event.simulator.advance(500)
        harness_with_event.sync(webhook_grace_seconds=1200, helpdesk_overlap_seconds=10)
    assert harness_with_event.reasons() == dict.fromkeys(as_versions(lost), "missed")


def test_changes_read_by_an_overtaken_run_are_judged_next(harness_with_event: Harness) -> None:
    """It stores the version after the other run has passed its time, and finds it too young.

    (Found by a chaos scenario.)
    """
    (lost,) = harness_with_event.simulator.change(1)

    def overtaken(done: str) -> None:
        if done != "fetch":
            return
        harness_with_event.simulator.advance(SECONDS_PAST_GRACE)
        harness_with_event.deliver_to_receiver(
            harness_with_event.simulator.change(ids=[lost.ticket_id])
        )
        harness_with_event.sync()

    with pytest.raises(ConcurrentUpdate):
        harness_with_event.sync(on_phase=overtaken)
    harness_with_event.simulator.advance(SECONDS_PAST_GRACE)
    report = harness_with_event.sync()
    assert harness_with_event.reasons() == dict.fromkeys(as_versions([lost]), "missed")
    assert report.facts.missed_total == 1
    harness_with_event.assert_equal()


def test_webhook_only_changes_are_reported(harness_with_event: Harness) -> None:
    hidden = harness_with_event.simulator.change(1)
    harness_with_event.deliver_to_receiver(hidden)
    harness_with_event.simulator.advance(SECONDS_PAST_GRACE)
    harness_with_event.simulator.fault("search_lag", seconds=SECONDS_PAST_GRACE + 60)
    report = harness_with_event.sync()
    assert harness_with_event.reasons() == dict.fromkeys(as_versions(hidden), "webhook_only")
    assert report.facts.missed_total == 0
    assert report.facts.webhooks.webhook_only == 1
    harness_with_event.assert_equal()


def test_before_the_first_event_the_table_decides(harness: Harness) -> None:
    harness.sync()
    (lost,) = harness.simulator.change(1)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    assert harness.sync().facts.webhooks.judged_by is JudgedBy.TABLE
    assert harness.reasons() == dict.fromkeys(as_versions([lost]), "stale")


def test_without_webhooks_nobody_is_told_of_any_missed(harness: Harness) -> None:
    harness.sync(webhooks_enabled="auto")
    ids = sorted(harness.tickets())
    harness.simulator.change(ids=ids[:3])
    harness.simulator.advance(SECONDS_PAST_GRACE)
    for full in (RequestedMode.AUTO, RequestedMode.FULL):
        report = harness.sync(full, webhooks_enabled="auto")
        assert report.result()["missed_updates_detected"] == 0
        assert report.result()["webhooks"] == "not judged: no webhook has been stored yet"
    harness.delete_rows(ids[3:5])
    harness.reconcile(webhooks_enabled="auto")
    harness.delete_rows(ids[5:7])
    harness.repair(ids[5:7], webhooks_enabled="auto")
    assert harness.missed() == set()
    harness.assert_equal()


def test_rows_put_back_by_events_are_not_missed(
    harness_with_event: Harness,
) -> None:
    ids = sorted(harness_with_event.tickets())
    harness_with_event.delete_rows(ids[:3])
    harness_with_event.reconcile()
    harness_with_event.delete_rows(ids[3:6])
    harness_with_event.repair(ids[3:6])
    harness_with_event.delete_rows(ids[6:9])
    harness_with_event.make_stale(ids[9:12])
    harness_with_event.sync(RequestedMode.FULL)
    assert harness_with_event.missed() == set()
    harness_with_event.assert_equal()
