"""How far a reading of the `zendesk` adapter's export has come: the cursor of its last page, and
the seconds that its rows are ordered by. Must not know calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

ORDER = "generated_timestamp"


@dataclass(slots=True)
class Place:
    """How far one reading of the export has come. `first`: the second of its oldest row."""

    cursor: str | None
    first: int | None = None
    newest: int | None = None

    def pass_by(self, row: Any) -> None:
        """The reading has come to this row."""
        second = generated(row)
        if second is not None:
            self.first = second if self.first is None else self.first
            self.newest = second

    def share(self, until: datetime) -> float | None:
        """How much of the time up to `until` has been read, None before the first row."""
        if self.first is None or self.newest is None:
            return None
        whole = until.timestamp() - self.first
        return 1.0 if whole <= 0 else min((self.newest - self.first) / whole, 1.0)

    def to_text(self) -> str | None:
        if self.cursor is None:
            return None
        return f"{'' if self.first is None else self.first} {self.cursor}"

    @classmethod
    def from_text(cls, text: str) -> Place:
        first, _, cursor = text.partition(" ")
        return cls(cursor, int(first) if first.isdecimal() else None)


def generated(row: Any) -> int | None:
    """The second by which a row of the export is ordered, None where it has none."""
    second = row.get(ORDER) if isinstance(row, dict) else None
    return second if isinstance(second, int) and not isinstance(second, bool) else None
