"""Events of webhooks, stored as our receiver stores them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta

import orjson

from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader
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
    """Return the events as rows. Each brings its ticket, as changed."""
    spool, reader = Spool(1_000_000), TicketReader(FieldMap(), skip_bad=False)
    for change in changes:
        came = change.modified_time + timedelta(seconds=delay)
        (ticket,) = reader.page([change.raw_ticket]).tickets
        event = WebhookEvent(
            uuid.uuid4().hex,
            change.ticket_id,
            "ticket.updated",
            EventKind.TICKET,
            "rest",
            came,
            change.modified_time,
            ticket,
            came,
        )
        spool.append(orjson.dumps(event.row(), option=orjson.OPT_UTC_Z))
    return spool
