"""Reads ids, texts and times from webhook payloads; unreadable values become None.

Vendors, admins and rules write payloads, so any field may be absent or of another type, except the
ticket's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.parsing.exact_json import storable_text

MAX_ID_CHARS = 100
MAX_TYPE_CHARS = 200


def id_in(row: Any, names: Iterable[str]) -> str | None:
    """Return the first of these fields that is a valid id, as text."""
    if not isinstance(row, Mapping):
        return None
    return next((found for name in names if (found := as_id(row.get(name)))), None)


def as_id(value: Any) -> str | None:
    """Return a whole number or a short printable text as an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= MAX_ID_CHARS:
        return value.strip()
    return None


def ticket_id_in(row: Any, names: Iterable[str]) -> str:
    """Return the first of these fields that is a valid id.

    Raises:
        ValueError: none of the fields is a valid id.
    """
    names = tuple(names)
    found = id_in(row, names)
    if found is None:
        raise ValueError(f"no ticket id: {' or '.join(names)} is absent or not an id")
    return found


def text_in(row: Any, name: str, default: str) -> str:
    """Return a field's text, cut to `MAX_TYPE_CHARS`, or `default` if it is absent or empty."""
    value = row.get(name) if isinstance(row, Mapping) else None
    return storable_text(value[:MAX_TYPE_CHARS]) if isinstance(value, str) and value else default


def parse_time(value: Any) -> datetime | None:
    """Parse an ISO 8601 text with a zone; None for anything else, which hints may contain."""
    if not isinstance(value, str):
        return None
    try:
        return utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def parse_unix_time(value: Any, *, units_per_second: int = 1) -> datetime | None:
    """Parse a number, or its text, of `1 / units_per_second` seconds since 1970."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or len(text) > 16:
        return None
    try:
        return datetime.fromtimestamp(int(text) / units_per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None
