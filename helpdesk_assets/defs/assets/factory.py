"""What the four assets have in common, so that none of them differs by accident."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from helpdesk_assets.defs.table_metadata import describe
from helpdesk_assets.warehouse.table_spec import TableSpec

IO_MANAGER_KEY = "bigquery_merge"
SYNC_POOL = "helpdesk_sync"
BACKFILL_POOL = "helpdesk_backfill"

# The schedule ticks every two hours: one tick late is worth a look, two are a fault.
FRESHNESS_POLICY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=5), warn_window=timedelta(hours=3)
)
# HTTP calls and statements have retries of their own; this is for what outlasts them.
RETRY_POLICY = dg.RetryPolicy(
    max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


def sync_asset(
    name: str, spec: TableSpec, *, details: str, deps: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """`@dg.asset` for a table of ours; `details` tells, after the table's description, how it comes
    to be."""
    return dg.asset(
        name=name,
        deps=deps,
        description=f"{spec.description}\n\n{details}",
        metadata={**describe(spec), "dagster/storage_kind": "bigquery"},
        io_manager_key=IO_MANAGER_KEY,
        group_name="helpdesk",
        owners=["team:support-data"],
        kinds={"bigquery", "python"},
        code_version="1",
        freshness_policy=FRESHNESS_POLICY,
        retry_policy=RETRY_POLICY,
        pool=SYNC_POOL,
    )
