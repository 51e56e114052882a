"""Compares every ticket that the helpdesk lists with the tickets table and repairs differences.

The check is part of the same step: it needs the differences as they were found, and a second step
could only query again, after the repair.
"""

from dataclasses import replace
from datetime import timedelta

import dagster as dg
from pydantic import Field

from helpdesk_assets.checks.inventory import CHECK_NAME, inventory_matches
from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import RETRY_POLICY, TEAM
from helpdesk_assets.defs.checks.results import to_dagster_result
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.defs.table_metadata import COLUMN_SCHEMA, column_schema
from helpdesk_assets.operations.reconcile import ReconcilePolicy, reconcile
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse import tables

# Not the pool of the sync: a reconciliation would block it for as long as the listing takes.
RECONCILE_POOL = "helpdesk_reconcile"
# A check is told at its run's end; what is left of the archive is asked for by the next run.
LONGEST_ARCHIVE = timedelta(hours=12)


class ReconcileConfig(dg.Config):
    """Options of one reconciliation."""

    dry_run: bool = Field(default=False, description="Report differences without repairing.")
    max_delete_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Overrides RECONCILE_MOST_GONE_SHARE, for example after many tickets were "
        "deleted on purpose.",
    )

    def to_policy(self, settings: Settings) -> ReconcilePolicy:
        """Returns the settings' policy with this config applied."""
        policy = replace(
            ReconcilePolicy.from_settings(settings, dry_run=self.dry_run),
            longest_archive=LONGEST_ARCHIVE,
        )
        share = self.max_delete_share
        return policy if share is None else replace(policy, max_delete_share=share)


@dg.asset(
    name=metadata.TICKET_INVENTORY,
    deps=[metadata.SYNC_WATERMARK],
    description=f"{tables.TICKET_INVENTORY.description}\n\nLists the id and modified time of "
    "every ticket in the cheapest way that the helpdesk offers, and compares them with the tickets "
    "table in one query. Missing and outdated tickets are fetched and merged. Tickets that are not "
    "listed are looked up one by one and then marked as deleted. Every difference becomes a row of "
    "inventory_differences.",
    metadata={
        COLUMN_SCHEMA: column_schema(tables.TICKET_INVENTORY),
        "dagster/storage_kind": "bigquery",
    },
    # A separate group, so that materialising the sync's group does not list every ticket.
    group_name="reconciliation",
    owners=[f"team:{TEAM}"],
    kinds={"bigquery", "python"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=15), warn_window=timedelta(days=8)
    ),
    retry_policy=RETRY_POLICY,
    pool=RECONCILE_POOL,
    check_specs=[
        dg.AssetCheckSpec(
            CHECK_NAME,
            asset=metadata.TICKET_INVENTORY,
            description="Did the sync catch every change? Each repair is one that it missed.",
        )
    ],
)
def ticket_inventory(
    context: dg.AssetExecutionContext,
    config: ReconcileConfig,
    helpdesk: HelpdeskResource,
    bigquery: HelpdeskBigQuery,
) -> dg.MaterializeResult:  # type: ignore[type-arg] # Dagster accepts no parameter with a check
    """Runs one reconciliation and its check."""
    with as_failure():
        settings = load_settings().for_reconciliation
        with helpdesk.open(settings) as source, bigquery.sync_tables() as sync_tables:
            report = reconcile(
                source,
                sync_tables,
                config.to_policy(settings),
                run_id=context.run.run_id,
                attempt=context.retry_number,
            )
    return dg.MaterializeResult(
        metadata=metadata.reconciled(report),
        check_results=[to_dagster_result(inventory_matches(report))],
    )
