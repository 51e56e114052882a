"""How webhooks do, day by day. Apart from the sync, which it must not make slower or dearer."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery


class WebhookHealthConfig(dg.Config):
    """How far back to look."""

    days: int = Field(default=30, ge=1, le=366, description="How many days, today among them.")


@dg.asset(
    name=metadata.WEBHOOK_HEALTH,
    deps=[metadata.MISSED_UPDATES],
    description="What webhooks delivered, late or never, per day.\n\nOne query over the ledger and "
    "the events, once a day and whenever you materialise it. It stores nothing: the chart and the "
    "numbers are in its metadata, and the UI plots those of the last whole day.",
    group_name="helpdesk",
    owners=["team:support-data"],
    kinds={"bigquery", "python"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
    ),
)
def webhook_health(
    context: dg.AssetExecutionContext, config: WebhookHealthConfig, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[None]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=config.days - 1)
    with as_failure(), bigquery.sync_tables() as sync_tables:
        days = sync_tables.webhook_days(
            since, bigquery.settings().webhooks, run_id=context.run.run_id
        )
    return dg.MaterializeResult(metadata=metadata.health(days, today.date()))
