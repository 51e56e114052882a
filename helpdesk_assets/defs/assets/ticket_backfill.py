"""History by the month, spread over as many runs and machines as Dagster's backfill makes of it.

No step of the sync: it waits for none, holds none up, and leaves the watermark alone.
"""

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import BACKFILL_POOL, RETRY_POLICY
from helpdesk_assets.defs.assets.raw_ticket_changes import log_progress
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.operations.backfill import backfill
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport
from helpdesk_assets.settings import backfill_from, load_settings

# The month that is not over as well: a backfill reads of it what the sync has passed.
MONTHLY_PARTITIONS = dg.MonthlyPartitionsDefinition(
    start_date=backfill_from(), fmt="%Y-%m", end_offset=1
)


@dg.asset(
    name=metadata.TICKET_BACKFILL,
    partitions_def=MONTHLY_PARTITIONS,
    description="Tickets that last changed in a month, read and merged.\n\nInto the tables of the "
    "sync and by the same guard, so that an older version never replaces a newer one. The "
    "watermark stays, and no webhook is judged by it.",
    # Not among those that are materialised together: Dagster would ask for a month then.
    group_name="helpdesk_backfill",
    owners=["team:support-data"],
    kinds={"bigquery", "python"},
    code_version="1",
    retry_policy=RETRY_POLICY,
    pool=BACKFILL_POOL,
)
def ticket_backfill(
    context: dg.AssetExecutionContext, helpdesk: HelpdeskResource, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[None]:
    month = context.partition_time_window
    with as_failure():
        settings = load_settings().for_backfill
        with helpdesk.open(settings) as source, bigquery.sync_tables() as sync_tables:
            report = backfill(
                source,
                sync_tables,
                month.start,
                month.end,
                SyncPolicy.from_settings(settings),
                run_id=context.run.run_id,
                on_page=lambda progress: log_progress(progress, context.log.info),
            )
    if report is None:
        context.log.info("The sync has not passed this month yet; there is nothing to read.")
    return dg.MaterializeResult(metadata=_metadata_of(context, report))


def _metadata_of(context: dg.AssetExecutionContext, report: SyncReport | None) -> metadata.Metadata:
    if report is None:
        return metadata.backfilled(None, RunCounts(), {})
    if report.facts.repeated_keys:
        context.log.warning(
            "%d tickets have more than one row: another run inserted them at the same moment. "
            "The check one_row_per_ticket is about them.",
            report.facts.repeated_keys,
        )
    jobs = {"query_jobs": report.query_jobs, "load_jobs": report.load_jobs}
    return metadata.backfilled(report.manifest, report.facts, jobs)
