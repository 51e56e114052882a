"""Transactions that removed tickets of Request Tracker, and conditions on them."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.dialects.request_tracker_sql import (
    Condition,
    InvalidQuery,
    parse_query_time,
)
from helpdesk_assets.local.simulator.dialects.request_tracker_tickets import link
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, Removal, RemovalKind
from helpdesk_assets.local.simulator.ticket_factory import Json


def removal_transactions(backend: HelpdeskBackend) -> Iterator[Json]:
    """Yield the transactions that removed tickets, oldest first; a merge is on both tickets."""
    number = 0
    for ticket_id, removal in backend.removals.items():
        is_merge = removal.kind is RemovalKind.MERGED
        for object_id in (ticket_id, removal.into) if is_merge else (ticket_id,):
            number += 1
            yield _removal_transaction(backend, number, str(object_id), removal)


def _removal_transaction(
    backend: HelpdeskBackend, number: int, ticket_id: str, removal: Removal
) -> Json:
    version = backend.find(ticket_id)
    is_merge = removal.kind is RemovalKind.MERGED
    into = f"fsck.com-rt://example/ticket/{removal.into}"
    return {
        **link("transaction", str(number)),
        "ObjectType": "RT::Ticket",
        "ObjectId": ticket_id,
        "Type": "AddLink" if is_merge else "Status",
        "Field": "MergedInto" if is_merge else "Status",
        "OldValue": "" if is_merge else "open",
        "NewValue": into if is_merge else "deleted",
        "Created": to_text(removal.at),
        "Creator": link("user", "root"),
        # Searchable, but not returned. A merge keeps the time of the merged ticket.
        "TicketType": "ticket",
        "TicketStatus": "open" if is_merge else "deleted",
        "TicketLastUpdated": to_text(version.modified if version and not is_merge else 0),
    }


def matches_row(condition: Condition, row: Json, zone: ZoneInfo, ticket_zone: ZoneInfo) -> bool:
    """Return whether a transaction meets the condition.

    Args:
        condition: part of the query.
        row: the transaction.
        zone: the user's time zone.
        ticket_zone: that of the times of the transaction's ticket.

    Raises:
        InvalidQuery: transactions do not have the condition's field.
    """
    if condition.field not in row:
        raise InvalidQuery(f"Unknown field: {condition.field}")
    actual, expected = row[condition.field], condition.value
    if condition.field == "id":
        return condition.matches(int(actual), int(expected))
    if condition.field == "Created":
        return condition.matches(actual, to_text(parse_query_time(expected, zone)))
    if condition.field == "TicketLastUpdated":
        return condition.matches(actual, to_text(parse_query_time(expected, ticket_zone)))
    return condition.matches(actual, expected)
