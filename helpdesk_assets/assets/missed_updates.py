"""Records what no webhook delivered. Before the merge: afterwards nothing looks missed."""

import dagster as dg

from helpdesk_assets import tables
from helpdesk_assets.assets.attributes import sync_asset
from helpdesk_assets.metadata import RAW_TICKET_CHANGES, derived_from
from helpdesk_assets.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.resources.failures import as_failure
from helpdesk_assets.resources.handed_on import handed_on
from helpdesk_assets.warehouse.sync_tables import MergeRequest


@sync_asset(
    "missed_updates",
    tables.MISSED_UPDATES,
    deps=[RAW_TICKET_CHANGES],
    more="A change counts once it is older than WEBHOOK_GRACE_SECONDS and no event of the receiver "
    "delivered it or, without that receiver, the tickets table does not have it. Nothing is "
    "recorded on the first load or with WEBHOOKS_ENABLED=false.",
)
def missed_updates(
    context: dg.AssetExecutionContext, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[MergeRequest]:
    request = MergeRequest(None)
    with as_failure():
        manifest = handed_on(context.instance, context.run)
        if manifest is not None:
            settings = bigquery.settings()
            with bigquery.sync_tables() as sync_tables:
                request = sync_tables.missed_request(manifest, settings.webhooks)
    return dg.MaterializeResult(value=request, metadata=derived_from(manifest))
