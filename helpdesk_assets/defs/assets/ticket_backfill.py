"""Loads history month by month, one run per partition of a Dagster backfill.

The asset is independent of the sync: it waits for no step, delays none, and leaves the watermark
alone.
"""

import dagster as dg

from helpdesk_assets.config.standalone import backfill_from
from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import BACKFILL_POOL, RETRY_POLICY, TEAM
from helpdesk_assets.defs.assets.raw_ticket_changes import log_progress
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.operations.backfill import backfill
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport
from helpdesk_assets.settings import load_settings

# `end_offset` adds the current month: a backfill reads the part of it that the sync has passed.
MONTHLY_PARTITIONS = dg.MonthlyPartitionsDefinition(
    start_date=backfill_from(), fmt="%Y-%m", end_offset=1
)


@dg.asset(
    name=metadata.TICKET_BACKFILL,
    partitions_def=MONTHLY_PARTITIONS,
    description="Reads and merges the tickets that last changed in one month.\n\nWrites to the "
    "tables of the sync under the same guard, so an older version never replaces a newer one. "
    "Does not move the watermark and records no missed webhooks.",
    # A separate group: materialising it together with the sync would make Dagster ask for a month.
    group_name="helpdesk_backfill",
    owners=[f"team:{TEAM}"],
    kinds={"bigquery", "python"},
    code_version="1",
    retry_policy=RETRY_POLICY,
    pool=BACKFILL_POOL,
)
def ticket_backfill(
    context: dg.AssetExecutionContext, helpdesk: HelpdeskResource, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[None]:
    """Reads and merges one month."""
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
        context.log.info("Nothing to read: the sync has not reached this month yet.")
    return dg.MaterializeResult(metadata=_metadata_of(context, report))


def _metadata_of(context: dg.AssetExecutionContext, report: SyncReport | None) -> metadata.Metadata:
    if report is None:
        return metadata.backfilled(None, RunCounts(), {})
    for outcome in report.facts.repeated:
        context.log.warning(
            "%d rows of %s were beyond the first of their key, and %d are removed. %s",
            outcome.found,
            outcome.table,
            outcome.removed,
            outcome.problem or "Another run had inserted the same keys at the same time.",
        )
    jobs = {"query_jobs": report.query_jobs, "load_jobs": report.load_jobs}
    return metadata.backfilled(report.manifest, report.facts, jobs)
