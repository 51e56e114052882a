"""The table tickets of an older sync, which is taken over with its rows."""

from __future__ import annotations

from datetime import datetime

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.statements.batch import newest_stored


def adopted_until(client: BigQueryClient, schema: Schema) -> datetime | None:
    """Return where an older sync's tickets table ends; None if there is no such table.

    A table with our own columns is not adopted: a first load that died left it, and its newest row
    says nothing about earlier changes.
    """
    held = {name.lower() for name in schema.columns(tables.TICKETS)}
    if tables.CONTENT_HASH.name in held or "modifiedtime" not in held:
        return None
    outcome = client.run(newest_stored(client.dataset), run_id="adopt", step="tickets")
    return next((row["watermark"] for row in outcome.rows), None)
