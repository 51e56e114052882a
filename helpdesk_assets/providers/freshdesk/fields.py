"""Which of Freshdesk's fields fill the columns, and which numbers have names.

Must not know HTTP or paging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from helpdesk_assets.providers.parsing.field_map import FieldMap, as_flag, as_text

MAPPING_VERSION = 2  # see `Capabilities.mapping_version`

# The statuses that every account has; those above are its own.
# (developers.freshdesk.com/api/#ticket_attributes; 6 and 7 as GET /ticket_fields names them)
STATUSES = {
    2: "Open",
    3: "Pending",
    4: "Resolved",
    5: "Closed",
    6: "Waiting on Customer",
    7: "Waiting on Third Party",
}
PRIORITIES = {1: "Low", 2: "Medium", 3: "High", 4: "Urgent"}


def text_by_number(names: Mapping[int, str]) -> Callable[[Any], str | None]:
    """Return a parser from numbers to names; custom statuses and other values stay as text."""
    return lambda value: (
        names.get(value) if type(value) is int and value in names else as_text(value)
    )


def deleted_at(row: Mapping[str, Any]) -> Any:
    """Return when a ticket was deleted or marked as spam, None for a live ticket.

    Freshdesk does not report that time. It is the ticket's last change, unless the ticket was
    changed in the trash.
    """
    is_gone = any(as_flag(row.get(name)) for name in ("deleted", "spam"))
    return row.get("updated_at") if is_gone else None


FIELD_MAP = FieldMap(
    assignee="responder_id",
    created="created_at",
    modified="updated_at",
    text_parsers={"status": text_by_number(STATUSES), "priority": text_by_number(PRIORITIES)},
    deleted_at=deleted_at,
)
