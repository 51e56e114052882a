"""Which stretches of a window have been read whole, and need not be read again when interrupted.

Kept as a few pairs of times, however many pages there were: stretches that touch are one. Must not
know who reads, or where the text is kept in between.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime
from typing import Self

from helpdesk_assets.errors import EndpointFailed


class Coverage:
    """Stretches `[start, end)`, ascending, none touching another.

    `first` is the time of the oldest ticket that was seen: a window from the beginning of time is
    empty up to there, which must not be taken for progress.
    """

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        self.first: datetime | None = None

    @classmethod
    def from_text(cls, text: str) -> Self:
        """
        Raises:
            EndpointFailed: it is no text of `to_text`.
        """
        made = cls()
        try:
            stored = json.loads(text)
            for start, end in stored["read"]:
                made.add(datetime.fromisoformat(start), datetime.fromisoformat(end))
            made.first = datetime.fromisoformat(stored["first"]) if stored["first"] else None
        except (ValueError, KeyError, TypeError):
            raise EndpointFailed(
                f"Where the interrupted reading had come to cannot be read: {text[:80]!r}. Run a "
                "full sync, which begins anew."
            ) from None
        return made

    def to_text(self, before: datetime | None = None) -> str:
        """For `from_text`; only what lies `before` a time, where one is given."""
        pairs = [
            (start, end if before is None else min(end, before))
            for start, end in zip(self._starts, self._ends, strict=True)
        ]
        return json.dumps(
            {
                "first": self.first.isoformat() if self.first else None,
                "read": [
                    [start.isoformat(), end.isoformat()] for start, end in pairs if start < end
                ],
            }
        )

    def add(self, start: datetime, end: datetime) -> None:
        """`[start, end)` has been read whole; nothing where it is empty."""
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
        """What of `[start, end]` has not been read; there is always a last one, up to `end`."""
        last = max(start, end)
        for begun, done in zip(self._starts, self._ends, strict=True):
            if begun > end:
                break
            if start < begun:
                yield start, begun
            start = max(start, done)
        yield min(start, last), end

    def share(self, start: datetime, end: datetime) -> float:
        """How much of the time between the oldest ticket and `end` has been read: 0 to 1."""
        start = max(start, self.first) if self.first else start
        whole = (end - start).total_seconds()
        if whole <= 0:
            return 1.0
        pairs = zip(self._starts, self._ends, strict=True)
        parts = ((min(done, end) - max(begun, start)).total_seconds() for begun, done in pairs)
        return min(sum(part for part in parts if part > 0) / whole, 1.0)
