"""The backfill as Dagster runs it: a run for each month, beside the sync."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import dagster as dg
import pytest

from helpdesk_assets.definitions import defs
from helpdesk_assets.defs.assets.ticket_backfill import MONTHS
from helpdesk_assets.defs.run_guard import refuse_beside_an_older_run
from helpdesk_assets.defs.schedules import every_two_hours
from helpdesk_assets_tests.defs.conftest import World

RIPE_SECONDS = 700.0


def backfill(world: World, month: str) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("helpdesk_backfill")
    return job.execute_in_process(
        instance=world.instance, partition_key=month, raise_on_error=False
    )


def fullest_months(world: World, count: int) -> list[str]:
    """Not this month, in which what a test changes lies as well."""
    months = Counter(f"{ticket.modified_time:%Y-%m}" for ticket in world.helpdesk.truth())
    del months[f"{world.helpdesk.clock().now:%Y-%m}"]
    return [month for month, _ in months.most_common(count)]


def lose(world: World, months: list[str]) -> int:
    """Delete the rows of these months, as if they had never been loaded; how many there were."""
    table = world.warehouse.dataset.table_id("tickets")
    lost = [row for row in world.rows("tickets") if f"{row['modifiedTime']:%Y-%m}" in months]
    listed = ", ".join(f"'{month}'" for month in months)
    world.warehouse._client.query(
        f"DELETE FROM `{table}` WHERE FORMAT_TIMESTAMP('%Y-%m', modifiedTime) IN ({listed})"
    ).result()
    return len(lost)


def test_three_months_beside_the_sync(world: World) -> None:
    world.helpdesk.advance(RIPE_SECONDS)
    assert world.sync().success
    months = fullest_months(world, 3)
    assert lose(world, months) >= 3
    changed: list[str] = []
    for month in months:
        before = world.rows("sync_state")
        result = backfill(world, month)
        assert result.success
        assert world.rows("sync_state") == before
        told = world.told("ticket_backfill")
        assert told["inserted"] == told["tickets_fetched"] > 0
        assert told["repeated_keys"] == 0
        (event,) = result.get_asset_materialization_events()
        assert event.partition == month
        changed += [ticket.ticket_id for ticket in world.helpdesk.change(2, spread_seconds=2)]
        world.helpdesk.advance(RIPE_SECONDS)
        assert world.sync().success
    assert world.stored() == world.truth()
    # What the backfill brought is nobody's miss; what the sync found is.
    assert set(world.missed()) == set(changed)


def test_the_month_that_is_not_over_ends_where_the_sync_begins(world: World) -> None:
    assert world.sync().success
    assert backfill(world, MONTHS.get_last_partition_key() or "").success
    told = world.told("ticket_backfill")
    assert told["window_until"] is None or told["window_until"] < world.watermark().timestamp()


def test_a_failure_is_one_line_that_says_what_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_API_TOKEN", "another")
    result = backfill(world, fullest_months(world, 1)[0])
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "HELPDESK_API_TOKEN" in str(failed.step_failure_data.user_failure_data)


def test_its_months_begin_where_the_setting_says_and_end_with_this_one() -> None:
    keys = MONTHS.get_partition_keys()
    assert keys[0] == "2015-01"
    assert keys[-1] == f"{datetime.now(UTC):%Y-%m}"
    window = MONTHS.time_window_for_partition_key("2026-10")
    assert (window.start, window.end) == (
        datetime(2026, 10, 1, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
    )


def test_it_neither_holds_the_schedule_up_nor_has_a_sync_refused(tmp_path: object) -> None:
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
        refuse_beside_an_older_run(instance, sync)
        assert instance.get_run_by_id(at_work.run_id) is not None


def test_how_it_is_defined() -> None:
    job = defs.resolve_job_def("helpdesk_backfill")
    assert job.executor_def.name == "in_process"
    assert [node.name for node in job.graph.nodes_in_topological_order] == ["ticket_backfill"]
    spec = defs.resolve_asset_graph().get(dg.AssetKey("ticket_backfill"))
    # A pool of its own, and no part of what "materialize all" of the sync's group is about.
    assert spec.pools == {"helpdesk_backfill"}
    assert spec.group_name == "helpdesk_backfill"
