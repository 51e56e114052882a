"""The helpdesk's clock: real time plus an offset, so that tests move time instead of waiting.

Every time that the helpdesk reports comes from here: modified times, the `Date` header, rate
windows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _real_utc() -> datetime:
    return datetime.now(UTC)


def to_text(tick: int) -> str:
    """Format seconds since 1970 as the API writes times, such as `2026-11-23T10:00:00Z`."""
    # isoformat is several times as fast as strftime, and a page of 100 tickets writes 400 times.
    return f"{datetime.fromtimestamp(tick, UTC).isoformat()[:19]}Z"


class SimulatedClock:
    """A clock that runs with real time from any starting point, or stands still while frozen."""

    def __init__(
        self, start: datetime | None = None, real_now: Callable[[], datetime] = _real_utc
    ) -> None:
        self._real_now = real_now
        self._offset = timedelta(0)
        self._frozen: datetime | None = None
        # Set by the fault `clock_offset`. Kept apart, so that clearing the fault restores the time.
        self.fault_offset = timedelta(0)
        if start is not None:
            self.put(start)

    @property
    def is_frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen is not None

    @property
    def offset(self) -> timedelta:
        """Difference to real time, including the fault `clock_offset`."""
        return self.now() - self._real_now()

    def now(self) -> datetime:
        """Return the helpdesk's time in UTC, including the fault `clock_offset`."""
        return (self._frozen or self._real_now() + self._offset) + self.fault_offset

    def tick(self) -> int:
        """Return now in whole seconds since 1970, the resolution of every time in the API."""
        return math.floor(self.now().timestamp())

    def put(self, moment: datetime) -> None:
        """Set the time to `moment`. A running clock keeps running, a frozen one stays frozen."""
        moment = moment.astimezone(UTC)
        self._offset = moment - self._real_now()
        if self._frozen is not None:
            self._frozen = moment

    def advance(self, by: timedelta) -> None:
        """Move the clock, also while it is frozen."""
        self._offset += by
        if self._frozen is not None:
            self._frozen += by

    def set_offset(self, offset: timedelta) -> None:
        """Set the difference to real time. A frozen clock stays frozen at the resulting time."""
        self.put(self._real_now() + offset)

    def freeze(self, at: datetime | None = None) -> None:
        """Stop the clock at `at`, or at the current time."""
        self._frozen = at or self._frozen or self._real_now() + self._offset

    def thaw(self) -> None:
        """Continue from the frozen time, so that the clock does not jump."""
        if self._frozen is not None:
            self._offset = self._frozen - self._real_now()
            self._frozen = None
