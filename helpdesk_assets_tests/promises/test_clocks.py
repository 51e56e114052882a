"""Promise 7: no clock that is wrong loses a change: the helpdesk's, a gateway's or ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.batch import Mode
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import MakeHarness

HOUR = 3600.0
TEN_MINUTES = 600.0
AT_WHICH_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "first": {"count": 1},
    "last": {"after": 4, "count": 1},
    "all": {},
}


@pytest.mark.parametrize("which", AT_WHICH_ANSWERS)
def test_date_an_hour_ahead_loses_no_later_change(harness: Harness, which: str) -> None:
    harness.sync()
    harness.simulator.advance(2 * HOUR)
    harness.simulator.change(45, spread_seconds=45)
    harness.simulator.fault("date_ahead", seconds=HOUR, **AT_WHICH_ANSWERS[which])
    report = harness.sync(helpdesk_page_size=10)
    assert report.manifest.api.calls >= 5
    harness.simulator.clear_faults()
    state = harness.state()
    assert state is not None
    assert state.watermark is not None
    assert state.watermark <= harness.simulator.clock().now
    harness.simulator.advance(HOUR / 2)
    harness.simulator.change(3, spread_seconds=3)
    for _ in range(2):
        harness.simulator.advance(HOUR)
        assert harness.sync().manifest.mode is Mode.INCREMENTAL
    harness.assert_equal()


@pytest.mark.parametrize("ours_off", [timedelta(0), timedelta(minutes=10), timedelta(days=28)])
def test_date_ahead_of_the_tickets_clock_loses_nothing(
    harness: Harness, ours_off: timedelta
) -> None:
    """A gateway's clock is ahead in every answer. Ours may agree with it, or cannot tell."""
    harness.simulator.fault("date_ahead", seconds=TEN_MINUTES)
    harness.clock_off = ours_off
    harness.simulator.advance(HOUR)
    harness.sync()
    harness.simulator.advance(120)
    (first,) = harness.simulator.change(1)
    harness.simulator.advance(1.5 * HOUR)
    harness.simulator.change(ids=[t for t in harness.truth() if t != first.ticket_id][:1])
    for _ in range(3):
        harness.simulator.advance(HOUR / 2)
        assert harness.sync().manifest.mode is Mode.INCREMENTAL
        harness.assert_equal()


@pytest.mark.parametrize("days", [-30, -1, 1, 30])
def test_our_clock_going_wrong_causes_no_full_load(harness: Harness, days: int) -> None:
    harness.sync()
    harness.clock_off = timedelta(days=days)
    for changes in (7, 0, 5):
        harness.simulator.advance(HOUR)
        harness.simulator.change(changes, spread_seconds=10)
        harness.simulator.advance(2)
        report = harness.sync()
        assert report.manifest.mode is Mode.INCREMENTAL
        assert report.manifest.rows <= 12
        harness.assert_equal()


def test_quiet_run_reads_no_row_again(harness: Harness) -> None:
    """Also shortly after a change, as soon as the overlap no longer reaches back to it."""
    harness.sync()
    harness.simulator.advance(2 * HOUR)
    harness.simulator.change(5, spread_seconds=5)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    assert harness.sync().manifest.rows == 5
    for _ in range(3):
        harness.simulator.advance(SECONDS_PAST_GRACE)
        report = harness.sync()
        assert (report.manifest.rows, report.manifest.api.calls) == (0, 1)
        assert report.query_jobs <= 1


def test_interrupted_load_rereads_what_a_clock_hid(make_harness: MakeHarness) -> None:
    """The first answer's clock was ahead, and what changes meanwhile is read by the resumed run."""
    harness = make_harness(60)
    harness.simulator.fault("date_ahead", seconds=HOUR, count=1)
    harness.simulator.fault("error_500", after=3)
    with pytest.raises(EndpointFailed, match="is kept, and the next run goes on"):
        harness.sync(helpdesk_page_size=10, checkpoint_every=timedelta(0))
    harness.simulator.clear_faults()
    harness.simulator.advance(HOUR / 2)
    harness.simulator.change(20, spread_seconds=20)
    for _ in range(2):
        harness.simulator.advance(HOUR)
        harness.sync()
    harness.assert_equal()
