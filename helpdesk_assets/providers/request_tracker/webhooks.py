"""Request Tracker has no webhooks of its own; sites post from a Scrip on each transaction:

    {"id": 101, "type": "Status", "lastUpdated": "2026-11-23T19:40:37Z", "transaction": 4711}

with the shared secret in a header; in stage TransactionBatch, since before that the change is not
committed, and RT answers a fetch as if it had not been made. One click can be several transactions
of one second. RT waits for the answer and never posts again. The body is a hint, whatever a site
puts into it.
"""

from __future__ import annotations

from helpdesk_assets.providers.webhooks.events import Event, Post, WebhookFormat
from helpdesk_assets.providers.webhooks.payloads import id_in, parse_time, text_in, ticket_id_in
from helpdesk_assets.providers.webhooks.verification import is_known_secret, shared_secret
from helpdesk_assets.settings import Settings

# As deploy/request-tracker-webhook.scrip does, with a little left for the way.
TIMEOUT_SECONDS = 9.0


def webhook_format(settings: Settings) -> WebhookFormat:
    def verify(post: Post, secrets: tuple[str, ...]) -> bool:
        return is_known_secret(secrets, shared_secret(post, settings))

    return WebhookFormat("request_tracker", TIMEOUT_SECONDS, verify, read)


def read(post: Post) -> list[Event]:
    """See `WebhookFormat.read`. A deletion is a `Status` like others; the ticket tells."""
    payload = post.payload()
    ticket_id = ticket_id_in(payload, ("id", "ticket_id"))
    transaction = id_in(payload, ("transaction",))
    event_id = f"transaction-{transaction}" if transaction else None
    event_type, at = text_in(payload, "type", "transaction"), parse_time(payload.get("lastUpdated"))
    return [Event(event_id, ticket_id, event_type, at, None, deleted=False, content=payload)]
