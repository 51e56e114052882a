"""The position of the `zendesk` adapter in the export, from which an interrupted run resumes.

Must not know calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from helpdesk_assets.errors import PositionLost

ORDER_FIELD = "generated_timestamp"
_SECOND = re.compile(r"[0-9]{1,11}")


@dataclass(slots=True)
class ExportPosition:
    """The position of one read of the export.

    Attributes:
        cursor: the cursor of the last page, None before the first.
        oldest: `generated_timestamp` of the first row, in seconds since 1970.
        newest: `generated_timestamp` of the last row, in seconds since 1970.
    """

    cursor: str | None
    oldest: int | None = None
    newest: int | None = None

    def advance(self, row: Any) -> None:
        """Move to this row."""
        second = generated_second(row)
        if second is not None:
            self.oldest = second if self.oldest is None else self.oldest
            self.newest = second

    def share(self, until: datetime) -> float | None:
        """Return the share of the time up to `until` that is read, None before the first row."""
        if self.oldest is None or self.newest is None:
            return None
        total_seconds = until.timestamp() - self.oldest
        return 1.0 if total_seconds <= 0 else min((self.newest - self.oldest) / total_seconds, 1.0)

    def to_text(self) -> str | None:
        """Write the position for `from_text`, None without a cursor."""
        if self.cursor is None:
            return None
        return f"{'' if self.oldest is None else self.oldest} {self.cursor}"

    @classmethod
    def from_text(cls, text: str) -> ExportPosition:
        """Parse the text that `to_text` wrote.

        Raises:
            PositionLost: the text cannot be parsed.
        """
        oldest, _, cursor = text.partition(" ")
        if not cursor or (oldest and not _SECOND.fullmatch(oldest)):
            raise PositionLost(
                f"The position of the interrupted run cannot be read: {text[:80]!r}."
            )
        return cls(cursor, int(oldest) if oldest else None)


def generated_second(row: Any) -> int | None:
    """Return the second by which the export sorts a row, None if the row has none."""
    second = row.get(ORDER_FIELD) if isinstance(row, dict) else None
    return second if isinstance(second, int) and not isinstance(second, bool) else None
