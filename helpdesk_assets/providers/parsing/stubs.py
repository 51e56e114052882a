"""Reads only a ticket's id and times from a vendor's JSON object.

An inventory needs nothing else. Serialising and hashing the row is most of the cost of reading a
ticket, and both results would be discarded. A stub is paged like any ticket but must never be
stored as one: it leaves the adapter as an inventory entry. Must not know HTTP or paging.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from helpdesk_assets.model.tickets import InventoryEntry, InventoryPage, Page, Ticket
from helpdesk_assets.providers.parsing.tickets import TicketReader


def ticket_stub(
    ticket_id: str,
    modified_time: datetime,
    *,
    created_time: datetime | None = None,
    deleted_time: datetime | None = None,
) -> Ticket:
    """Create a ticket with id and times only.

    Its content hash is the modified time: pagers drop rows seen before, and must not drop a changed
    ticket.

    Args:
        ticket_id: the ticket's id.
        modified_time: when it was last modified.
        created_time: when it was created, if known.
        deleted_time: when it was deleted; None for a live ticket.
    """
    return Ticket(
        ticket_id=ticket_id,
        subject=None,
        status=None,
        priority=None,
        assignee=None,
        created_time=created_time,
        modified_time=modified_time,
        deleted_time=deleted_time,
        raw_json="",
        content_hash=modified_time.isoformat(),
    )


class StubReader(TicketReader):
    """Reads the same rows as `TicketReader`, and rejects the same ids and times."""

    def _ticket(self, row: Any, placeholder_id: str) -> Ticket:
        ticket_id = self._id(row, placeholder_id)
        created, modified, deleted = self._times(row, ticket_id)
        return ticket_stub(ticket_id, modified, created_time=created, deleted_time=deleted)


def to_inventory_page(page: Page, total: int | None = None) -> InventoryPage:
    """Convert a page of stubs to an inventory page; `total` is the helpdesk's count, if known."""
    return InventoryPage(
        entries=tuple(
            InventoryEntry(stub.ticket_id, stub.modified_time, gone=stub.deleted_time is not None)
            for stub in page.tickets
        ),
        served_at=page.served_at,
        total=total,
        unreadable=tuple(bad.ticket_id for bad in page.bad),
        resume=page.resume,
    )
