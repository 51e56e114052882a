"""What the events of one ticket say together: one version, and when the ticket was so.

Pure: knows neither a helpdesk nor a warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import DELETION_TOLD_WITHIN, ReadTicket


def newest_versions(read: Iterable[ReadTicket]) -> list[ReadTicket]:
    """Return the newest version of each ticket; of equal ones the one read later, else the last.

    One row per ticket is merged, and a tombstone knows only the deletion. So the newest complete
    version takes over the deletion, unless it is newer or was read later.
    """
    complete: dict[str, ReadTicket] = {}
    deleted: dict[str, ReadTicket] = {}
    for each in read:
        versions = deleted if each.ticket.tombstone else complete
        before = versions.get(each.ticket.ticket_id)
        if before is None or _order(before) <= _order(each):
            versions[each.ticket.ticket_id] = each
    alone = [each for ticket_id, each in deleted.items() if ticket_id not in complete]
    return [
        *(_combined(each, deleted.get(each.ticket.ticket_id)) for each in complete.values()),
        *alone,
    ]


def as_told(ticket: Ticket, received_at: datetime) -> ReadTicket:
    """Return a version that an event brought, with the time when the ticket was so.

    That is when it changed, however late the event comes. A deletion counts from then to its event,
    but not for long: it must not undo a later reading.

    Args:
        ticket: the version.
        received_at: when the event arrived.
    """
    if not ticket.tombstone:
        return ReadTicket(ticket, ticket.modified_time)
    deleted_at = ticket.modified_time
    latest = min(deleted_at, received_at) + DELETION_TOLD_WITHIN
    return ReadTicket(ticket, min(max(deleted_at, received_at), latest))


def not_after(ticket: Ticket, latest: datetime) -> Ticket:
    """Return the ticket with a time of deletion that is not beyond `latest`."""
    if ticket.deleted_time is None or ticket.deleted_time <= latest:
        return ticket
    modified_time = latest if ticket.tombstone else ticket.modified_time
    return replace(ticket, modified_time=modified_time, deleted_time=latest)


def _order(each: ReadTicket) -> tuple[datetime, datetime]:
    return each.ticket.modified_time, each.read_at


def _combined(version: ReadTicket, deletion: ReadTicket | None) -> ReadTicket:
    if (
        deletion is None
        or deletion.ticket.modified_time < version.ticket.modified_time
        or deletion.read_at < version.read_at
    ):
        return version
    deleted_time = version.ticket.deleted_time or deletion.ticket.deleted_time
    return ReadTicket(replace(version.ticket, deleted_time=deleted_time), deletion.read_at)
