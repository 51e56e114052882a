"""The webhook function that a user would have: writes a ticket into the table when it changes.

It stands for somebody else's code, so it takes nothing from the sync but the writer, whose guard
keeps it from overwriting what is newer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.table_spec import MergeReport

SMALL_BATCH_BYTES = 4_000_000


def deliver(
    helpdesk: Helpdesk, warehouse: BigQueryClient, ticket_ids: Iterable[str], *, run_id: str
) -> MergeReport:
    """Fetch each ticket, as its webhook would, and merge them into the tickets table."""
    tickets = (helpdesk.ticket(ticket_id) for ticket_id in ticket_ids)
    return store(warehouse, (ticket for ticket in tickets if ticket is not None), run_id=run_id)


def store(warehouse: BigQueryClient, tickets: Iterable[Ticket], *, run_id: str) -> MergeReport:
    """Merge these versions into the tickets table, marked as a webhook's."""
    with spooled(tickets, run_id) as spool:
        writer = TableWriter(warehouse, small_batch_bytes=SMALL_BATCH_BYTES)
        return writer.merge(tables.TICKETS, spool, run_id=run_id, step="webhook")


def spooled(tickets: Iterable[Ticket], run_id: str) -> Spool:
    """Return these versions as rows of the tickets table, marked as a webhook's."""
    now, spool = datetime.now(UTC), Spool(SMALL_BATCH_BYTES)
    for ticket in tickets:
        spool.append(json.dumps(_row(ticket, now, run_id), ensure_ascii=False).encode())
    return spool


def _row(ticket: Ticket, now: datetime, run_id: str) -> dict[str, Any]:
    return {
        "ticket_id": ticket.ticket_id,
        "subject": ticket.subject,
        "status": ticket.status,
        "priority": ticket.priority,
        "assignee": ticket.assignee,
        "createdTime": _text(ticket.created_time),
        "modifiedTime": _text(ticket.modified_time),
        "deletedTime": _text(ticket.deleted_time),
        "raw_json": json.loads(ticket.raw_json),
        "_content_hash": ticket.content_hash,
        "_synced_at": _text(now),
        "_first_synced_at": _text(now),
        "_synced_by": "webhook",
        "_run_id": run_id,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
