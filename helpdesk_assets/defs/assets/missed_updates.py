"""Records the changes that no webhook delivered.

This asset runs before the merge: after it, nothing looks missed.
"""

import dagster as dg

from helpdesk_assets.defs.assets.factory import sync_asset
from helpdesk_assets.defs.assets.sync_step import begin_step, bound
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.metadata import MISSED_UPDATES, RAW_TICKET_CHANGES, batch_reference
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest


@sync_asset(
    MISSED_UPDATES,
    tables.MISSED_UPDATES,
    deps=[RAW_TICKET_CHANGES],
    details="A change counts as missed if it is older than WEBHOOK_GRACE_SECONDS and no event of "
    "the receiver delivered it. With WEBHOOK_LEDGER=table it counts if the tickets table does not "
    "have it yet. Nothing is judged before the first event is stored, on the first load, of rows "
    "that somebody deleted by hand, or with WEBHOOKS_ENABLED=false.",
)
def missed_updates(
    context: dg.AssetExecutionContext, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[MergeRequest]:
    """Returns the query that records the missed updates of the run's batch."""
    with as_failure():
        settings = bigquery.settings()
        manifest = begin_step(context, MISSED_UPDATES, tables.MISSED_UPDATES).batch(settings)
        with bigquery.sync_tables() as sync_tables:
            request = sync_tables.requests.missed(manifest, settings.webhooks)
    return dg.MaterializeResult(value=bound(request, settings), metadata=batch_reference(manifest))
