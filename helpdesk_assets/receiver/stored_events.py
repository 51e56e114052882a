"""Makes of a vendor's event what is stored of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.providers.webhooks.events import Event, event_digest

# By how much the helpdesk's clock, which dates changes, may be ahead of the receiver's.
CLOCKS_APART = timedelta(minutes=5)


def as_stored(event: Event, helpdesk: str, received_at: datetime) -> WebhookEvent:
    """Return an event as it is stored.

    A vendor's word that a ticket is deleted may bring nothing else: then nobody knows yet whether
    the ticket ever existed. It is not dated far in the future, where it would outlive the truth.

    Args:
        event: the vendor's event.
        helpdesk: the provider's name.
        received_at: when its post arrived, by the receiver's clock.
    """
    latest = received_at + CLOCKS_APART
    modified_time, ticket = event.modified_time, event.ticket
    is_told = event.deleted and (ticket is None or ticket.tombstone)
    if is_told and modified_time is not None:
        modified_time = min(modified_time, latest)
    if ticket is not None:
        ticket = _with_deletion(event, ticket, latest)
        modified_time = ticket.modified_time
    return WebhookEvent(
        event_id=event.event_id or event_digest(event, event.modified_time or received_at),
        ticket_id=event.ticket_id,
        type=event.type,
        kind=_kind(event, is_told=is_told),
        helpdesk=helpdesk,
        received_at=received_at,
        modified_time=modified_time,
        ticket=ticket,
    )


def _kind(event: Event, *, is_told: bool) -> EventKind:
    if is_told:
        return EventKind.DELETION
    return EventKind.HINT if event.ticket is None else EventKind.TICKET


def _with_deletion(event: Event, ticket: Ticket, latest: datetime) -> Ticket:
    """Return the ticket with the deletion that its event tells, which is not beyond `latest`."""
    deleted_time = ticket.deleted_time
    if event.deleted and deleted_time is None:
        deleted_time = event.modified_time or ticket.modified_time
    if deleted_time is not None:
        deleted_time = min(deleted_time, latest)
    if deleted_time == ticket.deleted_time:
        return ticket
    if ticket.tombstone and deleted_time is not None:
        return replace(ticket, modified_time=deleted_time, deleted_time=deleted_time)
    return replace(ticket, deleted_time=deleted_time)
