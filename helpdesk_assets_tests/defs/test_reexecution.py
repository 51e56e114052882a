"""A run that dies between any two steps, and each asset materialised alone: right all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.defs.io_managers import bigquery_merge
from helpdesk_assets.defs.metadata import ASSET_NAMES
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.defs.conftest import World

Break = Callable[[pytest.MonkeyPatch], None]


def sync_job() -> dg.JobDefinition:
    """Where a re-execution finds the job again."""
    from helpdesk_assets.definitions import defs

    return defs.resolve_job_def("helpdesk_sync")


def run(world: World) -> tuple[bool, str]:
    job = dg.reconstructable(sync_job)
    with dg.execute_job(job, instance=world.instance, raise_on_error=False) as result:
        return result.success, result.run_id


def again_from_failure(world: World, run_id: str) -> tuple[bool, str]:
    options = dg.ReexecutionOptions.from_failure(run_id, world.instance)
    with dg.execute_job(
        dg.reconstructable(sync_job), instance=world.instance, reexecution_options=options
    ) as result:
        return result.success, result.run_id


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise dg.Failure("pulled the plug", allow_retries=False)


def before(method: str) -> Break:
    """The step ends before it has done anything."""

    def pull(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SyncTables, method, refuse)

    return pull


def after_writing(table: str) -> Break:
    """The MERGE is durable, but the step ends before Dagster hears of it."""
    write = bigquery_merge.write

    def write_and_refuse(warehouse: Any, spec: Any, *args: Any, **kwargs: Any) -> Any:
        report = write(warehouse, spec, *args, **kwargs)
        return refuse() if spec.name == table else report

    def pull(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bigquery_merge, "write", write_and_refuse)

    return pull


def after_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watermark has moved, but the step ends before Dagster hears of it."""
    close = SyncTables.close_run

    def close_and_refuse(*args: Any, **kwargs: Any) -> Any:
        close(*args, **kwargs)
        refuse()

    monkeypatch.setattr(SyncTables, "close_run", close_and_refuse)


PLUGS: dict[str, Break] = {
    "raw rows stored, not told": after_writing(tables.RAW_TICKET_CHANGES.name),
    "before missed_updates": before("missed_request"),
    "missed rows stored, not told": after_writing(tables.MISSED_UPDATES.name),
    "before tickets_table": before("tickets_request"),
    "tickets merged, not told": after_writing(tables.TICKETS.name),
    "before sync_watermark": before("close_run"),
    "watermark moved, not told": after_closing,
}


@pytest.mark.parametrize("where", PLUGS)
def test_a_run_that_died_is_put_right_from_where_it_died(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    assert run(world)[0]
    world.helpdesk.advance(3600)
    changed = sorted(t.ticket_id for t in world.helpdesk.change(5))
    world.helpdesk.advance(600)
    with monkeypatch.context() as plug:
        PLUGS[where](plug)
        success, dead = run(world)
    assert not success
    expected = world.truth()

    world.helpdesk.advance(600)
    later = sorted(t.ticket_id for t in world.helpdesk.create(2))
    success, _ = again_from_failure(world, dead)
    assert success
    assert set(world.stored()) >= set(expected)
    assert world.missed() == changed
    told = world.told("sync_watermark")
    assert told["rows_updated"] == 5
    assert told["missed"] == 5

    world.helpdesk.advance(3600)
    assert run(world)[0]
    assert world.stored() == world.truth()
    # What a run met within the grace may yet have come by webhook, and is no missed update.
    assert world.missed() in (sorted(changed + later), changed), "each once"


def test_a_rerun_of_a_rerun_still_finds_the_first_ones_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as plug:
        before("missed_request")(plug)
        _, first = run(world)
    with monkeypatch.context() as plug:
        before("tickets_request")(plug)
        _, second = again_from_failure(world, first)
    success, third = again_from_failure(world, second)
    assert success
    assert world.told("sync_watermark")["batch_id"] == world.told("raw_ticket_changes")["batch_id"]
    assert world.stored() == world.truth()
    assert third != first


def test_a_large_batch_outlives_the_run_that_fetched_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_SMALL_BATCH_BYTES", "2000")
    with monkeypatch.context() as plug:
        before("tickets_request")(plug)
        _, dead = run(world)
    world.helpdesk.reset_counters()
    assert again_from_failure(world, dead)[0]
    assert world.helpdesk.counters().total == 0, "nothing is fetched twice"
    assert world.stored() == world.truth()
    assert not [t.table_id for t in world.warehouse.list_tables() if "__stg_" in t.table_id]


def test_an_asset_alone_after_a_whole_run_changes_nothing(world: World) -> None:
    world.sync()
    world.helpdesk.advance(3600)
    world.helpdesk.change(3)
    world.helpdesk.advance(600)
    world.sync()
    tickets, missed, state = world.rows("tickets"), world.missed(), world.rows("sync_state")
    for asset in ASSET_NAMES[1:]:
        assert world.materialize(asset).success
        assert world.rows("tickets") == tickets
        assert world.missed() == missed
        assert world.rows("sync_state") == state


def test_one_asset_after_the_other_by_hand_is_a_whole_run(world: World) -> None:
    world.sync()
    world.helpdesk.advance(3600)
    world.helpdesk.change(3)
    world.helpdesk.advance(600)
    for asset in ASSET_NAMES:
        assert world.materialize(asset).success
    assert world.stored() == world.truth()
    assert len(world.missed()) == 3
    assert world.told("sync_watermark")["rows_updated"] == 3


def test_the_watermark_does_not_pass_a_batch_that_is_not_merged(world: World) -> None:
    world.sync()
    before_it = world.watermark()
    world.helpdesk.advance(3600)
    world.helpdesk.change(3)
    assert world.materialize("raw_ticket_changes").success
    result = world.materialize("sync_watermark")
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert "Materialise missed_updates and tickets_table first" in (failure.description or "")
    assert world.watermark() == before_it


def test_an_asset_alone_before_anything_was_fetched_does_nothing(world: World) -> None:
    for asset in ASSET_NAMES[1:]:
        assert world.materialize(asset).success
        assert world.told(asset)["batch_id"] == ""
