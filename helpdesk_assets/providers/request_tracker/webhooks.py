"""Request Tracker's webhooks: RT has none, so sites post from a Scrip on each transaction.

    {"id": 101, "type": "Status", "lastUpdated": "2026-11-23T19:40:37Z", "transaction": 4711}

The shared secret is in a header. The Scrip must run in stage TransactionBatch: before that, the
change is not committed and a fetch returns the old version. One click can be several transactions
in one second. RT waits for the answer and never resends. The body is only a hint, whatever a site
puts into it.
"""

from __future__ import annotations

from helpdesk_assets.providers.webhooks.events import Event, Post, Verification, WebhookFormat
from helpdesk_assets.providers.webhooks.payloads import id_in, parse_time, text_in, ticket_id_in
from helpdesk_assets.providers.webhooks.verification import is_known_secret, shared_secret
from helpdesk_assets.settings import Settings

# A little less than the timeout in deploy/request-tracker-webhook.scrip.
TIMEOUT_SECONDS = 9.0


def webhook_format(settings: Settings) -> WebhookFormat:
    """Return the format, with the shared secret in a header."""

    def verify(post: Post, secrets: tuple[str, ...]) -> Verification:
        return Verification(is_known_secret(secrets, shared_secret(post, settings)))

    return WebhookFormat("request_tracker", TIMEOUT_SECONDS, verify, read)


def read(post: Post) -> list[Event]:
    """See `WebhookFormat.read`; a deletion is a `Status` like others, which the fetch reveals."""
    payload = post.payload()
    ticket_id = ticket_id_in(payload, ("id", "ticket_id"))
    transaction = id_in(payload, ("transaction",))
    event_id = f"transaction-{transaction}" if transaction else None
    event_type, at = text_in(payload, "type", "transaction"), parse_time(payload.get("lastUpdated"))
    return [Event(event_id, ticket_id, event_type, at, None, deleted=False, content=payload)]
