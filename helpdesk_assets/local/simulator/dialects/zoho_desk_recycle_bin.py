"""Recycle bin of Zoho Desk, which has rows of tickets and of other records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from helpdesk_assets.local.simulator.dialects.zoho_desk_tickets import milliseconds
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, RemovalKind
from helpdesk_assets.local.simulator.ticket_factory import DAY, Json, TicketVersion

RECYCLE_BIN_DAYS = 60
# The label of each module by its id.
MODULE_IDS = {"421370000000006001": "Tickets", "421370000000006003": "Contacts"}
# The field of a row by the order's name.
SORTED_BY = {
    "name": "displayName",
    "type": "type",
    "department": "departmentId",
    "deletedBy": "deletedById",
    "deletedTime": "deletedTime",
}


def modules() -> list[Json]:
    """Return the modules (zoho/zohodesk-oas, v1.0/Module.json)."""
    return [
        {"id": module_id, "apiName": label.lower(), "displayLabel": label, "hasRecycleBin": True}
        for module_id, label in MODULE_IDS.items()
    ]


def sorted_rows(rows: list[Json], order_by: str | None, *, is_ascending: bool) -> list[Json]:
    """Return rows in an order; without one as they are. Equal rows stay as they were."""
    if order_by is None:
        return rows
    field = SORTED_BY[order_by]
    return sorted(rows, key=lambda row: str(row[field]), reverse=not is_ascending)


def recycle_bin_rows(
    backend: HelpdeskBackend,
    raw_ticket: Callable[[TicketVersion], Json],
    kinds: Collection[RemovalKind],
) -> Iterator[Json]:
    """Yield the recycle bin's rows, oldest first; every third ticket adds a contact.

    Args:
        backend: the helpdesk's state.
        raw_ticket: returns a ticket in Zoho Desk's format.
        kinds: removals whose tickets are in the recycle bin.
    """
    since = backend.clock.tick() - RECYCLE_BIN_DAYS * DAY
    for number, (ticket_id, removal) in enumerate(backend.removals.items()):
        version = backend.removed.get(ticket_id)
        if version is None or removal.kind not in kinds or removal.at < since:
            continue
        ticket = raw_ticket(version)
        row = {
            "id": ticket_id,
            "type": "Tickets",
            "displayName": ticket["subject"],
            "departmentId": ticket["departmentId"],
            "deletedById": "421370000000056000",
            "deletedTime": milliseconds(removal.at),
        }
        yield row
        if number % 3 == 0:
            yield {**row, "id": f"{ticket_id}9", "type": "Contacts", "displayName": "Ann Lee"}
