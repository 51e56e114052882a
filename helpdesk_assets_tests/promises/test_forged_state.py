"""Somebody moves the watermark or the helpdesk's cursor forward by SQL: no change stays hidden."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.local.simulator.dialects.zendesk_requests import StreamPosition
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import SyncState
from helpdesk_assets_tests.conformance.vendors import ZENDESK
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY, MakeHarness

REASON = "the watermark is later than any run has read"
AHEAD = timedelta(minutes=50)


def _state(harness: Harness) -> SyncState:
    state = harness.state()
    assert state is not None
    return state


def _forge(harness: Harness, ahead: timedelta = AHEAD) -> None:
    """Let tickets change, and move the watermark past the changes."""
    watermark = _state(harness).watermark
    assert watermark is not None
    harness.simulator.advance(600)
    harness.simulator.change(5, spread_seconds=5)
    harness.simulator.advance(3600)
    harness.backend.edit_state("watermark", watermark + ahead)


def _live(harness: Harness, *, runs: int = 2) -> None:
    for _ in range(runs):
        harness.sync()
        harness.simulator.advance(SECONDS_PAST_GRACE)


def _assert_healed(harness: Harness, mode: RequestedMode = RequestedMode.AUTO) -> None:
    report = harness.sync(mode)
    assert report.manifest.mode is Mode.FULL
    assert REASON in (report.manifest.ground_reason or "")
    harness.assert_equal()
    state = _state(harness)
    assert state.watermark == report.manifest.window.until
    harness.simulator.change(2, spread_seconds=2)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    after = harness.sync()
    assert (after.manifest.mode, after.manifest.ground_reason) == (Mode.INCREMENTAL, None)
    harness.assert_equal()


@pytest.mark.parametrize("ahead", [AHEAD, timedelta(hours=5), timedelta(days=3000)])
@pytest.mark.parametrize("runs", [1, 2])
def test_watermark_moved_by_sql_leads_to_full(
    harness: Harness, runs: int, ahead: timedelta
) -> None:
    _live(harness, runs=runs)
    _forge(harness, ahead)
    _assert_healed(harness)


def test_asked_full_load_brings_the_watermark_down(harness: Harness) -> None:
    _live(harness)
    _forge(harness, timedelta(hours=5))
    _assert_healed(harness, RequestedMode.FULL)


@ON_BIGQUERY
def test_moved_watermark_is_noticed_on_bigquery(harness: Harness) -> None:
    _live(harness)
    _forge(harness, timedelta(hours=5))
    _assert_healed(harness)


def test_listing_that_may_skip_proves_no_watermark(harness: Harness) -> None:
    """A run that fell back to the listing has left the forged watermark as it was."""
    _live(harness)
    _forge(harness)
    harness.simulator.fault("error_500", on="search")
    assert harness.sync().manifest.fallback
    harness.simulator.clear_faults()
    _assert_healed(harness)


def test_watermark_behind_many_failed_runs_is_believed(harness: Harness) -> None:
    _live(harness)
    harness.simulator.fault("error_500", on="search")
    for _ in range(25):
        harness.simulator.advance(60)
        harness.sync()
    harness.simulator.clear_faults()
    assert harness.sync().manifest.mode is Mode.INCREMENTAL


def test_watermark_moved_back_by_sql_is_believed(harness: Harness) -> None:
    _live(harness)
    _forge(harness, -timedelta(minutes=5))
    assert harness.sync().manifest.mode is Mode.INCREMENTAL
    harness.assert_equal()


def test_watermark_set_by_a_person_is_believed(harness: Harness) -> None:
    _live(harness)
    before = _state(harness).watermark
    assert before is not None
    harness.simulator.advance(7200)
    harness.set_watermark(before + timedelta(hours=1))
    modes = []
    for _ in range(3):
        modes.append(harness.sync().manifest.mode)
        harness.simulator.advance(60)
    assert modes == [Mode.INCREMENTAL] * 3


def test_cursor_put_in_by_sql_is_not_followed(make_harness: MakeHarness) -> None:
    """The export's cursor of a later moment: followed, it hides what changed before."""
    harness = make_harness(60, ZENDESK)
    _live(harness)
    harness.simulator.advance(600)
    harness.simulator.change(5, spread_seconds=5)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    second = int(harness.simulator.clock().now.timestamp())
    harness.backend.edit_state("cursor", StreamPosition(second, "").cursor())
    report = harness.sync()
    assert report.manifest.mode is Mode.INCREMENTAL
    harness.assert_equal()


def test_stored_cursor_is_followed(make_harness: MakeHarness) -> None:
    harness = make_harness(60, ZENDESK)
    _live(harness)
    state = _state(harness)
    assert state.cursor is not None
    assert state.own_cursor == state.cursor
