"""Share one window out among readers, by time, without knowing how the tickets are spread in it.

A reader that has nothing to do takes the later half of what the busiest one has still before it.
Where that half turns out to be empty it has cost one call; where it is crowded, it is halved again.
So the readers end up side by side wherever the tickets are. Must not know tickets, calls or pages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

# A stretch that holds less than this many pages is read sooner than it is shared out.
MIN_PAGES_TO_SPLIT = 2.0


class Span:
    """A stretch `[start, end]` that one reader reads; `position` is how far it has come.

    `end` may be cut back while it is read: what is behind it is then another reader's. The tick
    `end` itself belongs to the next span, unless this is the `last` one of the window.
    """

    def __init__(self, start: datetime, end: datetime, *, last: bool) -> None:
        self.position = start
        self.end = end
        self.last = last
        self.pages_per_second: float | None = None

    def contains(self, moment: datetime) -> bool:
        return moment < self.end or (self.last and moment == self.end)


class WorkSplit:
    """The stretches of one window, for any number of readers."""

    def __init__(
        self, spans: Iterable[Span], *, tick: timedelta, opened_at: Callable[[], datetime | None]
    ) -> None:
        """`opened_at`: the helpdesk's clock when it was first asked, None before that. No stretch
        is thought to be longer than up to there, as the window's own end may be the end of time."""
        self._pending = list(reversed(list(spans)))
        self._active: list[Span] = []
        self._tick = tick
        self._opened_at = opened_at
        self._changed = threading.Condition()
        self._stopped = False

    def acquire(self) -> Span | None:
        """A stretch to read, as soon as there is one; None when all have been read or it is over.

        Waits while others read what may still be shared.
        """
        with self._changed:
            while not self._stopped:
                span = self._pending.pop() if self._pending else self._split_busiest()
                if span is not None:
                    self._active.append(span)
                    return span
                if not self._active:
                    return None
                self._changed.wait()
            return None

    def advance(self, span: Span, position: datetime, pages_per_second: float | None) -> bool:
        """Its reader has come to `position`, where its next call begins; False: that is not its own
        any more, and it is done."""
        with self._changed:
            span.position = position
            span.pages_per_second = pages_per_second
            self._changed.notify_all()
            return span.contains(position)

    def release(self, span: Span) -> None:
        """Its reader is done with it."""
        with self._changed:
            self._active.remove(span)
            self._changed.notify_all()

    def stop(self) -> None:
        """Nobody gets anything any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def is_worth_splitting(self) -> bool:
        """Whether a second reader would find something to do."""
        with self._changed:
            return bool(self._pending) or self._busiest() is not None

    def _split_busiest(self) -> Span | None:
        span = self._busiest()
        if span is None:
            return None
        middle = self._middle(span)
        half = Span(middle, span.end, last=span.last)
        span.end, span.last = middle, False
        return half

    def _busiest(self) -> Span | None:
        def pages_left(span: Span) -> float:
            if span.pages_per_second is None or self._middle(span) <= span.position + self._tick:
                return 0.0
            return self._seconds_left(span) * span.pages_per_second

        busiest = max(self._active, key=pages_left, default=None)
        return busiest if busiest and pages_left(busiest) >= MIN_PAGES_TO_SPLIT else None

    def _middle(self, span: Span) -> datetime:
        half = timedelta(seconds=self._seconds_left(span) / 2)
        return span.position + half - half % self._tick

    def _seconds_left(self, span: Span) -> float:
        opened_at = self._opened_at()
        end = span.end if opened_at is None else min(span.end, opened_at)
        return max((end - span.position).total_seconds(), 0.0)
