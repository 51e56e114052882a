"""Several deeds and faults at once: none hides that a table is not the watermark's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.checks.evidence import CheckResult, Evidence
from helpdesk_assets.checks.tables import table_shrank
from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY

RAW, TICKETS = "raw_ticket_changes", "tickets"
Deed = Callable[[Harness], None]


def _check(report: SyncReport) -> CheckResult:
    return table_shrank(Evidence(report.manifest, report.facts, report.state, datetime.now(UTC)))


def _drop(harness: Harness) -> None:
    harness.backend.drop_table(TICKETS)


def _replace_by_yesterday(harness: Harness) -> None:
    harness.backend.put_copy_back(TICKETS, in_place=False)


def _assert_full_after(harness: Harness, deed: Deed, reason: str) -> None:
    """The versions that are missing are older than what time travel reaches."""
    harness.sync()
    harness.backend.keep_copy(TICKETS)
    harness.simulator.advance(3600)
    harness.simulator.change(7, spread_seconds=7)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync(RequestedMode.FULL)
    harness.simulator.advance(8 * 86400)
    harness.sync()
    deed(harness)
    report = harness.sync()
    assert report.manifest.mode is Mode.FULL
    assert reason in report.manifest.reason
    harness.assert_equal()
    assert harness.sync().manifest.mode is Mode.INCREMENTAL


def _set_watermark_back(harness: Harness) -> None:
    state = harness.state()
    assert state is not None
    assert state.watermark is not None
    harness.set_watermark(state.watermark - timedelta(hours=1))


def _replace_and_set(harness: Harness) -> None:
    _replace_by_yesterday(harness)
    _set_watermark_back(harness)


def _set_and_drop(harness: Harness) -> None:
    _set_watermark_back(harness)
    _drop(harness)


@pytest.mark.parametrize(
    ("deed", "reason"), [(_replace_and_set, "made anew"), (_set_and_drop, "tickets was not there")]
)
def test_watermark_by_hand_hides_no_other_table(harness: Harness, deed: Deed, reason: str) -> None:
    _assert_full_after(harness, deed, reason)


@ON_BIGQUERY
def test_rebuilt_state_row_hides_no_dropped_table(harness: Harness) -> None:
    def deed(harness: Harness) -> None:
        state = harness.state()
        assert state is not None
        _drop(harness)
        harness.backend.drop_table("sync_state")
        with harness.connected() as warehouse:
            rebuilt = ManualState(
                state.watermark, state.cursor, state.version + 1, "rebuild", "rebuilt from a run"
            )
            with warehouse.lease("watermark", run_id="rebuild"):
                warehouse.set_manually(rebuilt, None)

    _assert_full_after(harness, deed, "tickets was not there")


def _fall_back_to_a_listing_with_gaps(harness: Harness) -> None:
    """The table is yesterday's, and the listing lacks one of the tickets that changed since."""
    _replace_by_yesterday(harness)
    changed = [row["ticket_id"] for row in harness.rows(RAW)][-1]
    harness.simulator.hide(ids=[changed])
    harness.simulator.fault("error_500", on="search")
    report = harness.sync()
    assert (report.manifest.fallback, _check(report).passed) == (True, False)
    assert "The next run reads every ticket again" in _check(report).description
    harness.simulator.show_hidden()
    harness.simulator.clear_faults()


def test_fallback_does_not_count_as_reading_everything(harness: Harness) -> None:
    _assert_full_after(harness, _fall_back_to_a_listing_with_gaps, "made anew")


def _assert_dropped_history_is_told_after(harness: Harness, run: Callable[[], object]) -> None:
    harness.backend.drop_table(RAW)
    run()
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert (report.manifest.mode, _check(report).passed) == (Mode.FULL, False)
    assert "raw_ticket_changes was made anew" in report.manifest.reason
    harness.simulator.advance(SECONDS_PAST_GRACE)
    assert harness.sync().manifest.mode is Mode.INCREMENTAL


def test_repair_over_a_dropped_history_hides_nothing(harness: Harness) -> None:
    harness.sync()
    ids = sorted(harness.tickets())[:2]
    _assert_dropped_history_is_told_after(harness, lambda: harness.repair(ids))


def test_range_over_a_dropped_history_hides_nothing(harness: Harness) -> None:
    harness.sync()
    now = harness.simulator.clock().now
    day = timedelta(days=9999)
    _assert_dropped_history_is_told_after(harness, lambda: harness.sync(since=now - day, until=now))


@ON_BIGQUERY
def test_repair_over_a_dropped_history_on_bigquery(harness: Harness) -> None:
    harness.sync()
    ids = sorted(harness.tickets())[:2]
    _assert_dropped_history_is_told_after(harness, lambda: harness.repair(ids))


@ON_BIGQUERY
def test_deleted_row_without_id_is_no_lost_ticket(harness: Harness) -> None:
    harness.sync()
    harness.backend.double_rows(TICKETS, ticket_id=None)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    assert harness.sync().facts.null_keys == 60
    query = Query(f"DELETE FROM {harness.warehouse.dataset.table(TICKETS)} WHERE ticket_id IS NULL")
    harness.warehouse.run(query, run_id="tidy", step="tickets")
    harness.simulator.advance(SECONDS_PAST_GRACE)
    report = harness.sync()
    assert (report.manifest.mode, _check(report).passed) == (Mode.INCREMENTAL, True)


@ON_BIGQUERY
def test_partitions_of_tickets_that_expire_stay_again(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.sync()
    Schema(harness.warehouse).set_partition_expiry(tables.TICKETS, 30)
    harness.sync_and_verify()
    assert "Partitions of table tickets were to be dropped. They now stay." in caplog.text
    found = harness.warehouse.get_table(TICKETS, fresh=True)
    assert found is not None
    assert found.time_partitioning.expiration_ms is None


@ON_BIGQUERY
def test_view_in_the_place_of_tickets_is_named(harness: Harness) -> None:
    harness.sync()
    harness.backend.keep_copy(TICKETS)
    _drop(harness)
    name = harness.warehouse.dataset.table(TICKETS)
    copy = harness.warehouse.dataset.table(f"{TICKETS}_copy")
    view = Query(f"CREATE VIEW {name} AS SELECT * FROM {copy}")
    harness.warehouse.run(view, run_id="view", step=TICKETS)
    for run in (harness.sync, harness.reconcile):
        with pytest.raises(WarehouseRefused, match=r"rename tickets \(a VIEW\).*Nothing was read"):
            run()
