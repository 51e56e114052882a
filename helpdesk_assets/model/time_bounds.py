"""The times that a stored value may hold: with a zone, and within what can be calculated with."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

# Outside this span, adding an overlap or a zone leaves what a datetime can hold.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def check_times(value: Any) -> None:
    """Check every time within a value.

    Raises:
        ValueError: one has no zone, or is out of bounds.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None or not EARLIEST <= value < LATEST:
            raise ValueError(f"cannot calculate with the time {value.isoformat()}")
    elif isinstance(value, tuple | list):
        for each in value:
            check_times(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            check_times(getattr(value, field.name))
