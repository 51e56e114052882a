"""Finds runs of the sync that are in progress on this instance, of any job.

Two concurrent syncs do no harm, because of the MERGE and the compare-and-set on the state row. They
only do the same work twice, so this guard saves work and must not be relied on for correctness.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.run_batch import run_lineage
from helpdesk_assets.defs.sync_identity import is_of_other_sync, location_of, own_sync
from helpdesk_assets.errors import UserError

PLANNED_EVENT = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
SYNC_KEYS = frozenset(map(dg.AssetKey, metadata.ASSET_NAMES))
QUEUED_STATUSES = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
ACTIVE_STATUSES = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
# A killed worker may leave its run "started" for ever, which must not stop the sync for good. No
# run of the sync takes longer: the job's `dagster/max_runtime` is the same.
MAX_RUN_DURATION = timedelta(hours=6)
# A live run logs every hundred pages and at every step, and one statement may take 15 minutes. So a
# killed run blocks the next ones for half an hour and not for six.
MAX_SILENCE = timedelta(minutes=30)


def runs_in_progress(
    instance: dg.DagsterInstance,
    statuses: tuple[dg.DagsterRunStatus, ...],
    now: datetime,
    *,
    keys: Collection[dg.AssetKey] = SYNC_KEYS,
    location: str | None = None,
) -> Iterator[dg.RunRecord]:
    """Yields runs that materialise an asset of this sync.

    Args:
        instance: Dagster's instance.
        statuses: Statuses of the runs to find.
        now: Current time, UTC.
        keys: Keys of the sync's assets.
        location: The own code location. A schedule does not know its own; runs of other locations
            are then told by the sync that they last worked on.
    """
    sync = own_sync()
    wanted = dg.RunsFilter(statuses=list(statuses), created_after=now - MAX_RUN_DURATION)
    for record in instance.get_run_records(wanted):
        run = record.dagster_run
        if (
            not is_of_other_sync(instance, run, sync, location)
            and _materializes(instance, run, keys)
            and not _seems_killed(instance, run, now)
        ):
            yield record


def reject_concurrent_run(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    keys: Collection[dg.AssetKey] = SYNC_KEYS,
) -> None:
    """Fails the run if an older one is in progress, on an instance that does not limit the pool.

    Args:
        instance: Dagster's instance.
        run: The run.
        keys: Keys of the sync's assets.

    Raises:
        UserError: an older run is in progress, and this run does not re-execute it.
    """
    own = instance.get_run_record_by_id(run.run_id)
    if own is None:
        return
    lineage = set(run_lineage(instance, run))
    for record in runs_in_progress(
        instance, ACTIVE_STATUSES, datetime.now(UTC), keys=keys, location=location_of(run)
    ):
        other = record.dagster_run.run_id
        if other not in lineage and record.create_timestamp < own.create_timestamp:
            raise UserError(
                f"Run {other} is syncing already, so this run did not start; nothing is lost. "
                "Wait until it ends and run again. If its process was killed, terminate it in the "
                "UI first. To make Dagster queue runs instead, run "
                "`dagster instance concurrency set helpdesk_sync 1`."
            )


def _materializes(
    instance: dg.DagsterInstance, run: dg.DagsterRun, keys: Collection[dg.AssetKey]
) -> bool:
    # Dagster logs the planned assets when it creates the run, for jobs and single assets alike.
    planned = instance.all_logs(run.run_id, of_type=PLANNED_EVENT)
    return any(
        entry.dagster_event is not None and entry.dagster_event.asset_key in keys
        for entry in planned
    )


def _seems_killed(instance: dg.DagsterInstance, run: dg.DagsterRun, now: datetime) -> bool:
    if run.status not in ACTIVE_STATUSES:
        return False
    last = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return bool(last) and now - datetime.fromtimestamp(last[0].timestamp, UTC) > MAX_SILENCE
