"""Two code locations on one instance, each with a sync of its own.

Neither takes the other's batch, nor skips a tick or refuses a run because of the other's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.definitions import defs
from helpdesk_assets.defs.run_guard import reject_concurrent_run, runs_in_progress
from helpdesk_assets.defs.sync_identity import SYNC_TAG, own_sync
from helpdesk_assets.errors import UserError
from helpdesk_assets_tests.defs.code_location import job_origin
from helpdesk_assets_tests.defs.conftest import DagsterHarness, failure_text
from helpdesk_assets_tests.defs.test_schedules import STARTED, WAITS, tick
from helpdesk_assets_tests.defs.test_schedules import instance as instance
from helpdesk_assets_tests.defs.test_schedules import with_files as with_files

THEIRS = "their-project.their_data/tickets"


def a_run(
    instance: dg.DagsterInstance,
    location: str | None,
    *,
    sync: str | None = None,
    status: dg.DagsterRunStatus = STARTED,
    job: str = "helpdesk_sync",
) -> dg.DagsterRun:
    """A run that this code location has started; with `sync`, one that has begun to work."""
    return instance.create_run_for_job(
        defs.resolve_job_def(job),
        status=status,
        remote_job_origin=job_origin(location, job) if location else None,
        tags={SYNC_TAG: sync} if sync else None,
    )


@pytest.fixture
def ours(no_settings: None) -> str:
    sync = own_sync()
    assert sync is not None
    return sync


@pytest.mark.parametrize("status", [WAITS, STARTED])
@pytest.mark.parametrize("location", ["theirs", None])
def test_run_of_another_sync_skips_no_tick(
    instance: dg.DagsterInstance, ours: str, location: str | None, status: dg.DagsterRunStatus
) -> None:
    a_run(instance, location, sync=THEIRS, status=status)
    assert isinstance(tick(instance), dg.RunRequest)
    own = a_run(instance, "ours", sync=ours, status=status)
    assert own.run_id in str(tick(instance))


def test_queued_run_is_known_by_its_location(instance: dg.DagsterInstance, ours: str) -> None:
    """A run tells its sync when it begins to work; until then its location's last run does."""
    a_run(instance, "theirs", sync=THEIRS, status=dg.DagsterRunStatus.SUCCESS)
    a_run(instance, "ours", sync=ours, status=dg.DagsterRunStatus.SUCCESS)
    a_run(instance, "theirs", status=WAITS)
    assert isinstance(tick(instance), dg.RunRequest)
    own = a_run(instance, "ours", status=WAITS)
    assert own.run_id in str(tick(instance))


def test_tick_tags_its_run_with_the_sync(instance: dg.DagsterInstance, ours: str) -> None:
    request = tick(instance)
    assert isinstance(request, dg.RunRequest)
    assert request.tags[SYNC_TAG] == ours


@pytest.mark.parametrize(
    ("location", "sync"), [("theirs", None), ("theirs", THEIRS), (None, THEIRS)]
)
def test_run_of_another_sync_or_location_refuses_none(
    instance: dg.DagsterInstance, ours: str, location: str | None, sync: str | None
) -> None:
    a_run(instance, location, sync=sync)
    reject_concurrent_run(instance, a_run(instance, "ours"))


@pytest.mark.parametrize("location", ["ours", None])
def test_own_run_refuses_a_younger_one(
    instance: dg.DagsterInstance, ours: str, location: str | None
) -> None:
    older = a_run(instance, location)
    with pytest.raises(UserError, match=f"Run {older.run_id} is syncing already"):
        reject_concurrent_run(instance, a_run(instance, "ours"))


def test_guard_reads_no_log_but_planned_assets(
    instance: dg.DagsterInstance, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of a foreign run may hold thousands of events, and a tick ends after 60 s."""
    asked: list[tuple[str, Any]] = []
    read = instance.all_logs

    def all_logs(run_id: str, of_type: Any = None) -> Any:
        asked.append((run_id, of_type))
        return read(run_id, of_type)

    monkeypatch.setattr(instance, "all_logs", all_logs)
    a_run(instance, "theirs", sync=THEIRS)
    chart = a_run(instance, "ours", sync=ours, job="webhook_health_job")
    assert not list(runs_in_progress(instance, (STARTED,), datetime.now(UTC)))
    assert asked == [(chart.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)]


@pytest.fixture
def two_accounts(harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Switch the environment between the account of the harness and another one."""
    ours = harness.warehouse.dataset.name

    def switch(*, to_theirs: bool) -> None:
        monkeypatch.setenv("BIGQUERY_DATASET", f"{ours}_b" if to_theirs else ours)

    return switch


@pytest.mark.slow
def test_steps_of_one_account_take_no_batch_of_another(
    harness: DagsterHarness, two_accounts: Callable[..., None]
) -> None:
    """One account's run ends after its fetch, and the other's comes before its operator."""
    harness.sync()
    harness.helpdesk.advance(3600)
    harness.helpdesk.change(5)
    harness.helpdesk.advance(600)
    assert harness.materialize("raw_ticket_changes").success
    two_accounts(to_theirs=True)
    assert harness.sync().success
    two_accounts(to_theirs=False)
    before = harness.watermark()
    for asset in ("missed_updates", "tickets_table", "sync_watermark"):
        assert "has no batch to work on" in failure_text(harness.materialize(asset))
    assert harness.watermark() == before
    assert harness.sync().success
    assert harness.stored() == harness.truth()


def test_every_run_of_the_sync_is_tagged(
    harness: DagsterHarness, two_accounts: Callable[..., None]
) -> None:
    seen = []
    for to_theirs in (False, True):
        two_accounts(to_theirs=to_theirs)
        run = harness.instance.get_run_by_id(harness.sync().run_id)
        assert run is not None
        seen.append(run.tags[SYNC_TAG])
        assert seen[-1] == own_sync()
    assert len(set(seen)) == 2
