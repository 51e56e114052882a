"""Merges the batch into `tickets`. An older version never overwrites a newer one."""

import dagster as dg

from helpdesk_assets.defs.assets.factory import sync_asset
from helpdesk_assets.defs.assets.sync_step import begin_step, bound
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.metadata import MISSED_UPDATES, TICKETS_TABLE, batch_reference
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest


@sync_asset(
    TICKETS_TABLE,
    tables.TICKETS,
    deps=[MISSED_UPDATES],
    details="Stored as `tickets`. Webhooks may write to this table too: of two versions the newer "
    "one stays, whoever wrote it.",
)
def tickets_table(
    context: dg.AssetExecutionContext, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[MergeRequest]:
    """Returns the query that merges the run's batch into `tickets`."""
    with as_failure():
        settings = bigquery.settings()
        manifest = begin_step(context, TICKETS_TABLE, tables.TICKETS).batch(settings)
        with bigquery.sync_tables() as sync_tables:
            request = sync_tables.requests.tickets(manifest)
    return dg.MaterializeResult(value=bound(request, settings), metadata=batch_reference(manifest))
