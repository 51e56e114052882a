"""The backfill in Dagster: one run per month, beside the sync."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import dagster as dg
import pytest

from helpdesk_assets.definitions import defs
from helpdesk_assets.defs.assets.ticket_backfill import MONTHLY_PARTITIONS
from helpdesk_assets.defs.run_guard import reject_concurrent_run
from helpdesk_assets.defs.schedules import every_two_hours
from helpdesk_assets_tests.defs.conftest import DagsterHarness

SECONDS_PAST_GRACE = 700.0


def backfill(harness: DagsterHarness, month: str) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("helpdesk_backfill")
    return job.execute_in_process(
        instance=harness.instance, partition_key=month, raise_on_error=False
    )


def fullest_months(harness: DagsterHarness, count: int) -> list[str]:
    """Return the months with the most tickets, without this month, in which tests change some."""
    months = Counter(f"{ticket.modified_time:%Y-%m}" for ticket in harness.helpdesk.truth())
    del months[f"{harness.helpdesk.clock().now:%Y-%m}"]
    return [month for month, _ in months.most_common(count)]


def delete_rows(harness: DagsterHarness, months: list[str]) -> int:
    """Delete the rows of these months, as if never loaded; returns their number."""
    table = harness.warehouse.dataset.table_id("tickets")
    lost = [row for row in harness.rows("tickets") if f"{row['modifiedTime']:%Y-%m}" in months]
    listed = ", ".join(f"'{month}'" for month in months)
    harness.warehouse._client.query(
        f"DELETE FROM `{table}` WHERE FORMAT_TIMESTAMP('%Y-%m', modifiedTime) IN ({listed})"
    ).result()
    return len(lost)


def test_backfilling_three_months_beside_the_sync(harness: DagsterHarness) -> None:
    harness.helpdesk.advance(SECONDS_PAST_GRACE)
    assert harness.sync().success
    months = fullest_months(harness, 3)
    changed: list[str] = []
    for month in months:
        # Only this one: a sync that finds rows missing reads everything again.
        assert delete_rows(harness, [month])
        before = harness.rows("sync_state")
        result = backfill(harness, month)
        assert result.success
        assert harness.rows("sync_state") == before
        asset_metadata = harness.asset_metadata("ticket_backfill")
        assert asset_metadata["inserted"] == asset_metadata["tickets_fetched"] > 0
        assert asset_metadata["repeated_keys"] == 0
        (event,) = result.get_asset_materialization_events()
        assert event.partition == month
        changed += [ticket.ticket_id for ticket in harness.helpdesk.change(2, spread_seconds=2)]
        harness.helpdesk.advance(SECONDS_PAST_GRACE)
        assert harness.sync().success
    assert harness.stored() == harness.truth()
    # Changes read by the backfill are not missed updates; those found by the sync are.
    assert set(harness.missed()) == set(changed)


def test_current_month_ends_where_the_sync_begins(harness: DagsterHarness) -> None:
    assert harness.sync().success
    assert backfill(harness, MONTHLY_PARTITIONS.get_last_partition_key() or "").success
    asset_metadata = harness.asset_metadata("ticket_backfill")
    assert (
        asset_metadata["window_until"] is None
        or asset_metadata["window_until"] < harness.watermark().timestamp()
    )


def test_failure_gives_one_line_with_a_fix(
    harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_API_TOKEN", "another")
    result = backfill(harness, fullest_months(harness, 1)[0])
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "HELPDESK_API_TOKEN" in str(failed.step_failure_data.user_failure_data)


def test_partitions_run_from_the_configured_start_to_this_month() -> None:
    keys = MONTHLY_PARTITIONS.get_partition_keys()
    assert keys[0] == "2015-01"
    assert keys[-1] == f"{datetime.now(UTC):%Y-%m}"
    window = MONTHLY_PARTITIONS.time_window_for_partition_key("2026-10")
    assert (window.start, window.end) == (
        datetime(2026, 10, 1, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
    )


def test_backfill_blocks_neither_the_schedule_nor_a_sync(tmp_path: object) -> None:
    quiet = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=quiet) as instance:
        at_work = instance.create_run_for_job(
            defs.resolve_job_def("helpdesk_backfill"),
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": "2026-10"},
        )
        with dg.build_schedule_context(
            instance=instance, scheduled_execution_time=datetime(2026, 11, 23, 10, tzinfo=UTC)
        ) as context:
            assert every_two_hours.evaluate_tick(context).run_requests
        sync = instance.create_run_for_job(
            defs.resolve_job_def("helpdesk_sync"), status=dg.DagsterRunStatus.STARTED
        )
        reject_concurrent_run(instance, sync)
        assert instance.get_run_by_id(at_work.run_id) is not None


def test_job_definition() -> None:
    job = defs.resolve_job_def("helpdesk_backfill")
    assert job.executor_def.name == "in_process"
    assert [node.name for node in job.graph.nodes_in_topological_order] == ["ticket_backfill"]
    spec = defs.resolve_asset_graph().get(dg.AssetKey("ticket_backfill"))
    # A separate pool, and not part of "Materialize all" of the sync's group.
    assert spec.pools == {"helpdesk_backfill"}
    assert spec.group_name == "helpdesk_backfill"
