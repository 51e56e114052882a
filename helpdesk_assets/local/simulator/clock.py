"""The helpdesk's own clock: real time plus an offset, so that tests move time and never wait.

Everything dated by the helpdesk (modified times, the `Date` header, rate windows) is read here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _real_utc() -> datetime:
    return datetime.now(UTC)


def to_text(tick: int) -> str:
    """`2026-11-23T10:00:00Z`, the only spelling of a time that the API uses."""
    # isoformat is several times as fast as strftime, and a page of 100 tickets writes 400 times.
    return f"{datetime.fromtimestamp(tick, UTC).isoformat()[:19]}Z"


class SimulatedClock:
    """Runs with real time from wherever it was put, or stands still while frozen."""

    def __init__(
        self, start: datetime | None = None, real_now: Callable[[], datetime] = _real_utc
    ) -> None:
        self._real_now = real_now
        self._offset = timedelta(0)
        self._frozen: datetime | None = None
        # The fault `clock_offset`: kept apart, so that clearing the fault restores the right time.
        self.fault_offset = timedelta(0)
        if start is not None:
            self.put(start)

    @property
    def is_frozen(self) -> bool:
        return self._frozen is not None

    @property
    def offset(self) -> timedelta:
        """How far this clock is from real time, the fault included."""
        return self.now() - self._real_now()

    def now(self) -> datetime:
        return (self._frozen or self._real_now() + self._offset) + self.fault_offset

    def tick(self) -> int:
        """Now in whole seconds since 1970: the resolution of every time the API tells."""
        return math.floor(self.now().timestamp())

    def put(self, moment: datetime) -> None:
        """Set the time to `moment`; the clock goes on running or standing from there."""
        moment = moment.astimezone(UTC)
        self._offset = moment - self._real_now()
        if self._frozen is not None:
            self._frozen = moment

    def advance(self, by: timedelta) -> None:
        self._offset += by
        if self._frozen is not None:
            self._frozen += by

    def set_offset(self, offset: timedelta) -> None:
        """Be this far from real time. A frozen clock stays frozen, at that moment."""
        self.put(self._real_now() + offset)

    def freeze(self, at: datetime | None = None) -> None:
        self._frozen = at or self._frozen or self._real_now() + self._offset

    def thaw(self) -> None:
        """Run on from the frozen moment, so that thawing never jumps."""
        if self._frozen is not None:
            self._offset = self._frozen - self._real_now()
            self._frozen = None
