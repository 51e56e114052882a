"""Time spans read beside the sync.

Together they contain the whole helpdesk, and the sync's own window is left to the sync.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.operations.backfill import backfill
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets_tests.conformance.vendors import VENDORS, Vendor
from helpdesk_assets_tests.harness import (
    SECONDS_PAST_GRACE,
    Harness,
    as_versions,
    open_harness,
    open_in_memory,
)

FAR = datetime(2100, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture
def harness() -> Iterator[Harness]:
    with open_in_memory(60) as opened:
        yield opened


@pytest.fixture
def harness_on_bigquery(warehouse_endpoint: str) -> Iterator[Harness]:
    with open_harness(warehouse_endpoint, 60) as opened:
        yield opened


def read(harness: Harness, since: datetime, until: datetime) -> SyncReport | None:
    settings = harness.settings.for_backfill
    with (
        harness.connected(settings) as tables,
        closing(make_helpdesk(settings, harness._runtime)) as helpdesk,
    ):
        return backfill(
            helpdesk,
            tables,
            since,
            until,
            SyncPolicy.from_settings(settings),
            run_id=uuid.uuid4().hex,
        )


def state_of(harness: Harness) -> SyncState:
    state = harness.state()
    assert state is not None
    return state


def spans(harness: Harness, count: int) -> list[tuple[datetime, datetime]]:
    """Return time spans from the oldest ticket to now; the last span is not over."""
    first = min(ticket.modified_time for ticket in harness.simulator.truth())
    length = (datetime.now(UTC) - first) / count
    edges = [first + length * number for number in range(count)]
    return list(zip(edges, [*edges[1:], FAR], strict=True))


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_spans_together_cover_the_helpdesk(vendor: Vendor) -> None:
    with open_in_memory(40, vendor) as harness:
        harness.simulator.advance(SECONDS_PAST_GRACE)
        harness.sync()
        before = state_of(harness)
        harness.delete_rows()
        for since, until in spans(harness, 3):
            assert read(harness, since, until) is not None
        harness.assert_equal()
        assert harness.state() == before
        assert harness.missed() == set()


def test_history_is_loaded_by_spans_beside_the_sync(harness: Harness) -> None:
    """The watermark is set by hand first, so that no run reads everything."""
    harness.prepare_tables()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    newest = max(ticket.modified_time for ticket in harness.simulator.truth())
    harness.set_watermark(newest)
    first, second, third = spans(harness, 3)
    read(harness, *second)
    harness.simulator.change(9, spread_seconds=20)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    assert harness.sync().manifest.mode is Mode.INCREMENTAL
    watermark = state_of(harness).watermark
    read(harness, *first)
    read(harness, *third)
    harness.assert_equal()
    assert state_of(harness).watermark == watermark


def test_backfill_stops_before_the_syncs_unjudged_window(harness: Harness) -> None:
    """If the backfill merged a lost webhook's change, it would no longer look missed."""
    harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    lost = harness.simulator.change(4, spread_seconds=4)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = read(harness, LONG_AGO, FAR)
    assert report is not None
    state = state_of(harness)
    assert state.watermark is not None
    assert report.manifest.window.until == state.watermark - harness.settings.webhooks.lookback
    assert harness.missed() == set()
    harness.sync()
    assert harness.missed() == as_versions(lost)
    harness.assert_equal()


def test_backfill_stops_before_the_syncs_window_on_bigquery(harness_on_bigquery: Harness) -> None:
    test_backfill_stops_before_the_syncs_unjudged_window(harness_on_bigquery)


def test_span_beyond_the_sync_is_not_read(harness: Harness) -> None:
    harness.sync()
    state = state_of(harness)
    assert state.watermark is not None
    harness.simulator.reset_counters()
    assert read(harness, state.watermark, FAR) is None
    assert harness.simulator.counters().total == 0


def test_without_a_watermark_it_reads_up_to_the_helpdesk_clock(harness: Harness) -> None:
    report = read(harness, LONG_AGO, FAR)
    assert report is not None
    assert report.tickets_synced == 60
    assert report.manifest.window.until < FAR
    assert harness.state() is None
    harness.assert_equal()


def test_older_version_never_overwrites_a_newer_one(harness: Harness) -> None:
    """The backfill reads before a change and merges after it, as another machine may."""
    harness.sync()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    settings = harness.settings.for_backfill
    with (
        harness.connected(settings) as tables,
        closing(make_helpdesk(settings, harness._runtime)) as helpdesk,
    ):

        def overtaken(_: object) -> None:
            harness.simulator.change(10, spread_seconds=10)
            harness.simulator.advance(SECONDS_PAST_GRACE)
            harness.sync()

        report = backfill(
            helpdesk,
            tables,
            LONG_AGO,
            FAR,
            SyncPolicy.from_settings(settings),
            run_id="overtaken",
            on_page=overtaken,
        )
    assert report is not None
    assert report.facts.rejected == 10
    harness.assert_equal()


def test_backfill_share_scales_the_limits(harness: Harness) -> None:
    settings = harness.settings.model_copy(
        update={"helpdesk_calls_per_minute": 100, "zendesk_exports_per_minute": 3}
    )
    shared = settings.for_backfill
    assert shared.helpdesk_calls_per_minute == 25
    assert shared.helpdesk_concurrency == 2
    # At least one, and no limit stays no limit.
    assert shared.zendesk_exports_per_minute == 1
    assert shared.freshdesk_lists_per_minute == 0
    half = settings.for_reconciliation
    assert (half.helpdesk_calls_per_minute, half.helpdesk_concurrency) == (50, 4)
    assert (half.zendesk_exports_per_minute, half.freshdesk_lists_per_minute) == (1, 0)


def test_run_at_its_share_waits(harness: Harness) -> None:
    """The wait is counted by the run's clock, which waiting moves."""
    harness.settings = harness.settings.model_copy(
        update={"helpdesk_calls_per_minute": 8, "helpdesk_page_size": 10}
    )
    report = read(harness, LONG_AGO, FAR)
    assert report is not None
    assert report.manifest.api.calls >= 6
    assert report.manifest.api.seconds_waited >= timedelta(minutes=2).total_seconds()
