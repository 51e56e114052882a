"""Promises 2, 4 and 7: no older version wins, and the watermark is by the helpdesk's clock.

The watermark belongs to the sync; webhooks do not move it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, as_versions
from helpdesk_assets_tests.promises.conftest import MakeHarness


def test_watermark_is_the_helpdesk_clock_at_the_first_call(harness: Harness) -> None:
    harness.simulator.freeze(datetime(2031, 5, 1, 12, tzinfo=UTC))
    harness.sync()
    state = harness.state()
    assert state is not None
    assert state.watermark == datetime(2031, 5, 1, 11, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("days", [-30, 30])
def test_wrong_local_clock_loses_nothing(make_harness: MakeHarness, days: int) -> None:
    """Seen from the helpdesk, our clock is off in the other direction."""
    harness = make_harness(60, start=datetime.now(UTC) + timedelta(days=days))
    harness.sync()
    harness.simulator.advance(60)
    harness.simulator.change(7, spread_seconds=20)
    harness.simulator.advance(10)
    report = harness.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert report.tickets_synced == 7
    harness.assert_equal()


def test_corrected_helpdesk_clock_loses_nothing(harness: Harness) -> None:
    harness.simulator.fault("clock_offset", seconds=86_400)
    harness.sync()
    harness.simulator.clear_faults()
    harness.simulator.change(5, spread_seconds=10)
    report = harness.sync()
    assert report.manifest.mode is Mode.FULL
    assert "clock" in report.manifest.reason
    harness.assert_equal()


def test_watermark_never_goes_backwards(harness: Harness) -> None:
    harness.sync()
    before = harness.state()
    harness.simulator.set_offset(-86_400)
    harness.sync()
    after = harness.state()
    assert before is not None
    assert after is not None
    assert after.watermark == before.watermark
    assert after.version == before.version + 1


def test_webhooks_do_not_advance_the_watermark(harness: Harness) -> None:
    """Two changes are lost, then a webhook writes a newer one.

    MAX(modifiedTime) has passed the lost ones, and a sync that started there would never fetch
    them.
    """
    harness.sync()
    harness.simulator.advance(3600)
    lost = harness.simulator.change(2, spread_seconds=2)
    harness.simulator.advance(3600)
    harness.deliver(harness.simulator.create(3))
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    assert harness.missed() == as_versions(lost)
    harness.assert_equal()


def test_row_dated_2099_does_not_advance_the_watermark(harness: Harness) -> None:
    harness.simulator.set_offset(73 * 365 * 86_400)
    (odd,) = harness.simulator.create(1)
    harness.simulator.set_offset(0)
    report = harness.sync()
    assert report.facts.future_times == 1
    state = harness.state()
    assert state is not None
    assert state.watermark is not None
    assert state.watermark.year < 2090
    others = [ticket for ticket in harness.truth() if ticket != odd.ticket_id]
    harness.simulator.change(ids=others[:4], spread_seconds=5)
    harness.simulator.advance(10)
    harness.sync()
    harness.assert_equal()


def test_range_never_advances_the_watermark_or_changes_state(harness: Harness) -> None:
    harness.sync()
    before = harness.state()
    now = harness.simulator.clock().now
    harness.simulator.change(3, spread_seconds=3)
    harness.simulator.advance(60)
    report = harness.sync(since=now, until=now + timedelta(seconds=30))
    assert report.tickets_synced == 3
    assert harness.state() == before
    harness.assert_equal()


def test_fallback_does_not_advance_the_watermark(harness: Harness) -> None:
    harness.sync()
    before = harness.state()
    harness.simulator.change(3, spread_seconds=3)
    harness.simulator.fault("error_500", on="search")
    report = harness.sync()
    after = harness.state()
    assert report.manifest.fallback
    assert before is not None
    assert after is not None
    assert after.watermark == before.watermark
    assert (after.reason or "").startswith("full: fallback to the listing")
    harness.assert_equal()


def test_one_of_two_concurrent_runs_fails(harness: Harness) -> None:
    harness.sync()
    harness.simulator.change(4, spread_seconds=4)

    def overtake(phase: str) -> None:
        if phase == "fetch":
            harness.sync()

    with pytest.raises(ConcurrentUpdate, match="run the sync again"):
        harness.sync(on_phase=overtake)
    harness.assert_equal()
    harness.sync()
    harness.assert_equal()


def test_older_version_never_overwrites_a_newer_one(harness: Harness) -> None:
    """A webhook stores a newer version between a run's fetch and its merge."""
    harness.sync()
    harness.simulator.advance(60)
    ticket = harness.simulator.change(1)[0]

    def newer(phase: str) -> None:
        if phase == "missed":
            harness.simulator.advance(60)
            harness.deliver(harness.simulator.change(ids=[ticket.ticket_id]))

    report = harness.sync(on_phase=newer)
    assert report.facts.rejected == 1
    harness.assert_equal()


def test_replayed_old_webhooks_change_nothing(harness: Harness) -> None:
    harness.sync()
    harness.simulator.advance(60)
    old = harness.simulator.change(5, spread_seconds=5)
    harness.simulator.change(ids=[change.ticket_id for change in old], spread_seconds=60)
    harness.simulator.advance(10)
    harness.sync()
    harness.deliver(old)
    harness.assert_equal()


def test_full_run_counts_unchanged_rows(harness: Harness) -> None:
    harness.sync()
    report = harness.sync(RequestedMode.FULL)
    facts = report.facts
    assert (facts.inserted, facts.updated, facts.unchanged, facts.rejected) == (0, 0, 60, 0)
