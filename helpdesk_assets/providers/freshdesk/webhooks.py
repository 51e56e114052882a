"""Freshdesk's webhooks: an automation rule posts a body that an admin writes, unsigned.

The rule sets a header with the shared secret. The body is only a hint: the admin chooses its names,
and its values are display texts. No rule fires for deleted tickets; the sync finds those.
"""

from __future__ import annotations

from collections.abc import Mapping

from helpdesk_assets.providers.webhooks.events import Event, Post, Verification, WebhookFormat
from helpdesk_assets.providers.webhooks.payloads import parse_time, text_in, ticket_id_in
from helpdesk_assets.providers.webhooks.verification import is_known_secret, shared_secret
from helpdesk_assets.settings import Settings

WRAPPER_KEY = "freshdesk_webhook"
# Freshdesk's timeout is not documented; it retries after 5, 30 and 60 minutes.
TIMEOUT_SECONDS = 9.0


def webhook_format(settings: Settings) -> WebhookFormat:
    """Return the format, with the shared secret in a header."""

    def verify(post: Post, secrets: tuple[str, ...]) -> Verification:
        return Verification(is_known_secret(secrets, shared_secret(post, settings)))

    return WebhookFormat("freshdesk", TIMEOUT_SECONDS, verify, read)


def read(post: Post) -> list[Event]:
    """See `WebhookFormat.read`.

    Freshdesk wraps its simple bodies in an outer object; bodies that an admin writes may lack it.
    """
    payload = post.payload()
    inner = payload.get(WRAPPER_KEY, payload) if isinstance(payload, Mapping) else payload
    ticket_id = ticket_id_in(inner, ("ticket_id", "id"))
    event_type, at = text_in(inner, "type", "rule"), parse_time(inner.get("updated_at"))
    return [Event(None, ticket_id, event_type, at, None, deleted=False, content=payload)]
