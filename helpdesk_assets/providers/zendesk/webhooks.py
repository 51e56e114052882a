"""Zendesk's webhooks: event subscriptions, and triggers whose body an admin writes.

Zendesk signs timestamp and body; each webhook has its own secret. An event's `detail` is not the
complete ticket (its status is in upper case, it has fewer fields), so each post is only a hint.
Events that concern no ticket are accepted and ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from helpdesk_assets.providers.webhooks.events import Event, Post, Verification, WebhookFormat
from helpdesk_assets.providers.webhooks.payloads import id_in, parse_time, text_in, ticket_id_in
from helpdesk_assets.providers.webhooks.verification import (
    decode_base64,
    has_valid_signature,
    verify_time,
)
from helpdesk_assets.settings import Settings

TIMESTAMP_HEADER = "x-zendesk-webhook-signature-timestamp"
SIGNATURE_HEADER = "x-zendesk-webhook-signature"
INVOCATION_HEADER = "x-zendesk-webhook-invocation-id"
TICKET_EVENT_PREFIX = "zen:event-type:ticket."
DELETION_EVENTS = tuple(
    f"{TICKET_EVENT_PREFIX}{end}"
    for end in ("soft_deleted", "permanently_deleted", "marked_as_spam")
)
# Zendesk gives up after 10 to 12 seconds.
TIMEOUT_SECONDS = 9.0


def webhook_format(settings: Settings) -> WebhookFormat:
    """Return the format, with signatures checked against WEBHOOK_TOLERANCE_SECONDS."""
    tolerance = timedelta(seconds=settings.webhook_tolerance_seconds)

    def verify(post: Post, secrets: tuple[str, ...]) -> Verification:
        timestamp = post.headers.get(TIMESTAMP_HEADER, "")
        message = timestamp.encode() + post.body
        signed = has_valid_signature(
            secrets, message, post.headers.get(SIGNATURE_HEADER), decode_base64
        )
        return verify_time(parse_time(timestamp), post.received_at, tolerance, is_signed=signed)

    return WebhookFormat("zendesk", TIMEOUT_SECONDS, verify, read)


def read(post: Post) -> list[Event]:
    """See `WebhookFormat.read`."""
    payload = post.payload()
    invocation = id_in(post.headers, (INVOCATION_HEADER,))
    if isinstance(payload, Mapping) and "zendesk_event_version" in payload:
        return _subscription_events(payload, invocation)
    ticket_id = ticket_id_in(payload, ("ticket_id", "id"))
    event_type, at = text_in(payload, "type", "trigger"), parse_time(payload.get("updated_at"))
    return [Event(invocation, ticket_id, event_type, at, None, deleted=False, content=payload)]


def _subscription_events(payload: Mapping[str, Any], invocation: str | None) -> list[Event]:
    """Read a subscribed event.

    The event's id is signed, the invocation's is not; both stay the same on a resend.
    """
    event_type = text_in(payload, "type", "")
    if not event_type.startswith(TICKET_EVENT_PREFIX):
        return []
    detail = payload.get("detail")
    deleted = event_type in DELETION_EVENTS
    time_text = (
        payload.get("time")
        if deleted or not isinstance(detail, Mapping)
        else detail.get("updated_at")
    )
    event_id = id_in(payload, ("id",)) or invocation
    ticket_id = ticket_id_in(detail, ("id",))
    return [Event(event_id, ticket_id, event_type, parse_time(time_text), None, deleted, payload)]
