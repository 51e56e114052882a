"""Compares every ticket that the helpdesk lists with the tickets table, and repairs what differs.

One step, check included: what is found has to be judged as it was found, and a second step could
only ask again.
"""

from dataclasses import replace
from datetime import timedelta

import dagster as dg
from pydantic import Field

from helpdesk_assets.checks.evidence import CheckResult
from helpdesk_assets.checks.inventory import CHECK_NAME, inventory_matches
from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import RETRY_POLICY
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.defs.resources.helpdesk import HelpdeskResource
from helpdesk_assets.defs.table_metadata import COLUMN_SCHEMA, column_schema
from helpdesk_assets.operations.reconcile import ReconcilePolicy, reconcile
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables

# Not the sync's, which it would hold up for as long as a sweep takes.
RECONCILE_POOL = "helpdesk_reconcile"


class ReconcileConfig(dg.Config):
    """What one reconciliation may do."""

    dry_run: bool = Field(default=False, description="Find and tell, and repair nothing.")
    max_delete_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="In place of RECONCILE_MOST_GONE_SHARE, such as after many tickets were "
        "deleted on purpose.",
    )

    def terms(self, settings: Settings) -> ReconcilePolicy:
        terms = ReconcilePolicy.from_settings(settings, dry_run=self.dry_run)
        share = self.max_delete_share
        return terms if share is None else replace(terms, max_delete_share=share)


@dg.asset(
    name=metadata.TICKET_INVENTORY,
    deps=[metadata.SYNC_WATERMARK],
    description=f"{tables.TICKET_INVENTORY.description}\n\nLists id and modified time of every "
    "ticket in the cheapest way that the helpdesk has, and compares them with the tickets table by "
    "one query. Absent and stale tickets are fetched and merged; those gone are asked for one by "
    "one and then marked. Every difference is a row of inventory_differences.",
    metadata={
        COLUMN_SCHEMA: column_schema(tables.TICKET_INVENTORY),
        "dagster/storage_kind": "bigquery",
    },
    # A group of its own, so that materialising the sync's does not sweep.
    group_name="reconciliation",
    owners=["team:support-data"],
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
            description="Did the sync see everything? Whatever was repaired, it should have seen.",
        )
    ],
)
def ticket_inventory(
    context: dg.AssetExecutionContext,
    config: ReconcileConfig,
    helpdesk: HelpdeskResource,
    bigquery: HelpdeskBigQuery,
) -> dg.MaterializeResult:  # type: ignore[type-arg] # Dagster takes no other beside a check
    with as_failure(), helpdesk.open() as source, bigquery.sync_tables() as sync_tables:
        report = reconcile(
            source,
            sync_tables,
            config.terms(bigquery.settings()),
            run_id=context.run.run_id,
            attempt=context.retry_number,
        )
    return dg.MaterializeResult(
        metadata=metadata.reconciled(report),
        check_results=[_check_result(inventory_matches(report))],
    )


def _check_result(check_result: CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=check_result.name,
        passed=check_result.passed,
        severity=dg.AssetCheckSeverity(check_result.severity.value),
        description=check_result.description,
        metadata=metadata.check_metadata(check_result.facts),
    )
