"""Clocks of the service proxy: time that a test moves, that runs faster, or that jumps.

Times are seconds since the clock was made. `hang` is what a long poll does while its job runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

# In real seconds.
LONGEST_POLL = 1.0


class Clock(Protocol):
    """The time of the service."""

    def now(self) -> float:
        """Return the present time."""
        ...

    def note_call(self) -> None:
        """A client has called."""
        ...

    def hang(self, next_event: float) -> None:
        """Wait for a while; called by a poll that has nothing to tell before `next_event`."""
        ...

    def jump(self, to: float) -> None:
        """Let it be this time, or wait until it is."""
        ...


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self, poll: float = 0.02) -> None:
        self._now = 0.0
        self._poll = poll
        self._moved = threading.Condition()

    def now(self) -> float:
        with self._moved:
            return self._now

    def note_call(self) -> None:
        """Calls do not move it."""

    def advance(self, seconds: float) -> None:
        self.jump(self.now() + seconds)

    def hang(self, next_event: float) -> None:
        with self._moved:
            self._moved.wait_for(lambda: self._now >= next_event, self._poll)

    def jump(self, to: float) -> None:
        with self._moved:
            self._now = max(self._now, to)
            self._moved.notify_all()


class ScaledClock:
    """Runs `speed` times as fast as real time."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._began = time.monotonic()

    def now(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    def note_call(self) -> None:
        """Calls do not move it."""

    def hang(self, next_event: float) -> None:
        ahead = (next_event - self.now()) / self._speed
        time.sleep(min(max(ahead, 0.0), LONGEST_POLL))

    def jump(self, to: float) -> None:
        time.sleep(max(0.0, (to - self.now()) / self._speed))


class JumpingClock:
    """Jumps to the next event as soon as every client waits for one.

    One client thus waits for nothing. Of several, each has begun what it can before time moves, so
    that their statements overlap whenever nothing keeps them apart.

    Args:
        patience: after how many real seconds without a call time moves although a client does not
            poll, such as one that waits for the other.
    """

    def __init__(self, patience: float = 0.3) -> None:
        self._now = 0.0
        self._patience = patience
        self._clients = 1
        self._waiting = 0
        self._called = 0
        self._moved = threading.Condition()

    def now(self) -> float:
        with self._moved:
            return self._now

    def note_call(self) -> None:
        """Who calls is busy, and about to poll."""
        with self._moved:
            self._called += 1
            self._moved.notify_all()

    def set_clients(self, count: int) -> None:
        """Say how many clients there are from now on."""
        with self._moved:
            self._clients = count
            self._moved.notify_all()

    def leave(self) -> None:
        """Say that a client has ended."""
        with self._moved:
            self._clients = max(1, self._clients - 1)
            self._moved.notify_all()

    def hang(self, next_event: float) -> None:
        with self._moved:
            began = self._now
            self._waiting += 1
            self._moved.notify_all()
            try:
                self._wait(lambda: self._all_wait() or self._now > began)
            finally:
                self._waiting -= 1
            if self._now == began:
                self._now = max(self._now, next_event)
                self._moved.notify_all()

    def jump(self, to: float) -> None:
        with self._moved:
            self._now = max(self._now, to)
            self._moved.notify_all()

    def _wait(self, enough: Callable[[], bool]) -> None:
        """Wait for that, or until nobody has called for a while."""
        called = -1
        while not enough() and called != self._called:
            called = self._called
            self._moved.wait_for(enough, self._patience)

    def _all_wait(self) -> bool:
        return self._waiting >= self._clients
