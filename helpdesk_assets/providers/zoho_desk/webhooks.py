"""Zoho Desk's webhooks: an array of events, the body unsigned.

The token in `X-ZDesk-JWT` says that Zoho is calling, and not what it says; whoever has seen one may
send any body with it until it ends. So a shared secret is asked for as well, in a header or, since
Zoho lets one choose nothing but the URL, behind it; and every event is a hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpdesk_assets.providers.webhooks.events import Event, Post, Vendor
from helpdesk_assets.providers.webhooks.payloads import ticket_id_in, time_of, unix_time, word_in
from helpdesk_assets.providers.webhooks.verification import holds_secret, secret_of
from helpdesk_assets.providers.zoho_desk.webhook_tokens import ZohoTokens
from helpdesk_assets.settings import Settings

TOKEN = "x-zdesk-jwt"  # noqa: S105 - a header's name
OF_TICKETS = "Ticket_"
DELETED = "Ticket_Delete"
# Parts of a ticket have ids of their own; the ticket's stands beside them.
OWN_ID, OF_PART = ("id", "ticketId"), ("ticketId",)
PARTS = ("Ticket_Thread", "Ticket_Comment", "Ticket_Attachment")
# It gives up after 5 seconds.
WAITS = 4.5


def vendor(settings: Settings) -> Vendor:
    """
    Raises:
        SettingsError: ZOHO_JWKS_URL is no https address.
    """
    tokens = ZohoTokens.from_settings(settings)

    def verify(post: Post, secrets: tuple[str, ...]) -> bool:
        known = holds_secret(secrets, secret_of(post, settings, in_url=True))
        if known and tokens is not None:
            return tokens.are_good(post.headers.get(TOKEN, ""), post.received_at)
        return known

    return Vendor("zoho_desk", WAITS, verify, read)


def read(post: Post) -> list[Event]:
    """See `Vendor.read`."""
    payload = post.payload()
    rows = payload if isinstance(payload, list) else [payload]
    return [
        _event(row, kind)
        for row in rows
        if (kind := word_in(row, "eventType", OF_TICKETS)).startswith(OF_TICKETS)
    ]


def _event(row: Any, kind: str) -> Event:
    inner = row.get("payload") if isinstance(row, Mapping) else None
    if not isinstance(inner, Mapping):
        raise ValueError("an event has no payload")  # noqa: TRY004 - as for all that is unreadable
    ticket_id = ticket_id_in(inner, OF_PART if kind.startswith(PARTS) else OWN_ID)
    deleted = kind == DELETED
    told = unix_time(row.get("eventTime"), per_second=1000)
    at = told if deleted else time_of(inner.get("modifiedTime")) or told
    return Event(None, ticket_id, kind, at, None, deleted, row)
