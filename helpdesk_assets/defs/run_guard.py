"""Which runs of ours are under way on this instance, whatever job they belong to.

Two syncs at once do no harm: the MERGE and the compare-and-set on the state row see to that. They
only do the same work twice, so this is politeness and must not be relied on.
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
# A killed worker may leave its run "started" for ever, and that must not end the sync for good.
# No run of ours lives longer: the job's `dagster/max_runtime` is the same.
MAX_RUN_DURATION = timedelta(hours=6)
# A run at work says something every hundred pages and at every step; one statement may take 15
# minutes. So one that was killed holds the next ones up for half an hour and not for six.
MAX_SILENCE = timedelta(minutes=30)


def runs_in_progress(
    instance: dg.DagsterInstance, statuses: tuple[dg.DagsterRunStatus, ...], now: datetime
) -> Iterator[dg.RunRecord]:
    """Runs that have one of `statuses` and are to materialise an asset of ours."""
    wanted = dg.RunsFilter(statuses=list(statuses), created_after=now - MAX_RUN_DURATION)
    for record in instance.get_run_records(wanted):
        log = instance.all_logs(record.dagster_run.run_id)
        if _is_sync_run(log) and not _seems_killed(record, log, now):
            yield record


def reject_concurrent_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Where the pool holds, there is never another one; this is for an instance without it.

    Raises:
        UserMistake: an older run is at work, and it is not the one that this one re-executes.
    """
    own = instance.get_run_record_by_id(run.run_id)
    if own is None:
        return
    lineage = set(run_lineage(instance, run))
    for record in runs_in_progress(instance, ACTIVE_STATUSES, datetime.now(UTC)):
        other = record.dagster_run.run_id
        if other not in lineage and record.create_timestamp < own.create_timestamp:
            raise UserError(
                f"Run {other} is syncing already, so this one was not begun; nothing is lost. "
                "Wait for it to end and run again; if its process was killed, terminate it in the "
                "UI first. To have Dagster queue runs instead: "
                "dagster instance concurrency set helpdesk_sync 1"
            )


def _is_sync_run(log: Sequence[dg.EventLogEntry]) -> bool:
    # What is planned is logged when the run is made, for jobs and single assets alike.
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
