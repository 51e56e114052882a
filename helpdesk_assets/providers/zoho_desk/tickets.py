"""Reads a Zoho Desk ticket: its fields, its times, and whether it is deleted.

Must not know calls or pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.paging.by_time import EPOCH
from helpdesk_assets.providers.parsing.field_map import (
    FieldMap,
    as_flag,
    as_text,
    parse_iso_time,
)
from helpdesk_assets.providers.parsing.tickets import unreadable

NO_PRIORITY = "-None-"
# The fields that mark a ticket in the recycle bin. The vendor's published example of a ticket has
# isDeleted as text (zoho/zohodesk-oas, v1.0/Ticket.json).
DELETION_FLAGS = ("isTrashed", "isDeleted")
# They move when somebody looks at a ticket or when a time passes, and modifiedTime stays. Rows of
# the search have them (zoho/zohodesk-oas, v1.0/Search.json and v1.0/Ticket.json).
VOLATILE = ("isOverDue", "isRead", "isResponseOverdue", "lastThread")


def parse_zoho_time(value: Any) -> datetime | None:
    """Parse ISO 8601, or milliseconds since 1970 as a number, which some vendor samples show.

    Raises:
        ValueError: the value is neither.
        OverflowError: the number is out of range.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return EPOCH + timedelta(milliseconds=value)
    return parse_iso_time(value)


def deleted_at(row: Mapping[str, Any]) -> Any:
    """Return when a ticket became spam or was deleted, None for a live ticket.

    The ticket does not report that time. It is the ticket's last change, unless the ticket was
    changed afterwards; the recycle bin has the exact time.
    """
    is_gone = any(as_flag(row.get(name)) for name in ("isSpam", *DELETION_FLAGS))
    return row.get("modifiedTime") if is_gone else None


def priority(value: Any) -> str | None:
    """Read a priority; older tickets have `-None-` for none."""
    return None if value == NO_PRIORITY else as_text(value)


FIELD_MAP = FieldMap(
    assignee="assigneeId",
    text_parsers={"priority": priority},
    parse_time=parse_zoho_time,
    deleted_at=deleted_at,
    volatile=VOLATILE,
)


def _modified(ticket: Ticket) -> datetime:
    return ticket.modified_time


def _created(ticket: Ticket) -> datetime:
    if ticket.created_time is None:
        raise unreadable(BadTicket(ticket.ticket_id, "createdTime", "is absent"))
    return ticket.created_time


@dataclass(frozen=True, slots=True)
class SortKey:
    """The time that a search goes by: its name, and how to read it from a ticket."""

    name: str
    time_of: Callable[[Ticket], datetime]


MODIFIED = SortKey("modifiedTime", _modified)
CREATED = SortKey("createdTime", _created)
