"""Webhooks of `rest`, for the simulated helpdesk and signing gateways, by Standard Webhooks.

    webhook-id: the event's id, the same each time it is sent
    webhook-timestamp: seconds since 1970
    webhook-signature: v1,BASE64 of HMAC-SHA256(secret, id.timestamp.body); several, with spaces

    {"id": "…", "type": "ticket.updated", "ticketId": "…", "modifiedTime": "…", "ticket": {…}}

`id` counts if it is there, else `webhook-id`. `ticket` is the ticket as `GET /v2/tickets/{id}`
returns it; without it the ticket is fetched. `ticket.deleted` has no `ticket`; its `modifiedTime`
is the time of the deletion.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.webhooks.events import Event, Post, Verification, WebhookFormat
from helpdesk_assets.providers.webhooks.payloads import (
    id_in,
    parse_time,
    parse_unix_time,
    text_in,
    ticket_id_in,
)
from helpdesk_assets.providers.webhooks.verification import (
    is_signed_with,
    standard_key,
    standard_signatures,
    verify_time,
)
from helpdesk_assets.settings import Settings

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
DELETED = "ticket.deleted"
TIMEOUT_SECONDS = 30.0


def webhook_format(settings: Settings) -> WebhookFormat:
    """Return the format, with signatures checked against WEBHOOK_TOLERANCE_SECONDS."""
    tolerance = timedelta(seconds=settings.webhook_tolerance_seconds)
    reader = TicketReader(FieldMap(), skip_bad=False, redact=settings.redaction)

    def verify(post: Post, secrets: tuple[str, ...]) -> Verification:
        message_id = post.headers.get(ID_HEADER, "")
        timestamp = post.headers.get(TIMESTAMP_HEADER, "")
        # Without an id there would be a message that another id could be read out of.
        signed = bool(message_id) and is_signed_with(
            map(standard_key, secrets),
            f"{message_id}.{timestamp}.".encode() + post.body,
            standard_signatures(post.headers.get(SIGNATURE_HEADER, "")),
        )
        return verify_time(
            parse_unix_time(timestamp), post.received_at, tolerance, is_signed=signed
        )

    return WebhookFormat("rest", TIMEOUT_SECONDS, verify, partial(read, reader))


def read(reader: TicketReader, post: Post) -> list[Event]:
    """See `WebhookFormat.read`."""
    payload = post.payload()
    ticket_id = ticket_id_in(payload, ("ticketId",))
    event_type, at = text_in(payload, "type", "ticket"), parse_time(payload.get("modifiedTime"))
    deleted = event_type == DELETED
    ticket = None
    if deleted and at is not None:
        ticket = reader.tombstone(ticket_id, at, payload)
    elif payload.get("ticket") is not None:
        ticket = _parse_ticket(reader, payload["ticket"], ticket_id)
        at = ticket.modified_time
    event_id = id_in(payload, ("id",)) or id_in(post.headers, (ID_HEADER,))
    return [Event(event_id, ticket_id, event_type, at, ticket, deleted, payload)]


def _parse_ticket(reader: TicketReader, row: object, ticket_id: str) -> Ticket:
    ticket = reader.ticket(row, ticket_id)
    if not isinstance(ticket, Ticket) or ticket.ticket_id != ticket_id:
        raise ValueError(f"`ticket` is not the ticket of ticketId {ticket_id}")
    return ticket
