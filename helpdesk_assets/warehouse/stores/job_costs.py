"""Reads what BigQuery has billed for our jobs."""

from __future__ import annotations

import uuid

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.model.job_costs import StepCost
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.job_costs import job_costs


def read_costs(client: BigQueryClient, days: int) -> tuple[StepCost, ...]:
    """Return the cost of each step of the last days, the dearest first.

    Args:
        client: the dataset; its project's jobs are summed up.
        days: how far to look back.

    Raises:
        WarehouseRefused: the warehouse is a local one, which bills nothing.
        CredentialsRefused: the identity may not see the project's jobs.
    """
    if client.is_emulator:
        raise WarehouseRefused(
            "The local warehouse bills nothing and keeps no list of jobs. Set BIGQUERY_PROJECT to "
            "see what the real one has billed; docs/bigquery-cost.md has what to expect."
        )
    if client.location is None:
        client.ensure_dataset()
    asked = job_costs(client.dataset, client.location or "US", days)
    outcome = client.run(asked, run_id=uuid.uuid4().hex, step="costs")
    return tuple(
        StepCost(
            dataset=row["dataset"] or "",
            step=row["step"] or "",
            jobs=int(row["jobs"]),
            failed=int(row["failed"]),
            bytes_billed=int(row["bytes_billed"]),
            slot_seconds=float(row["slot_seconds"]),
        )
        for row in outcome.rows
    )
