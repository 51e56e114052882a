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

    `oldest` is the time of the oldest ticket that was seen: a window from the beginning of time is
    empty up to there, which must not be taken for progress.
    """

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        self.oldest: datetime | None = None

    @classmethod
    def from_text(cls, text: str) -> Self:
        """
        Raises:
            EndpointFailed: it is no text of `to_text`.
        """
        coverage = cls()
        try:
            stored = json.loads(text)
            for start, end in stored["read"]:
                coverage.add(datetime.fromisoformat(start), datetime.fromisoformat(end))
            coverage.oldest = datetime.fromisoformat(stored["first"]) if stored["first"] else None
        except (ValueError, KeyError, TypeError):
            raise EndpointFailed(
                f"Where the interrupted reading had come to cannot be read: {text[:80]!r}. Run a "
                "full sync, which begins anew."
            ) from None
        return coverage

    def to_text(self, before: datetime | None = None) -> str:
        """For `from_text`; only what lies `before` a time, where one is given."""
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
        for read_from, read_to in zip(self._starts, self._ends, strict=True):
            if read_from > end:
                break
            if start < read_from:
                yield start, read_from
            start = max(start, read_to)
        yield min(start, last), end

    def share(self, start: datetime, end: datetime) -> float:
        """How much of the time between the oldest ticket and `end` has been read: 0 to 1."""
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
