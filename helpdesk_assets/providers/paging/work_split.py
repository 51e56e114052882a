"""Splits one window among readers by time, without knowing how tickets are distributed in it.

An idle reader takes the later half of the busiest reader's remaining span. An empty half costs one
call; a crowded half is split again. So the readers gather wherever the tickets are. Must not know
tickets, calls or pages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

# Reading a span with fewer pages than this takes less time than splitting it.
MIN_PAGES_TO_SPLIT = 2.0


class Span:
    """A part `[start, end]` of a window that one reader reads.

    Attributes:
        position: where the reader's next call begins.
        end: end of the span. It may move back during reading, if another reader takes the rest.
        last: whether this is the window's last span. In all others, the tick `end` belongs to the
            next span.
        pages_per_second: pages per second of the window at `position`, None if unknown.
    """

    def __init__(self, start: datetime, end: datetime, *, last: bool) -> None:
        self.position = start
        self.end = end
        self.last = last
        self.pages_per_second: float | None = None

    def contains(self, moment: datetime) -> bool:
        """Return whether the moment belongs to this span."""
        return moment < self.end or (self.last and moment == self.end)


class WorkSplit:
    """Hands out the spans of one window to any number of readers."""

    def __init__(
        self, spans: Iterable[Span], *, tick: timedelta, opened_at: Callable[[], datetime | None]
    ) -> None:
        """Start with the spans to read.

        Args:
            spans: the window's unread spans, ascending.
            tick: the resolution of the helpdesk's modified times.
            opened_at: the helpdesk's clock at its first answer, None before that. It limits the
                estimated length of a span, as the window may have no end.
        """
        self._pending = list(reversed(list(spans)))
        self._active: list[Span] = []
        self._tick = tick
        self._opened_at = opened_at
        self._changed = threading.Condition()
        self._stopped = False

    def acquire(self) -> Span | None:
        """Return a span to read, None when all are read or `stop` was called.

        Waits while other readers hold spans that may still be split.
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
        """Record a reader's progress.

        Args:
            span: the reader's span.
            position: where its next call begins.
            pages_per_second: the density of pages just read, None if unknown.

        Returns:
            False if the position is beyond the span, so its reader is done.
        """
        with self._changed:
            span.position = position
            span.pages_per_second = pages_per_second
            self._changed.notify_all()
            return span.contains(position)

    def release(self, span: Span) -> None:
        """Record that a span's reader is done."""
        with self._changed:
            self._active.remove(span)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out no more spans."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def is_worth_splitting(self) -> bool:
        """Whether another reader would get a span."""
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
