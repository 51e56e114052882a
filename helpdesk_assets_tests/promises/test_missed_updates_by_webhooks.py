"""Promises 4 and 5 with a receiver of ours: what its events prove, told once, and no more."""

from __future__ import annotations

import pytest

from helpdesk_assets.errors import AnotherWriter
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, as_versions
from helpdesk_assets_tests.promises.test_cost import run


@pytest.fixture
def heard(rig: Rig) -> Rig:
    """A helpdesk whose receiver has been at work for a while."""
    rig.sync()
    rig.hear(rig.desk.change(1))
    rig.desk.advance(RIPE_SECONDS)
    rig.sync()
    return rig


def test_exactly_the_lost_ones_are_missed_whatever_came_twice_late_or_out_of_order(
    heard: Rig,
) -> None:
    changed = heard.desk.change(12, spread_seconds=60)
    lost, slow, twice, after = changed[:3], changed[3:5], changed[5:7], changed[7:9]
    heard.hear([*changed[9:], *reversed(twice)])
    heard.hear(twice, delay=40)
    # The newest of all is delivered, and with it MAX(modifiedTime) passes what was lost.
    heard.hear(heard.desk.change(1))
    heard.desk.advance(RIPE_SECONDS)
    heard.hear(slow, delay=500)
    report = heard.sync()
    assert heard.reasons() == {
        **dict.fromkeys(as_versions([*lost, *after]), "missed"),
        **dict.fromkeys(as_versions(slow), "late"),
    }
    assert report.facts.missed_total == 5
    assert report.facts.webhooks is not None
    assert (report.facts.webhooks.judged, report.facts.webhooks.late) == (13, 2)

    # These come after the sync has called them missed, and it has stored their tickets.
    heard.hear(after, delay=900)
    report = heard.sync()
    assert heard.reasons() == {
        **dict.fromkeys(as_versions(lost), "missed"),
        **dict.fromkeys(as_versions([*slow, *after]), "late"),
    }
    assert report.facts.webhooks is not None
    assert (report.facts.missed_total, report.facts.webhooks.late) == (0, 2)
    heard.assert_equal()


def test_what_is_too_young_is_judged_by_the_next_run_although_the_table_has_it_by_then(
    heard: Rig,
) -> None:
    lost = heard.desk.change(2)
    heard.desk.advance(30)
    assert heard.sync().facts.missed_total == 0
    heard.assert_equal()
    heard.desk.advance(RIPE_SECONDS)
    report = heard.sync()
    assert heard.reasons() == dict.fromkeys(as_versions(lost), "missed")
    assert report.facts.missed_total == 2


def test_a_grace_longer_than_the_overlap_loses_nothing_to_judge(heard: Rig) -> None:
    lost = heard.desk.change(2)
    for _ in range(3):
        heard.desk.advance(500)
        heard.sync(webhook_grace_seconds=1200, helpdesk_overlap_seconds=10)
    assert heard.reasons() == dict.fromkeys(as_versions(lost), "missed")


def test_what_only_a_run_has_read_that_was_overtaken_is_judged_by_the_next(heard: Rig) -> None:
    """It stores that version once the other has passed its time, and finds it too young itself.
    (Found by a story of chaos.)"""
    (lost,) = heard.desk.change(1)

    def overtaken(done: str) -> None:
        if done != "fetch":
            return
        heard.desk.advance(RIPE_SECONDS)
        heard.hear(heard.desk.change(ids=[lost.ticket_id]))
        heard.sync()

    with pytest.raises(AnotherWriter):
        heard.sync(on_phase=overtaken)
    heard.desk.advance(RIPE_SECONDS)
    report = heard.sync()
    assert heard.reasons() == dict.fromkeys(as_versions([lost]), "missed")
    assert report.facts.missed_total == 1
    heard.assert_equal()


def test_what_webhooks_brought_and_polling_did_not_is_told(heard: Rig) -> None:
    hidden = heard.desk.change(1)
    heard.hear(hidden)
    heard.desk.advance(RIPE_SECONDS)
    heard.desk.fault("search_lag", seconds=RIPE_SECONDS + 60)
    report = heard.sync()
    assert heard.reasons() == dict.fromkeys(as_versions(hidden), "webhook_only")
    assert report.facts.missed_total == 0
    assert report.facts.webhooks is not None
    assert report.facts.webhooks.webhook_only == 1
    heard.assert_equal()


def test_until_the_first_event_the_table_tells(rig: Rig) -> None:
    rig.sync()
    (lost,) = rig.desk.change(1)
    rig.desk.advance(RIPE_SECONDS)
    assert rig.sync().facts.webhooks is None
    assert rig.reasons() == dict.fromkeys(as_versions([lost]), "stale")


def test_a_run_with_events_costs_no_more(heard: Rig) -> None:
    heard.hear(heard.desk.change(40, spread_seconds=40)[3:])
    heard.desk.advance(RIPE_SECONDS)
    calls, jobs = run(heard)
    assert calls == 1
    assert (jobs["query"] <= 4, jobs["load"]) == (True, 0)
    heard.desk.advance(RIPE_SECONDS)
    calls, jobs = run(heard)
    assert calls == 1
    assert (jobs["query"] <= 2, jobs["load"]) == (True, 0)
