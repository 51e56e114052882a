"""Names a vendor's ticket fields, and reads their values.

Must not know HTTP or paging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.parsing import exact_json

TEXT_KEYS = ("name", "label", "value", "id")
NAME_KEYS = ("name", "email", "id")


def as_text(value: Any) -> str | None:
    """Read a status or priority: a text or number as it is, or the name of an object."""
    return _text(value, TEXT_KEYS)


def as_name(value: Any) -> str | None:
    """Read an assignee: a text, or the name, address or id of an object."""
    return _text(value, NAME_KEYS)


def as_flag(value: Any) -> bool:
    """Read a flag: true only for `true`, also as text. "false" as text is false."""
    return value is True or (isinstance(value, str) and value.strip().casefold() == "true")


def parse_iso_time(value: Any) -> datetime | None:
    """Parse an ISO 8601 text with a zone; None stays None.

    Raises:
        ValueError: the value is not such a text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("not text")  # noqa: TRY004 - one error for every invalid time
    return utc(datetime.fromisoformat(value))


@dataclass(frozen=True, slots=True)
class FieldMap:
    """One vendor's names for our fields, and how their values are read.

    Attributes:
        deleted: the field with the deletion time, unless `deleted_at` is set.
        text_parsers: replaces the parser of a text field, by our name for it.
        parse_time: parses a time; raises ValueError if it is not one.
        deleted_at: takes the whole row and returns the value that `parse_time` reads as the time of
            deletion, None for a live ticket.
        volatile: fields that differ between two readings of the same version. `raw_json` keeps
            them, and the content hash leaves them out.
    """

    ticket_id: str = "id"
    subject: str = "subject"
    status: str = "status"
    priority: str = "priority"
    assignee: str = "assignee"
    created: str = "createdTime"
    modified: str = "modifiedTime"
    deleted: str = "deletedTime"
    text_parsers: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    parse_time: Callable[[Any], datetime | None] = parse_iso_time
    deleted_at: Callable[[Mapping[str, Any]], Any] | None = None
    volatile: tuple[str, ...] = ()


def _text(value: Any, names: tuple[str, ...]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        texts = (_text(value.get(name), ()) for name in names)
        return next((text for text in texts if text), None)
    if isinstance(value, bool | int | float):
        return exact_json.compose(value)
    return None
