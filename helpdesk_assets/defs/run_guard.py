"""Finds runs of the sync that are in progress on this instance, of any job.

Two concurrent syncs do no harm, because of the MERGE and the compare-and-set on the state row. They
only do the same work twice, so this guard saves work and must not be relied on for correctness.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.latest_batch import run_lineage
from helpdesk_assets.errors import UserError

PLANNED_EVENT = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
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
    instance: dg.DagsterInstance, statuses: tuple[dg.DagsterRunStatus, ...], now: datetime
) -> Iterator[dg.RunRecord]:
    """Yields runs that materialise an asset of the sync.

    Args:
        instance: Dagster's instance.
        statuses: Statuses of the runs to find.
        now: Current time, UTC.
    """
    wanted = dg.RunsFilter(statuses=list(statuses), created_after=now - MAX_RUN_DURATION)
    for record in instance.get_run_records(wanted):
        log = instance.all_logs(record.dagster_run.run_id)
        if _is_sync_run(log) and not _seems_killed(record, log, now):
            yield record


def reject_concurrent_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Fails the run if an older one is in progress, on an instance that does not limit the pool.

    Raises:
        UserError: an older run is in progress, and this run does not re-execute it.
    """
    own = instance.get_run_record_by_id(run.run_id)
    if own is None:
        return
    lineage = set(run_lineage(instance, run))
    for record in runs_in_progress(instance, ACTIVE_STATUSES, datetime.now(UTC)):
        other = record.dagster_run.run_id
        if other not in lineage and record.create_timestamp < own.create_timestamp:
            raise UserError(
                f"Run {other} is syncing already, so this run did not start; nothing is lost. "
                "Wait until it ends and run again. If its process was killed, terminate it in the "
                "UI first. To make Dagster queue runs instead, run "
                "`dagster instance concurrency set helpdesk_sync 1`."
            )


def _is_sync_run(log: Sequence[dg.EventLogEntry]) -> bool:
    # Dagster logs the planned assets when it creates the run, for jobs and single assets alike.
    planned = {
        entry.dagster_event.asset_key
        for entry in log
        if entry.dagster_event and entry.dagster_event.event_type_value == PLANNED_EVENT
    }
    return any(dg.AssetKey(name) in planned for name in metadata.ASSET_NAMES)


def _seems_killed(record: dg.RunRecord, log: Sequence[dg.EventLogEntry], now: datetime) -> bool:
    if record.dagster_run.status not in ACTIVE_STATUSES:
        return False
    last = max(entry.timestamp for entry in log)
    return now - datetime.fromtimestamp(last, UTC) > MAX_SILENCE
