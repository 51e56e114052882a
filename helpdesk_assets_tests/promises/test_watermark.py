"""Promises 2, 4 and 7: no step back, a watermark of the sync's own, the clock of the helpdesk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import AnotherWriter
from helpdesk_assets.extract.plan import Ask
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, as_versions
from helpdesk_assets_tests.promises.conftest import MakeRig


def test_the_watermark_is_the_helpdesks_clock_when_it_was_first_asked(rig: Rig) -> None:
    rig.desk.freeze(datetime(2031, 5, 1, 12, tzinfo=UTC))
    rig.sync()
    state = rig.state()
    assert state is not None
    assert state.watermark == datetime(2031, 5, 1, 11, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("days", [-30, 30])
def test_a_local_clock_that_is_off_loses_nothing(make_rig: MakeRig, days: int) -> None:
    """Seen from the helpdesk, our clock is off the other way."""
    rig = make_rig(60, start=datetime.now(UTC) + timedelta(days=days))
    rig.sync()
    rig.desk.advance(60)
    rig.desk.change(7, spread_seconds=20)
    rig.desk.advance(10)
    report = rig.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.tickets_synced == 7
    rig.assert_equal()


def test_a_helpdesk_clock_that_ran_ahead_and_is_put_right_loses_nothing(rig: Rig) -> None:
    rig.desk.fault("clock_offset", seconds=86_400)
    rig.sync()
    rig.desk.clear_faults()
    rig.desk.change(5, spread_seconds=10)
    report = rig.sync()
    assert report.manifest.mode is Mode.FULL
    assert "clock" in report.manifest.reason
    rig.assert_equal()


def test_it_never_goes_backwards(rig: Rig) -> None:
    rig.sync()
    before = rig.state()
    rig.desk.set_offset(-86_400)
    rig.sync()
    after = rig.state()
    assert before is not None
    assert after is not None
    assert after.watermark == before.watermark
    assert after.version == before.version + 1


def test_webhooks_do_not_move_it(rig: Rig) -> None:
    """Two changes are lost, then a webhook writes a newer one: MAX(modifiedTime) has run past the
    lost ones, and a sync that started there would never fetch them."""
    rig.sync()
    rig.desk.advance(3600)
    lost = rig.desk.change(2, spread_seconds=2)
    rig.desk.advance(3600)
    rig.deliver(rig.desk.create(3))
    rig.desk.advance(RIPE_SECONDS)
    report = rig.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert rig.missed() == as_versions(lost)
    rig.assert_equal()


def test_a_row_of_2099_does_not_poison_it(rig: Rig) -> None:
    rig.desk.set_offset(73 * 365 * 86_400)
    (odd,) = rig.desk.create(1)
    rig.desk.set_offset(0)
    report = rig.sync()
    assert report.facts.future_times == 1
    state = rig.state()
    assert state is not None
    assert state.watermark is not None
    assert state.watermark.year < 2090
    others = [ticket for ticket in rig.truth() if ticket != odd.ticket_id]
    rig.desk.change(ids=others[:4], spread_seconds=5)
    rig.desk.advance(10)
    rig.sync()
    rig.assert_equal()


def test_a_range_never_moves_it_and_leaves_no_trace_in_the_state(rig: Rig) -> None:
    rig.sync()
    before = rig.state()
    now = rig.desk.clock().now
    rig.desk.change(3, spread_seconds=3)
    rig.desk.advance(60)
    report = rig.sync(since=now, until=now + timedelta(seconds=30))
    assert report.tickets_synced == 3
    assert rig.state() == before
    rig.assert_equal()


def test_a_fallback_does_not_move_it(rig: Rig) -> None:
    rig.sync()
    before = rig.state()
    rig.desk.change(3, spread_seconds=3)
    rig.desk.fault("error_500", on="search")
    report = rig.sync()
    after = rig.state()
    assert report.manifest.fallback
    assert before is not None
    assert after is not None
    assert after.watermark == before.watermark
    assert (after.reason or "").startswith("full: fallback to the listing")
    rig.assert_equal()


def test_of_two_runs_at_once_one_gives_way(rig: Rig) -> None:
    rig.sync()
    rig.desk.change(4, spread_seconds=4)

    def overtake(phase: str) -> None:
        if phase == "merge":
            rig.sync()

    with pytest.raises(AnotherWriter, match="run the sync again"):
        rig.sync(on_phase=overtake)
    rig.assert_equal()
    rig.sync()
    rig.assert_equal()


def test_an_older_version_never_overwrites_a_newer_one(rig: Rig) -> None:
    """A run has fetched a ticket; before it merges, a webhook stores a newer version."""
    rig.sync()
    rig.desk.advance(60)
    ticket = rig.desk.change(1)[0]

    def newer(phase: str) -> None:
        if phase == "missed":
            rig.desk.advance(60)
            rig.deliver(rig.desk.change(ids=[ticket.ticket_id]))

    report = rig.sync(on_phase=newer)
    assert report.facts.rejected == 1
    rig.assert_equal()


def test_a_replay_of_old_webhooks_changes_nothing(rig: Rig) -> None:
    rig.sync()
    rig.desk.advance(60)
    old = rig.desk.change(5, spread_seconds=5)
    rig.desk.change(ids=[change.ticket_id for change in old], spread_seconds=60)
    rig.desk.advance(10)
    rig.sync()
    rig.deliver(old)
    rig.assert_equal()


def test_a_full_run_counts_what_it_did_not_change(rig: Rig) -> None:
    rig.sync()
    report = rig.sync(Ask.FULL)
    facts = report.facts
    assert (facts.inserted, facts.updated, facts.unchanged, facts.rejected) == (0, 0, 60, 0)
