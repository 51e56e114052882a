"""Records which spans of a window are completely read, so that a resumed call can skip them.

Adjacent spans are merged, so a few pairs of times suffice for any number of pages. Must not know
who reads or where the text is stored.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime
from typing import Self

from helpdesk_assets.errors import PositionLost
from helpdesk_assets.model.tickets import utc


class Coverage:
    """Spans `[start, end)` in ascending order, with gaps between them.

    Attributes:
        oldest: the time of the oldest ticket seen. A window from the beginning of time is empty up
            to there, which must not count as progress.
    """

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        self.oldest: datetime | None = None

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse the text that `to_text` wrote.

        Raises:
            PositionLost: the text cannot be parsed.
        """
        coverage = cls()
        try:
            stored = json.loads(text)
            for start, end in stored["read"]:
                coverage.add(_time(start), _time(end))
            coverage.oldest = _time(stored["first"]) if stored["first"] else None
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
            raise PositionLost(
                f"The position of the interrupted run cannot be read: {text[:80]!r}."
            ) from None
        return coverage

    def to_text(self, before: datetime | None = None) -> str:
        """Write the spans for `from_text`, cut off at `before` if given."""
        pairs = [
            (start, end if before is None else min(end, before))
            for start, end in zip(self._starts, self._ends, strict=True)
        ]
        return json.dumps(
            {
                "first": self.oldest.isoformat() if self.oldest else None,
                "read": [
                    [start.isoformat(), end.isoformat()] for start, end in pairs if start < end
                ],
            }
        )

    def add(self, start: datetime, end: datetime) -> None:
        """Record `[start, end)` as completely read; an empty span changes nothing."""
        if start >= end:
            return
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start = min(start, self._starts[low])
            end = max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def gaps(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the unread spans of `[start, end]`; the last one always ends at `end`."""
        last = max(start, end)
        for read_from, read_to in zip(self._starts, self._ends, strict=True):
            if read_from > end:
                break
            if start < read_from:
                yield start, read_from
            start = max(start, read_to)
        yield min(start, last), end

    def share(self, start: datetime, end: datetime) -> float:
        """Return the share, 0 to 1, of `[start, end]` that is read, after the oldest ticket."""
        start = max(start, self.oldest) if self.oldest else start
        total_seconds = (end - start).total_seconds()
        if total_seconds <= 0:
            return 1.0
        pairs = zip(self._starts, self._ends, strict=True)
        parts = (
            (min(read_to, end) - max(read_from, start)).total_seconds()
            for read_from, read_to in pairs
        )
        return min(sum(part for part in parts if part > 0) / total_seconds, 1.0)


def _time(text: str) -> datetime:
    return utc(datetime.fromisoformat(text))
