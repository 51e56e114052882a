"""Merges the batch into `tickets`. An older version never overwrites a newer one."""

import dagster as dg

from helpdesk_assets.defs.assets.factory import sync_asset
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.latest_batch import latest_batch
from helpdesk_assets.defs.metadata import MISSED_UPDATES, batch_reference
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest


@sync_asset(
    "tickets_table",
    tables.TICKETS,
    deps=[MISSED_UPDATES],
    details="Stored as `tickets`. Webhooks may write to this table too: of two versions the newer "
    "one stays, whoever wrote it.",
)
def tickets_table(
    context: dg.AssetExecutionContext, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[MergeRequest]:
    """Returns the query that merges the latest batch into `tickets`."""
    request = MergeRequest(None)
    with as_failure():
        manifest = latest_batch(context.instance, context.run)
        if manifest is not None:
            with bigquery.sync_tables() as sync_tables:
                request = sync_tables.requests.tickets(manifest)
    return dg.MaterializeResult(value=request, metadata=batch_reference(manifest))
