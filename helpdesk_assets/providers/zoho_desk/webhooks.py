"""Zoho Desk's webhooks: an array of events in an unsigned body.

The token in `X-ZDesk-JWT` proves that Zoho is calling but does not cover the body: whoever has seen
a token can send any body with it until it expires. So a shared secret is required as well, in a
header or, since Zoho lets users choose only the URL, in its query. Every event is only a hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpdesk_assets.providers.webhooks.events import Event, Post, Verification, WebhookFormat
from helpdesk_assets.providers.webhooks.payloads import (
    parse_time,
    parse_unix_time,
    text_in,
    ticket_id_in,
)
from helpdesk_assets.providers.webhooks.verification import is_known_secret, shared_secret
from helpdesk_assets.providers.zoho_desk.webhook_tokens import ZohoWebhookTokens
from helpdesk_assets.settings import Settings

TOKEN_HEADER = "x-zdesk-jwt"  # noqa: S105 - a header's name
TICKET_EVENT_PREFIX = "Ticket_"
DELETED = "Ticket_Delete"
# Parts of a ticket have their own `id` and name the ticket in `ticketId`.
TICKET_ID_KEYS, PARENT_ID_KEYS = ("id", "ticketId"), ("ticketId",)
PART_EVENT_PREFIXES = ("Ticket_Thread", "Ticket_Comment", "Ticket_Attachment")
# Zoho Desk gives up after 5 seconds, and takes nothing but 200 for a success
# (desk.zoho.com/support/WebhookDocument.do).
TIMEOUT_SECONDS = 4.5


def webhook_format(settings: Settings) -> WebhookFormat:
    """Return the format, with the shared secret and, if ZOHO_JWKS_URL is set, Zoho's token.

    Raises:
        SettingsError: ZOHO_JWKS_URL is not an https address, or PyJWT is not installed.
    """
    tokens = ZohoWebhookTokens.from_settings(settings)

    def verify(post: Post, secrets: tuple[str, ...]) -> Verification:
        known = is_known_secret(secrets, shared_secret(post, settings, in_url=True))
        if known and tokens is not None:
            return tokens.verify(post.headers.get(TOKEN_HEADER, ""), post.received_at)
        return Verification(known)

    return WebhookFormat("zoho_desk", TIMEOUT_SECONDS, verify, read)


def read(post: Post) -> list[Event]:
    """See `WebhookFormat.read`."""
    payload = post.payload()
    rows = payload if isinstance(payload, list) else [payload]
    return [
        _event(row, event_type)
        for row in rows
        if (event_type := text_in(row, "eventType", TICKET_EVENT_PREFIX)).startswith(
            TICKET_EVENT_PREFIX
        )
    ]


def _event(row: Any, event_type: str) -> Event:
    inner = row.get("payload") if isinstance(row, Mapping) else None
    if not isinstance(inner, Mapping):
        raise ValueError("an event has no payload")  # noqa: TRY004 - as for any unreadable body
    ticket_id = ticket_id_in(
        inner, PARENT_ID_KEYS if event_type.startswith(PART_EVENT_PREFIXES) else TICKET_ID_KEYS
    )
    deleted = event_type == DELETED
    event_time = parse_unix_time(row.get("eventTime"), units_per_second=1000)
    at = event_time if deleted else parse_time(inner.get("modifiedTime")) or event_time
    return Event(None, ticket_id, event_type, at, None, deleted, row)
