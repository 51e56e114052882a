"""Which runs of ours are under way on this instance, whatever job they belong to.

Two syncs at once do no harm: the MERGE and the compare-and-set on the state row see to that. They
only do the same work twice, so this is politeness and must not be relied on.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from helpdesk_assets import metadata
from helpdesk_assets.errors import UserMistake

WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
WORKING = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
# A killed worker may leave its run "started" for ever, and that must not end the sync for good.
# No run of ours lives longer: the job's `dagster/max_runtime` is the same.
ZOMBIE_AFTER = timedelta(hours=6)


def in_progress(
    instance: dg.DagsterInstance, statuses: tuple[dg.DagsterRunStatus, ...], now: datetime
) -> Iterator[dg.RunRecord]:
    """Runs that have one of `statuses` and are to materialise an asset of ours."""
    wanted = dg.RunsFilter(statuses=list(statuses), created_after=now - ZOMBIE_AFTER)
    for record in instance.get_run_records(wanted):
        if _is_ours(instance, record.dagster_run.run_id):
            yield record


def refuse_beside_an_older_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Where the pool holds, there is never another one; this is for an instance without it.

    Raises:
        UserMistake: an older run is at work.
    """
    own = instance.get_run_record_by_id(run_id)
    if own is None:
        return
    for record in in_progress(instance, WORKING, datetime.now(UTC)):
        other = record.dagster_run.run_id
        if other != run_id and record.create_timestamp < own.create_timestamp:
            raise UserMistake(
                f"Run {other} is syncing already, so this one was not begun; nothing is lost. "
                "Wait for it to end and run again. To have Dagster queue runs instead, set "
                "concurrency.pools.default_limit to 1 in dagster.yaml."
            )


def _is_ours(instance: dg.DagsterInstance, run_id: str) -> bool:
    # What is planned is logged when the run is made, for jobs and single assets alike.
    planned = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    keys = {entry.dagster_event.asset_key for entry in planned if entry.dagster_event}
    return any(dg.AssetKey(name) in keys for name in metadata.ASSET_NAMES)
