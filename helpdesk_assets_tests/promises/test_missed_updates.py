"""Promise 5: every missed update is recorded exactly once, and nothing else is recorded."""

from __future__ import annotations

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, as_versions


def test_exactly_the_lost_webhooks_are_recorded(harness: Harness) -> None:
    harness.sync()
    changed = harness.simulator.change(40, spread_seconds=80)
    lost = [changed[0], changed[17], changed[39]]
    harness.deliver(change for change in changed if change not in lost)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert harness.missed() == as_versions(lost)
    assert {missed.ticket_id for missed in report.facts.missed} == {m.ticket_id for m in lost}
    assert report.result() == {
        "status": "ok",
        "tickets_synced": 40,
        "missed_updates_detected": 3,
        "mode": "incremental",
    }
    harness.assert_equal()


def test_lost_new_ticket_is_missing_and_lost_change_stale(harness: Harness) -> None:
    harness.sync()
    (new,) = harness.simulator.create(1)
    (changed,) = harness.simulator.change(1)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    reasons = {missed.ticket_id: missed.reason for missed in report.facts.missed}
    expected = {changed.ticket_id: "stale"} | {new.ticket_id: "missing"}
    assert reasons == expected
    assert all(missed.lag_seconds >= SECONDS_PAST_GRACE for missed in report.facts.missed)


def test_change_within_grace_is_not_missed(harness: Harness) -> None:
    harness.sync()
    harness.simulator.change(5)
    harness.simulator.advance(60)
    assert harness.sync().facts.missed_total == 0
    assert harness.missed() == set()
    harness.assert_equal()


def test_first_load_records_no_missed_updates(harness: Harness) -> None:
    assert harness.sync().facts.missed_total == 0
    assert harness.missed() == set()


def test_webhook_before_the_first_load_adds_no_missed_updates(harness: Harness) -> None:
    (early,) = harness.simulator.create(1)
    harness.prepare_tables()
    harness.deliver([early])
    harness.sync()
    assert harness.missed() == set()
    harness.assert_equal()


def test_missed_update_seen_again_in_the_overlap_is_recorded_once(harness: Harness) -> None:
    harness.sync()
    lost = harness.simulator.change(3, spread_seconds=3)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync(webhook_grace_seconds=0)
    harness.sync(helpdesk_overlap_seconds=7200)
    assert harness.missed() == as_versions(lost)


def test_without_webhooks_nothing_is_missed(harness: Harness) -> None:
    harness.sync()
    harness.simulator.change(3)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    assert harness.sync(webhooks_enabled=False).facts.missed_total == 0


def test_listing_fallback_also_records_missed_updates(harness: Harness) -> None:
    harness.sync()
    lost = harness.simulator.change(3, spread_seconds=3)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.simulator.fault("error_500", on="search")
    harness.sync()
    assert harness.missed() == as_versions(lost)


def test_rows_put_back_by_table_are_not_missed(harness: Harness) -> None:
    harness.sync()
    ids = sorted(harness.tickets())
    harness.deliver(harness.simulator.change(ids=ids[:2]))
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    harness.delete_rows(ids[:3])
    harness.reconcile()
    harness.delete_rows(ids[:3])
    harness.repair(ids[:3])
    harness.delete_rows(ids[:3])
    harness.sync(RequestedMode.FULL)
    assert harness.missed() == set()
    harness.assert_equal()
