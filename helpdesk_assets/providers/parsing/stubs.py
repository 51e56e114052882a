"""Read of a vendor's JSON object no more than which ticket it is, and its times.

An inventory needs nothing else of a row. Making it a text and hashing it is most of what reading a
ticket costs, and both would be thrown away. A sighting walks like any ticket, and must never be
stored as one: it leaves the adapter as a line of an inventory. Must not know HTTP or paging.
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
    """A ticket of which nothing else is looked at. Two sightings are the same where the modified
    time is: a walk drops what it has seen already, and a change must not be taken for that."""
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
    """Reads the same rows as `TicketReader`, and refuses the same ids and times."""

    def _ticket(self, row: Any, placeholder_id: str) -> Ticket:
        ticket_id = self._id(row, placeholder_id)
        created, modified, deleted = self._times(row, ticket_id)
        return ticket_stub(ticket_id, modified, created_time=created, deleted_time=deleted)


def to_inventory_page(page: Page, total: int | None = None) -> InventoryPage:
    """A page of sightings as a page of an inventory."""
    return InventoryPage(
        entries=tuple(
            InventoryEntry(seen.ticket_id, seen.modified_time, gone=seen.deleted_time is not None)
            for seen in page.tickets
        ),
        served_at=page.served_at,
        total=total,
        unreadable=tuple(bad.ticket_id for bad in page.bad),
    )
