"""How far a reading of the `zendesk` adapter's export has come: the cursor of its last page, and
the seconds that its rows are ordered by. Must not know calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

ORDER_FIELD = "generated_timestamp"


@dataclass(slots=True)
class ExportPosition:
    """How far one reading of the export has come. `oldest`: the second of its oldest row."""

    cursor: str | None
    oldest: int | None = None
    newest: int | None = None

    def advance(self, row: Any) -> None:
        """The reading has come to this row."""
        second = generated_second(row)
        if second is not None:
            self.oldest = second if self.oldest is None else self.oldest
            self.newest = second

    def share(self, until: datetime) -> float | None:
        """How much of the time up to `until` has been read, None before the first row."""
        if self.oldest is None or self.newest is None:
            return None
        total_seconds = until.timestamp() - self.oldest
        return 1.0 if total_seconds <= 0 else min((self.newest - self.oldest) / total_seconds, 1.0)

    def to_text(self) -> str | None:
        if self.cursor is None:
            return None
        return f"{'' if self.oldest is None else self.oldest} {self.cursor}"

    @classmethod
    def from_text(cls, text: str) -> ExportPosition:
        oldest, _, cursor = text.partition(" ")
        return cls(cursor, int(oldest) if oldest.isdecimal() else None)


def generated_second(row: Any) -> int | None:
    """The second by which a row of the export is ordered, None where it has none."""
    second = row.get(ORDER_FIELD) if isinstance(row, dict) else None
    return second if isinstance(second, int) and not isinstance(second, bool) else None
