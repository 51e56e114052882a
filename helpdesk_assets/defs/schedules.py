"""The jobs and their schedules. No word about tickets in here."""

from datetime import UTC, datetime

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.run_guard import (
    ACTIVE_STATUSES,
    MAX_RUN_DURATION,
    QUEUED_STATUSES,
    runs_in_progress,
)

# In process: the steps are a chain and take less time than starting a process for each.
helpdesk_sync = dg.define_asset_job(
    "helpdesk_sync",
    selection=dg.AssetSelection.assets(*metadata.ASSET_NAMES),
    executor_def=dg.in_process_executor,
    description="Fetch what changed, record what webhooks missed, merge, move the watermark.",
    tags={"team": "support-data", "dagster/max_runtime": int(MAX_RUN_DURATION.total_seconds())},
)


@dg.schedule(
    cron_schedule="0 */2 * * *",
    job=helpdesk_sync,
    # UTC has no doubled and no missing hour.
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every two hours, unless a sync is waiting or at work.",
)
def every_two_hours(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    for record in runs_in_progress(
        context.instance, (*QUEUED_STATUSES, *ACTIVE_STATUSES), datetime.now(UTC)
    ):
        run = record.dagster_run
        return dg.SkipReason(f"Run {run.run_id} ({run.job_name}) is {run.status.value} already.")
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


# A job of its own, so that it neither waits for a sync nor holds one up.
webhook_health_job = dg.define_asset_job(
    "webhook_health_job",
    selection=dg.AssetSelection.assets(metadata.WEBHOOK_HEALTH),
    executor_def=dg.in_process_executor,
    description="Draw how webhooks did, day by day.",
    tags={"team": "support-data"},
)

# No schedule: a person starts it, and Dagster's backfill makes a run of each month.
helpdesk_backfill = dg.define_asset_job(
    "helpdesk_backfill",
    selection=dg.AssetSelection.assets(metadata.TICKET_BACKFILL),
    executor_def=dg.in_process_executor,
    description="Read the tickets that last changed in a month, while the sync goes on.",
    tags={"team": "support-data", "dagster/max_runtime": 24 * 3600},
)

# By then the sync has judged the whole of the day before.
daily_webhook_health = dg.ScheduleDefinition(
    name="daily_webhook_health",
    job=webhook_health_job,
    cron_schedule="30 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day, when the sync has judged the whole of the day before.",
)

# A job of its own as well: a sweep of millions takes hours, and the sync goes on meanwhile.
helpdesk_reconcile = dg.define_asset_job(
    "helpdesk_reconcile",
    selection=dg.AssetSelection.assets(metadata.TICKET_INVENTORY),
    executor_def=dg.in_process_executor,
    description="Compare every ticket that the helpdesk lists with the table; repair what differs.",
    tags={"team": "support-data"},
)

weekly_reconciliation = dg.ScheduleDefinition(
    name="weekly_reconciliation",
    job=helpdesk_reconcile,
    # Between two ticks of the sync, on the quietest day.
    cron_schedule="45 2 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a week: what it repairs, the sync should have seen.",
)
