"""What the assets have in common, so that none of them differs by accident."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from helpdesk_assets.defs.table_metadata import describe
from helpdesk_assets.warehouse.table_spec import TableSpec

IO_MANAGER_KEY = "bigquery_merge"
# Owns the assets and tags the runs.
TEAM = "support-data"

SYNC_POOL = "helpdesk_sync"
BACKFILL_POOL = "helpdesk_backfill"

# The schedule ticks every two hours: one late tick is worth a look, two are a fault.
FRESHNESS_POLICY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=5), warn_window=timedelta(hours=3)
)
# HTTP calls and statements have their own retries. These are for failures that outlast them.
RETRY_POLICY = dg.RetryPolicy(
    max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


def sync_asset(
    name: str, spec: TableSpec, *, details: str, deps: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Returns the `@dg.asset` decorator for one table of the sync.

    Args:
        name: The asset's name.
        spec: The table that the IO manager writes.
        details: Second paragraph of the description, after the table's own.
        deps: Upstream assets.
    """
    return dg.asset(
        name=name,
        deps=deps,
        description=f"{spec.description}\n\n{details}",
        metadata={**describe(spec), "dagster/storage_kind": "bigquery"},
        io_manager_key=IO_MANAGER_KEY,
        group_name="helpdesk",
        owners=[f"team:{TEAM}"],
        kinds={"bigquery", "python"},
        code_version="1",
        freshness_policy=FRESHNESS_POLICY,
        retry_policy=RETRY_POLICY,
        pool=SYNC_POOL,
    )
