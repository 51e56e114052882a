"""Freshdesk's webhooks: an automation rule calls a URL with a body of the admin's, unsigned.

The rule sets a header with the shared secret. The body is a hint: its names are chosen, its values
are shown texts. There is no rule for deleted tickets; those are the sync's to find.
"""

from __future__ import annotations

from collections.abc import Mapping

from helpdesk_assets.providers.webhooks.events import Event, Post, WebhookFormat
from helpdesk_assets.providers.webhooks.payloads import parse_time, text_in, ticket_id_in
from helpdesk_assets.providers.webhooks.verification import is_known_secret, shared_secret
from helpdesk_assets.settings import Settings

WRAPPER_KEY = "freshdesk_webhook"
# How long it waits is not documented; it tries again after 5, 30 and 60 minutes.
TIMEOUT_SECONDS = 9.0


def webhook_format(settings: Settings) -> WebhookFormat:
    def verify(post: Post, secrets: tuple[str, ...]) -> bool:
        return is_known_secret(secrets, shared_secret(post, settings))

    return WebhookFormat("freshdesk", TIMEOUT_SECONDS, verify, read)


def read(post: Post) -> list[Event]:
    """See `WebhookFormat.read`. Freshdesk's simple bodies are inside an outer object; ones that an
    admin writes need not be."""
    payload = post.payload()
    inner = payload.get(WRAPPER_KEY, payload) if isinstance(payload, Mapping) else payload
    ticket_id = ticket_id_in(inner, ("ticket_id", "id"))
    event_type, at = text_in(inner, "type", "rule"), parse_time(inner.get("updated_at"))
    return [Event(None, ticket_id, event_type, at, None, deleted=False, content=payload)]
