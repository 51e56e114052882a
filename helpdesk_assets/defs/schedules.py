"""The jobs and their schedules. Must not know tickets."""

from datetime import UTC, datetime

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import TEAM
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.run_guard import (
    ACTIVE_STATUSES,
    MAX_RUN_DURATION,
    QUEUED_STATUSES,
    SYNC_KEYS,
    runs_in_progress,
)
from helpdesk_assets.defs.sync_identity import SYNC_TAG, own_sync
from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.operations.drain import may_wait

# In process, because the steps are a chain and each takes less time than starting a process.
helpdesk_sync = dg.define_asset_job(
    "helpdesk_sync",
    selection=dg.AssetSelection.assets(*metadata.ASSET_NAMES),
    executor_def=dg.in_process_executor,
    description="Fetch what changed, record what webhooks missed, merge, move the watermark.",
    tags={"team": TEAM, "dagster/max_runtime": int(MAX_RUN_DURATION.total_seconds())},
)


@dg.schedule(
    cron_schedule="0 */2 * * *",
    job=helpdesk_sync,
    # UTC has no repeated and no missing hour.
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every two hours, unless a sync is queued or in progress.",
)
def every_two_hours(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Requests a run of the sync, unless a run of the same sync is queued or in progress."""
    for record in runs_in_progress(
        context.instance, (*QUEUED_STATUSES, *ACTIVE_STATUSES), datetime.now(UTC)
    ):
        run = record.dagster_run
        return dg.SkipReason(f"Run {run.run_id} ({run.job_name}) is already {run.status.value}.")
    sync = own_sync()
    return dg.RunRequest(
        run_key=context.scheduled_execution_time.isoformat(),
        tags={SYNC_TAG: sync} if sync else None,
    )


webhook_drain = dg.define_asset_job(
    "webhook_drain",
    selection=dg.AssetSelection.assets(metadata.DRAINED_WEBHOOKS),
    executor_def=dg.in_process_executor,
    description="Merge the webhooks that wait.",
    tags={"team": TEAM, "dagster/max_runtime": 3600},
)


@dg.schedule(
    cron_schedule="*/5 * * * *",
    job=webhook_drain,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every five minutes, if a receiver has appended events and no run is under way.",
)
def every_five_minutes(
    context: dg.ScheduleEvaluationContext, bigquery: HelpdeskBigQuery
) -> dg.RunRequest | dg.SkipReason:
    """Requests a drain, unless nothing waits by the tables' metadata, or a run is under way.

    Without this, an instance would have 288 runs a day that did nothing.
    """
    keys = SYNC_KEYS | {dg.AssetKey(metadata.DRAINED_WEBHOOKS)}
    for record in runs_in_progress(
        context.instance, (*QUEUED_STATUSES, *ACTIVE_STATUSES), datetime.now(UTC), keys=keys
    ):
        run = record.dagster_run
        return dg.SkipReason(f"Run {run.run_id} ({run.job_name}) is already {run.status.value}.")
    try:
        with bigquery.sync_tables() as sync_tables:
            waits = may_wait(sync_tables, everything=False)
    except HelpdeskAssetsError as error:
        # The sync fails of it as well, and tells.
        return dg.SkipReason(str(error))
    if not waits:
        return dg.SkipReason("No webhook waits.")
    sync = own_sync()
    return dg.RunRequest(
        run_key=context.scheduled_execution_time.isoformat(),
        tags={SYNC_TAG: sync} if sync else None,
    )


# A separate job, so that it neither waits for a sync nor delays one.
webhook_health_job = dg.define_asset_job(
    "webhook_health_job",
    selection=dg.AssetSelection.assets(metadata.WEBHOOK_HEALTH),
    executor_def=dg.in_process_executor,
    description="Draw how webhooks did, day by day.",
    tags={"team": TEAM},
)

# No schedule: a person starts it, and Dagster's backfill makes one run per month.
helpdesk_backfill = dg.define_asset_job(
    "helpdesk_backfill",
    selection=dg.AssetSelection.assets(metadata.TICKET_BACKFILL),
    executor_def=dg.in_process_executor,
    description="Read the tickets that last changed in one month, beside the running sync.",
    tags={"team": TEAM, "dagster/max_runtime": 24 * 3600},
)

# At 02:30 the sync has judged the whole previous day.
daily_webhook_health = dg.ScheduleDefinition(
    name="daily_webhook_health",
    job=webhook_health_job,
    cron_schedule="30 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day, after the sync has judged the whole previous day.",
)

# A separate job as well: listing millions of tickets takes hours, and the sync goes on meanwhile.
helpdesk_reconcile = dg.define_asset_job(
    "helpdesk_reconcile",
    selection=dg.AssetSelection.assets(metadata.TICKET_INVENTORY),
    executor_def=dg.in_process_executor,
    description="Compare every ticket that the helpdesk lists with the table; repair differences.",
    tags={"team": TEAM},
)

weekly_reconciliation = dg.ScheduleDefinition(
    name="weekly_reconciliation",
    job=helpdesk_reconcile,
    # Between two ticks of the sync, on Sunday, the quietest day.
    cron_schedule="45 2 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a week. Each repair is a change that the sync should have caught.",
)
