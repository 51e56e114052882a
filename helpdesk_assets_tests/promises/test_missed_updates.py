"""Promise 5: every missed update is recorded, once, and nothing else is."""

from __future__ import annotations

from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, as_versions


def test_exactly_the_lost_ones_are_recorded(rig: Rig) -> None:
    rig.sync()
    changed = rig.desk.change(40, spread_seconds=80)
    lost = [changed[0], changed[17], changed[39]]
    rig.deliver(change for change in changed if change not in lost)
    rig.desk.advance(RIPE_SECONDS)
    report = rig.sync()
    assert rig.missed() == as_versions(lost)
    assert {missed.ticket_id for missed in report.facts.missed} == {m.ticket_id for m in lost}
    assert report.result() == {
        "status": "ok",
        "tickets_synced": 40,
        "missed_updates_detected": 3,
        "mode": "incremental",
    }
    rig.assert_equal()


def test_a_lost_new_ticket_is_missing_and_a_lost_change_is_stale(rig: Rig) -> None:
    rig.sync()
    (new,) = rig.desk.create(1)
    (changed,) = rig.desk.change(1)
    rig.desk.advance(RIPE_SECONDS)
    report = rig.sync()
    reasons = {missed.ticket_id: missed.reason for missed in report.facts.missed}
    expected = {changed.ticket_id: "stale"} | {new.ticket_id: "missing"}
    assert reasons == expected
    assert all(missed.lag_seconds >= RIPE_SECONDS for missed in report.facts.missed)


def test_a_change_younger_than_the_grace_is_not_missed(rig: Rig) -> None:
    rig.sync()
    rig.desk.change(5)
    rig.desk.advance(60)
    assert rig.sync().facts.missed_total == 0
    assert rig.missed() == set()
    rig.assert_equal()


def test_the_first_load_misses_nothing(rig: Rig) -> None:
    assert rig.sync().facts.missed_total == 0
    assert rig.missed() == set()


def test_a_webhook_before_the_first_load_makes_the_others_no_missed_ones(rig: Rig) -> None:
    (early,) = rig.desk.create(1)
    rig.sync_tables_exist()
    rig.deliver([early])
    rig.sync()
    assert rig.missed() == set()
    rig.assert_equal()


def test_a_missed_update_seen_again_in_the_overlap_is_recorded_once(rig: Rig) -> None:
    rig.sync()
    lost = rig.desk.change(3, spread_seconds=3)
    rig.desk.advance(RIPE_SECONDS)
    rig.sync(webhook_grace_seconds=0)
    rig.sync(helpdesk_overlap_seconds=7200)
    assert rig.missed() == as_versions(lost)


def test_without_webhooks_nobody_misses_them(rig: Rig) -> None:
    rig.sync()
    rig.desk.change(3)
    rig.desk.advance(RIPE_SECONDS)
    assert rig.sync(webhooks_enabled=False).facts.missed_total == 0


def test_what_the_listing_finds_counts_as_well(rig: Rig) -> None:
    rig.sync()
    lost = rig.desk.change(3, spread_seconds=3)
    rig.desk.advance(RIPE_SECONDS)
    rig.desk.fault("error_500", on="search")
    rig.sync()
    assert rig.missed() == as_versions(lost)
