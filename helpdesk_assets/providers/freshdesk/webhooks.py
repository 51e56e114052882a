"""Freshdesk's webhooks: an automation rule calls a URL with a body of the admin's, unsigned.

The rule sets a header with the shared secret. The body is a hint: its names are chosen, its values
are shown texts. There is no rule for deleted tickets; those are the sync's to find.
"""

from __future__ import annotations

from collections.abc import Mapping

from helpdesk_assets.providers.webhooks.events import Event, Post, Vendor
from helpdesk_assets.providers.webhooks.payloads import ticket_id_in, time_of, word_in
from helpdesk_assets.providers.webhooks.verification import holds_secret, secret_of
from helpdesk_assets.settings import Settings

OUTER = "freshdesk_webhook"
# How long it waits is not documented; it tries again after 5, 30 and 60 minutes.
WAITS = 9.0


def vendor(settings: Settings) -> Vendor:
    def verify(post: Post, secrets: tuple[str, ...]) -> bool:
        return holds_secret(secrets, secret_of(post, settings))

    return Vendor("freshdesk", WAITS, verify, read)


def read(post: Post) -> list[Event]:
    """See `Vendor.read`. Freshdesk's simple bodies are inside an outer object; ones that an admin
    writes need not be."""
    payload = post.payload()
    inner = payload.get(OUTER, payload) if isinstance(payload, Mapping) else payload
    ticket_id = ticket_id_in(inner, ("ticket_id", "id"))
    kind, at = word_in(inner, "type", "rule"), time_of(inner.get("updated_at"))
    return [Event(None, ticket_id, kind, at, None, deleted=False, content=payload)]
