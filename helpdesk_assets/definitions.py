"""Everything that Dagster loads, on one screen.

The definitions load anywhere: no client is made and nothing is called until a run needs it. Loading
reads two settings: whether alerts are configured, and the first month of a backfill.
"""

import dagster as dg

from helpdesk_assets.defs.alerts.run_reports import AlertScope
from helpdesk_assets.defs.alerts.sensor import AlertsResource, alert_sensors
from helpdesk_assets.defs.assets.drained_webhooks import drained_webhooks
from helpdesk_assets.defs.assets.factory import IO_MANAGER_KEY
from helpdesk_assets.defs.assets.missed_updates import missed_updates
from helpdesk_assets.defs.assets.raw_ticket_changes import raw_ticket_changes
from helpdesk_assets.defs.assets.sync_watermark import sync_watermark
from helpdesk_assets.defs.assets.ticket_backfill import ticket_backfill
from helpdesk_assets.defs.assets.ticket_inventory import ticket_inventory
from helpdesk_assets.defs.assets.tickets_table import tickets_table
from helpdesk_assets.defs.assets.webhook_health import webhook_health
from helpdesk_assets.defs.checks.sync_checks import sync_checks
from helpdesk_assets.defs.io_managers.bigquery_merge import BigQueryMergeIOManager
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.defs.resources.watermark import WatermarkResource
from helpdesk_assets.defs.schedules import (
    daily_webhook_health,
    every_five_minutes,
    every_two_hours,
    helpdesk_backfill,
    helpdesk_reconcile,
    helpdesk_sync,
    webhook_drain,
    webhook_health_job,
    weekly_reconciliation,
)

bigquery = HelpdeskBigQuery()
assets = [
    raw_ticket_changes,
    missed_updates,
    tickets_table,
    sync_watermark,
    drained_webhooks,
    webhook_health,
    ticket_inventory,
    ticket_backfill,
]
checks = [sync_checks]
jobs = [helpdesk_sync, webhook_drain, webhook_health_job, helpdesk_reconcile, helpdesk_backfill]

defs = dg.Definitions(
    assets=assets,
    asset_checks=checks,
    jobs=jobs,
    schedules=[every_two_hours, every_five_minutes, daily_webhook_health, weekly_reconciliation],
    sensors=alert_sensors(AlertScope.of([*assets, *checks], jobs)),
    resources={
        "alerts": AlertsResource(),
        "helpdesk": HelpdeskResource(),
        "bigquery": bigquery,
        "watermark": WatermarkResource(bigquery=bigquery),
        IO_MANAGER_KEY: BigQueryMergeIOManager(bigquery=bigquery),
    },
    executor=dg.in_process_executor,
)
