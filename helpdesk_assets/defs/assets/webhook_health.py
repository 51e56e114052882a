"""Draws how webhooks perform, day by day.

The asset is separate from the sync, which it must not make slower or more expensive.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import TEAM
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery


class WebhookHealthConfig(dg.Config):
    """How far back the chart reaches."""

    days: int = Field(default=30, ge=1, le=366, description="Number of days, including today.")


@dg.asset(
    name=metadata.WEBHOOK_HEALTH,
    deps=[metadata.MISSED_UPDATES],
    description="What webhooks delivered in time, late or never, per day.\n\nRuns one query over "
    "missed_updates and the stored events, once a day and whenever you materialise it. It stores "
    "nothing: the chart and the numbers are in its metadata, and the UI plots those of the last "
    "whole day. Until a webhook has been stored, nothing is judged and it says so.",
    group_name="helpdesk",
    owners=[f"team:{TEAM}"],
    kinds={"bigquery", "python"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
    ),
)
def webhook_health(
    context: dg.AssetExecutionContext, config: WebhookHealthConfig, bigquery: HelpdeskBigQuery
) -> dg.MaterializeResult[None]:
    """Counts the last `config.days` days and draws them."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=config.days - 1)
    with as_failure(), bigquery.sync_tables() as sync_tables:
        judging = sync_tables.judging(bigquery.settings().webhooks)
        days = sync_tables.webhook_days(since, judging, run_id=context.run.run_id)
    return dg.MaterializeResult(metadata=metadata.health(days, today.date(), judging))
