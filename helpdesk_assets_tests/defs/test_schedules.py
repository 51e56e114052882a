"""The job started by a schedule and by a user, and the lock between two runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from helpdesk_assets.definitions import defs
from helpdesk_assets.defs.metadata import ASSET_NAMES
from helpdesk_assets.defs.run_guard import (
    ACTIVE_STATUSES,
    MAX_RUN_DURATION,
    MAX_SILENCE,
    QUEUED_STATUSES,
    reject_concurrent_run,
    runs_in_progress,
)
from helpdesk_assets.defs.schedules import every_two_hours
from helpdesk_assets.errors import UserError
from helpdesk_assets_tests.defs.conftest import DagsterHarness

TICK = datetime(2026, 11, 23, 10, tzinfo=UTC)
# A queued run needs a code server; Dagster's filters treat one that is not started alike.
STARTED, WAITS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED


@pytest.fixture(scope="module")
def with_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance like that of `dagster dev`, the only kind that runs schedules."""
    home = str(tmp_path_factory.mktemp("dagster"))
    quiet = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(home, overrides=quiet) as local:
        yield local


@pytest.fixture
def instance(with_files: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """One instance for all tests, without the runs of the test before."""
    yield with_files
    for record in with_files.get_run_records():
        with_files.delete_run(record.dagster_run.run_id)


def a_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, *, by_hand: bool = False
) -> str:
    """A run that somebody else has started and that does nothing."""
    job = (
        defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection={dg.AssetKey("tickets_table")}
        )
        if by_hand
        else defs.resolve_job_def("helpdesk_sync")
    )
    return instance.create_run_for_job(job, status=status).run_id


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | str:
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=TICK) as context:
        data = every_two_hours.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else data.skip_message or ""


def test_tick_requests_one_run_however_often_evaluated(
    instance: dg.DagsterInstance,
) -> None:
    first, second = tick(instance), tick(instance)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.run_key == second.run_key == TICK.isoformat()


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("status", [WAITS, STARTED])
def test_tick_is_skipped_while_a_sync_is_queued_or_running(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, by_hand: bool
) -> None:
    run_id = a_run(instance, status, by_hand=by_hand)
    assert run_id in str(tick(instance))


def test_other_jobs_and_finished_runs_do_not_skip_a_tick(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def somebody_elses() -> None: ...

    other = dg.Definitions(assets=[somebody_elses]).resolve_implicit_global_asset_job_def()
    instance.create_run_for_job(other, status=STARTED)
    a_run(instance, dg.DagsterRunStatus.FAILURE)
    assert isinstance(tick(instance), dg.RunRequest)


@pytest.mark.parametrize(("status", "limit"), [(STARTED, MAX_SILENCE), (WAITS, MAX_RUN_DURATION)])
def test_silently_dead_run_does_not_skip_ticks_forever(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, limit: timedelta
) -> None:
    a_run(instance, status)
    now = datetime.now(UTC)
    margin = timedelta(minutes=1)
    assert list(
        runs_in_progress(instance, (*QUEUED_STATUSES, *ACTIVE_STATUSES), now + limit - margin)
    )
    assert not list(
        runs_in_progress(instance, (*QUEUED_STATUSES, *ACTIVE_STATUSES), now + limit + margin)
    )


def test_run_is_refused_beside_an_older_one_only(
    instance: dg.DagsterInstance,
) -> None:
    older, younger = (instance.get_run_by_id(a_run(instance, STARTED)) for _ in "12")
    assert older is not None
    assert younger is not None
    reject_concurrent_run(instance, older)
    with pytest.raises(UserError, match=f"Run {older.run_id} is syncing already"):
        reject_concurrent_run(instance, younger)


def test_reexecuted_run_does_not_block_itself(
    instance: dg.DagsterInstance,
) -> None:
    killed = a_run(instance, STARTED)
    again = instance.create_run_for_job(
        defs.resolve_job_def("helpdesk_sync"),
        status=STARTED,
        parent_run_id=killed,
        root_run_id=killed,
    )
    reject_concurrent_run(instance, again)


def test_job_schedule_and_selected_assets_give_equal_results(harness: DagsterHarness) -> None:
    """The job, the schedule's request, and the assets selected by hand."""
    assert harness.sync().success
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(4)
    harness.helpdesk.advance(600)
    request = tick(harness.instance)
    assert isinstance(request, dg.RunRequest)
    assert every_two_hours.job_name == "helpdesk_sync"
    scheduled_run = defs.resolve_job_def(every_two_hours.job_name).execute_in_process(
        instance=harness.instance, run_config=request.run_config, tags=request.tags
    )
    assert scheduled_run.success
    assert harness.stored() == harness.truth()
    scheduled = harness.asset_metadata("sync_watermark")

    harness.helpdesk.advance(3600)
    harness.helpdesk.change(4)
    harness.helpdesk.advance(600)
    assert harness.materialize(*ASSET_NAMES).success
    assert harness.stored() == harness.truth()
    by_hand = harness.asset_metadata("sync_watermark")
    same = ("mode", "reason", "tickets_synced", "rows_updated", "missed", "table_rows")
    assert {k: scheduled[k] for k in same} == {k: by_hand[k] for k in same}


def test_run_guard_fails_with_a_clear_message_and_no_changes(harness: DagsterHarness) -> None:
    older = a_run(harness.instance, STARTED)
    result = harness.sync()
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert older in (failure.description or "")
    assert harness.helpdesk.counters().total == 0
