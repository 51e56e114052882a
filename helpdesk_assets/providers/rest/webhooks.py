"""Webhooks of the `rest` kind, which this project defines, for the simulated helpdesk and for
gateways that can sign what they send.

    X-Helpdesk-Timestamp: seconds since 1970
    X-Helpdesk-Signature: hex of HMAC-SHA256(secret, timestamp + body)

    {"id": "…", "type": "ticket.updated", "ticketId": "…", "modifiedTime": "…", "ticket": {…}}

`id` is the same each time an event is sent. `ticket` is the ticket as `GET /v2/tickets/{id}` gives
it; without it the ticket is fetched. `ticket.deleted` has none: `modifiedTime` is when it went.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.tickets import Shape, TicketReader
from helpdesk_assets.providers.webhooks.events import Event, Post, Vendor
from helpdesk_assets.providers.webhooks.payloads import (
    id_in,
    ticket_id_in,
    time_of,
    unix_time,
    word_in,
)
from helpdesk_assets.providers.webhooks.verification import hex_digest, is_fresh, is_signed
from helpdesk_assets.settings import Settings

TIMESTAMP = "x-helpdesk-timestamp"
SIGNATURE = "x-helpdesk-signature"
DELETED = "ticket.deleted"
WAITS = 30.0


def vendor(settings: Settings) -> Vendor:
    tolerance = timedelta(seconds=settings.webhook_tolerance_seconds)
    reader = TicketReader(Shape(), skip_bad=False, redact=settings.redaction)

    def verify(post: Post, secrets: tuple[str, ...]) -> bool:
        stamp = post.headers.get(TIMESTAMP, "")
        message = stamp.encode() + post.body
        signed = is_signed(secrets, message, post.headers.get(SIGNATURE), hex_digest)
        return is_fresh(unix_time(stamp), post.received_at, tolerance) and signed

    return Vendor("rest", WAITS, verify, partial(read, reader))


def read(reader: TicketReader, post: Post) -> list[Event]:
    """See `Vendor.read`."""
    payload = post.payload()
    ticket_id = ticket_id_in(payload, ("ticketId",))
    kind, at = word_in(payload, "type", "ticket"), time_of(payload.get("modifiedTime"))
    deleted = kind == DELETED
    ticket = None
    if deleted and at is not None:
        ticket = reader.tombstone(ticket_id, at, payload)
    elif payload.get("ticket") is not None:
        ticket = _whole(reader, payload["ticket"], ticket_id)
        at = ticket.modified_time
    return [Event(id_in(payload, ("id",)), ticket_id, kind, at, ticket, deleted, payload)]


def _whole(reader: TicketReader, row: object, ticket_id: str) -> Ticket:
    ticket = reader.ticket(row, ticket_id)
    if not isinstance(ticket, Ticket) or ticket.ticket_id != ticket_id:
        raise ValueError(f"the ticket is not that of ticketId {ticket_id}")
    return ticket
