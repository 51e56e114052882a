"""Merges the webhooks that wait, between two syncs.

The asset is no step of the sync, which drains by itself before it reads the helpdesk.
"""

from datetime import timedelta

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import SYNC_POOL, TEAM
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.defs.sync_identity import tag_run
from helpdesk_assets.errors import WriterBusy
from helpdesk_assets.operations.drain import DrainPolicy, drain


@dg.asset(
    name=metadata.DRAINED_WEBHOOKS,
    description="Merges the events of the receiver that nobody has merged yet into the tickets "
    "table, and records in webhook_outcomes what became of each.\n\nFetches the tickets of events "
    "that only name them, each once. Another writer is not waited for: the next run does it.",
    metadata={"dagster/storage_kind": "bigquery"},
    # A separate group, so that materialising the sync's does not drain twice.
    group_name="webhooks",
    owners=[f"team:{TEAM}"],
    kinds={"bigquery", "python"},
    code_version="1",
    pool=SYNC_POOL,
)
def drained_webhooks(
    context: dg.AssetExecutionContext, helpdesk: HelpdeskResource, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[None]:
    """Drains once; fails if something but time keeps events waiting."""
    tag_run(context.instance, context.run.run_id)
    with as_failure():
        settings = bigquery.settings()
        with helpdesk.open() as source, bigquery.sync_tables() as sync_tables:
            used = sync_tables.use
            try:
                report = drain(
                    source,
                    sync_tables,
                    run_id=context.run.run_id,
                    everything=False,
                    policy=DrainPolicy.from_settings(settings),
                    wait=timedelta(0),
                )
            except WriterBusy as error:
                context.log.info("%s The next run drains.", error)
                return dg.MaterializeResult(metadata={"busy": str(error)})
            use = sync_tables.use.since(used)
        for problem in report.problems:
            context.log.warning("Not stored: %s", problem)
        if report.error is not None:
            context.log.error(
                "%d of %d waiting webhooks are left to the next drain.", report.left, report.waiting
            )
            raise report.error
    return dg.MaterializeResult(metadata=metadata.drained(report, use))
