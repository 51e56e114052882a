"""Events of webhooks, stored as our receiver stores them once their tickets are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import timedelta

from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.writer import TableWriter


def store_events(warehouse: BigQueryClient, changes: Iterable[TrueTicket], *, delay: float) -> None:
    """One event for each change, which came and was durable so many seconds after it."""
    with spooled(changes, delay=delay) as spool:
        TableWriter(warehouse).merge(
            tables.WEBHOOK_EVENTS, spool, run_id="receiver", step="webhook_events"
        )


def spooled(changes: Iterable[TrueTicket], *, delay: float) -> Spool:
    """Return the events as rows."""
    spool = Spool(1_000_000)
    for change in changes:
        came = (change.modified_time + timedelta(seconds=delay)).isoformat()
        row = {
            "event_id": uuid.uuid4().hex,
            "ticket_id": change.ticket_id,
            "type": "ticket.updated",
            "modifiedTime": change.modified_time.isoformat(),
            "deleted": False,
            "helpdesk": "rest",
            "received_at": came,
            "committed_at": came,
            "_run_id": "receiver",
        }
        spool.append(json.dumps(row).encode())
    return spool
