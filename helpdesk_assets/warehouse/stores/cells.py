"""Reads the cells of a row that people or a newer version may have changed.

A cell that cannot be read counts as empty, and its column is remembered, so that one bad cell
neither stops a command nor goes unnoticed. Must not know what the row is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from helpdesk_assets.model.time_bounds import check_times

# One more than the last would overflow INT64.
LARGEST = 2**62

UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)

_Parsed = TypeVar("_Parsed")


class Cells:
    """The cells of one row. `damaged` names the columns that could not be read, in order."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self._damaged: dict[str, None] = {}

    @property
    def damaged(self) -> tuple[str, ...]:
        """The columns that could not be read."""
        return tuple(self._damaged)

    def parse(self, column: str, parse: Callable[[Any], _Parsed], empty: _Parsed) -> _Parsed:
        """Parse a cell.

        Args:
            column: which one; an absent column is NULL.
            parse: takes the cell; raises if it cannot be read.
            empty: what stands for a cell that cannot be read.
        """
        try:
            parsed = parse(self._row.get(column))
            check_times(parsed)
        except UNREADABLE:
            self._damaged[column] = None
            return empty
        return parsed

    def parse_list(
        self, column: str, parse: Callable[[Any], tuple[tuple[_Parsed, ...], bool]]
    ) -> tuple[_Parsed, ...]:
        """Parse a cell of several items, of which some may be unreadable.

        Args:
            column: which one; an absent column is NULL.
            parse: returns the items that can be read, and whether those are all.
        """
        nothing: tuple[tuple[_Parsed, ...], bool] = ((), True)
        items, is_whole = self.parse(column, parse, nothing)
        if not is_whole:
            self._damaged[column] = None
        return items

    def text(self, column: str) -> str | None:
        """A text, or NULL."""
        return self.parse(column, _optional_text, None)

    def time(self, column: str) -> datetime | None:
        """A time, or NULL."""
        return self.parse(column, _optional_time, None)

    def number(self, column: str, *, optional: bool = True) -> int:
        """A whole number; NULL is 0, and counts as damaged unless it is `optional`."""
        return self.parse(column, _optional_number if optional else _number, 0)


def _optional_text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is not text")
    value.encode()  # half a character cannot be written again
    return value


def _optional_time(value: Any) -> datetime | None:
    if value is not None and not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} is not a time")
    return value


def _optional_number(value: Any) -> int:
    return 0 if value is None else _number(value)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST:
        raise TypeError(f"{type(value).__name__} is not a whole number")
    return value
