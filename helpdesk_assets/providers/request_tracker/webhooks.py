"""Request Tracker has no webhooks of its own; sites post from a Scrip on each transaction:

    {"id": 101, "type": "Status", "lastUpdated": "2026-11-23T19:40:37Z", "transaction": 4711}

with the shared secret in a header; in stage TransactionBatch, since before that the change is not
committed, and RT answers a fetch as if it had not been made. One click can be several transactions
of one second. RT waits for the answer and never posts again. The body is a hint, whatever a site
puts into it.
"""

from __future__ import annotations

from helpdesk_assets.providers.webhooks.events import Event, Post, Vendor
from helpdesk_assets.providers.webhooks.payloads import id_in, ticket_id_in, time_of, word_in
from helpdesk_assets.providers.webhooks.verification import holds_secret, secret_of
from helpdesk_assets.settings import Settings

# As deploy/request-tracker-webhook.scrip does, with a little left for the way.
WAITS = 9.0


def vendor(settings: Settings) -> Vendor:
    def verify(post: Post, secrets: tuple[str, ...]) -> bool:
        return holds_secret(secrets, secret_of(post, settings))

    return Vendor("request_tracker", WAITS, verify, read)


def read(post: Post) -> list[Event]:
    """See `Vendor.read`. A deletion is a `Status` like others; the ticket tells."""
    payload = post.payload()
    ticket_id = ticket_id_in(payload, ("id", "ticket_id"))
    transaction = id_in(payload, ("transaction",))
    event_id = f"transaction-{transaction}" if transaction else None
    kind, at = word_in(payload, "type", "transaction"), time_of(payload.get("lastUpdated"))
    return [Event(event_id, ticket_id, kind, at, None, deleted=False, content=payload)]
