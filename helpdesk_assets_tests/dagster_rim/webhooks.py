"""A webhook receiver, as users have one: it writes whole tickets into the tickets table."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime

from helpdesk_assets import tables
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import load_settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.writer import TableWriter
from helpdesk_assets_tests.dagster_rim.conftest import World


def deliver(world: World, ticket_ids: Collection[str]) -> None:
    """Write these tickets as they are now, marked `_synced_by` webhook."""
    now = datetime.now(UTC).isoformat()
    helpdesk = make_helpdesk(load_settings())
    with Spool(4_000_000) as spool:
        for ticket_id in ticket_ids:
            ticket = helpdesk.ticket(ticket_id)
            assert ticket is not None
            row = {
                "ticket_id": ticket.ticket_id,
                "subject": ticket.subject,
                "status": ticket.status,
                "priority": ticket.priority,
                "assignee": ticket.assignee,
                "createdTime": ticket.created_time.isoformat() if ticket.created_time else None,
                "modifiedTime": ticket.modified_time.isoformat(),
                "deletedTime": None,
                "raw_json": json.loads(ticket.raw_json),
                "_content_hash": ticket.content_hash,
                "_synced_at": now,
                "_first_synced_at": now,
                "_synced_by": "webhook",
                "_run_id": None,
            }
            spool.append(json.dumps(row).encode())
        TableWriter(world.warehouse).merge(tables.TICKETS, spool, run_id="webhook", step="webhook")
    helpdesk.close()
