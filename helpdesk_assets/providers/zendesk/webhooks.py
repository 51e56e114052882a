"""Zendesk's webhooks: event subscriptions, and those that a trigger sends with a body of the
admin's. Signed over timestamp and body; one webhook has one secret.

`detail` of an event is not the whole ticket (its status is in upper case, its fields are fewer), so
each post is a hint. An event that is of no ticket is answered and left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from helpdesk_assets.providers.webhooks.events import Event, Post, Vendor
from helpdesk_assets.providers.webhooks.payloads import id_in, ticket_id_in, time_of, word_in
from helpdesk_assets.providers.webhooks.verification import base64_digest, is_fresh, is_signed
from helpdesk_assets.settings import Settings

TIMESTAMP = "x-zendesk-webhook-signature-timestamp"
SIGNATURE = "x-zendesk-webhook-signature"
INVOCATION = "x-zendesk-webhook-invocation-id"
OF_TICKETS = "zen:event-type:ticket."
GONE = tuple(
    f"{OF_TICKETS}{end}" for end in ("soft_deleted", "permanently_deleted", "marked_as_spam")
)
# It gives up after 10 to 12 seconds.
WAITS = 9.0


def vendor(settings: Settings) -> Vendor:
    tolerance = timedelta(seconds=settings.webhook_tolerance_seconds)

    def verify(post: Post, secrets: tuple[str, ...]) -> bool:
        stamp = post.headers.get(TIMESTAMP, "")
        message = stamp.encode() + post.body
        signed = is_signed(secrets, message, post.headers.get(SIGNATURE), base64_digest)
        return is_fresh(time_of(stamp), post.received_at, tolerance) and signed

    return Vendor("zendesk", WAITS, verify, read)


def read(post: Post) -> list[Event]:
    """See `Vendor.read`."""
    payload = post.payload()
    invocation = id_in(post.headers, (INVOCATION,))
    if isinstance(payload, Mapping) and "zendesk_event_version" in payload:
        return _subscribed(payload, invocation)
    ticket_id = ticket_id_in(payload, ("ticket_id", "id"))
    kind, at = word_in(payload, "type", "trigger"), time_of(payload.get("updated_at"))
    return [Event(invocation, ticket_id, kind, at, None, deleted=False, content=payload)]


def _subscribed(payload: Mapping[str, Any], invocation: str | None) -> list[Event]:
    """The id of the event is signed, that of the invocation is not; both stay when it is sent
    again."""
    kind = word_in(payload, "type", "")
    if not kind.startswith(OF_TICKETS):
        return []
    detail = payload.get("detail")
    deleted = kind in GONE
    told = (
        payload.get("time")
        if deleted or not isinstance(detail, Mapping)
        else detail.get("updated_at")
    )
    event_id = id_in(payload, ("id",)) or invocation
    ticket_id = ticket_id_in(detail, ("id",))
    return [Event(event_id, ticket_id, kind, time_of(told), None, deleted, payload)]
