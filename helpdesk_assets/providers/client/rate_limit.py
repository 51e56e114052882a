"""One budget of calls for all threads of a run, so that the helpdesk need not say 429.

A helpdesk limits calls by the minute, some endpoints more tightly than the account, and tells in
headers of its own how many are left. Each call takes its turn here before it is sent and reports
what the answer told. Other programs use the same account, so the headers count and not our own
book alone: when little is left, calls are spread over the time until the helpdesk counts anew.

Must not know HTTP, vendors, or what a call is for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.client.usage import Meter

MINUTE = 60.0
# The lane that every call is in: limits of the whole account.
ACCOUNT = ""
# Whoever would have to wait longer is told so: a run asleep for hours looks like one that hangs.
LONGEST_WAIT = 300.0
# Below this part of its limit, what is left is spread out. The rest of the team needs some too.
LOW_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Left:
    """What an answer told of the calls that are left, None where it does not say.

    `lane` is the lane that it speaks of. `reset_seconds`: until the helpdesk counts anew.
    """

    remaining: int
    limit: int | None = None
    reset_seconds: float | None = None
    lane: str = ACCOUNT


def left_by(
    headers: Mapping[str, str], *, remaining: str, limit: str, reset: str = ""
) -> tuple[Left, ...]:
    """What headers of these names tell of the account's lane, where each is a plain number."""
    left = _count(headers.get(remaining))
    if left is None:
        return ()
    return (Left(left, _count(headers.get(limit)), _count(headers.get(reset))),)


def tells_nothing(headers: Mapping[str, str]) -> tuple[Left, ...]:  # noqa: ARG001
    """For helpdesks without such headers."""
    return ()


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


class _Lane:
    """The times of the last calls under one limit, what is left of it, and until when there may be
    none."""

    def __init__(self, per_minute: int | None) -> None:
        self._taken: deque[float] | None = None if not per_minute else deque(maxlen=per_minute)
        # None: nothing is known, or so much is left that it need not be spread.
        self._left: int | None = None
        self._resets_at = 0.0
        self._last = float("-inf")
        self._under_way = 0
        self._closed_until = float("-inf")

    def earliest(self, now: float) -> float:
        """When the next call may be sent."""
        at = max(now, self._closed_until)
        if self._left is not None:
            # No later than the helpdesk counts anew, whatever was left.
            step = (self._resets_at - now) / self._left if self._left > 0 else float("inf")
            at = max(at, min(self._last + step, self._resets_at))
        if self._taken is not None and len(self._taken) == self._taken.maxlen:
            # Any sixty seconds hold at most the limit, wherever the helpdesk's minute begins.
            at = max(at, self._taken[0] + MINUTE)
        return at

    def take(self, now: float) -> None:
        self._last = now
        self._under_way += 1
        if self._left is not None:
            self._left -= 1
        if self._taken is not None:
            self._taken.append(now)

    def give_back(self) -> None:
        self._under_way -= 1

    def close(self, until: float) -> None:
        self._closed_until = max(self._closed_until, until)

    def spread(self, told: Left, now: float, at_once: int) -> None:
        """Heed what the helpdesk told: with enough left, nothing; else in equal steps."""
        resets_at = now + (MINUTE if told.reset_seconds is None else told.reset_seconds)
        # Once for the calls that the helpdesk has counted since, once for those it has not yet.
        low = max(2 * at_once, (told.limit or 0) * LOW_SHARE)
        if told.remaining > low:
            self._left = None
        elif told.remaining == 0:
            self.close(resets_at)
        else:
            # Those under way may be counted already, or not: the answers to them will say.
            self._left, self._resets_at = told.remaining - self._under_way, resets_at


class RateBudget:
    """Takes turns; may be used from any thread."""

    def __init__(
        self,
        meter: Meter,
        *,
        at_once: int,
        per_minute: Mapping[str, int] | None = None,
        read: Callable[[Mapping[str, str]], tuple[Left, ...]] = tells_nothing,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            meter: is told of the seconds waited.
            at_once: calls that may be under way together.
            per_minute: by lane, what the helpdesk documents or the user has set.
            read: finds in an answer's headers what is left.
            now: seconds of a clock that never jumps.
            sleep: waits so many seconds.
        """
        self._meter = meter
        self._at_once = at_once
        self._places = threading.BoundedSemaphore(at_once)
        self._limits = dict(per_minute or {})
        self._read = read
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}

    @contextmanager
    def turn(self, lane: str = ACCOUNT) -> Iterator[None]:
        """Wait until a call in this lane may be sent, and hold one of the places meanwhile.

        Raises:
            EndpointFailed: that would be too long.
        """
        with self._places:
            # What the helpdesk tells meanwhile counts, so nobody's time is fixed before it comes.
            while (wait := self._take(lane)) > 0:
                self._meter.waited(wait)
                self._sleep(wait)
            try:
                yield
            finally:
                with self._lock:
                    for each in self._lanes_of(lane):
                        each.give_back()

    def heed(self, headers: Mapping[str, str]) -> None:
        """Take note of what an answer told."""
        told = self._read(headers)
        with self._lock:
            for left in told:
                self._lane(left.lane).spread(left, self._now(), self._at_once)

    def pause(self, seconds: float, lane: str = ACCOUNT) -> None:
        """The helpdesk said 429: nobody calls in this lane before that time is over."""
        with self._lock:
            self._lane(lane).close(self._now() + seconds)

    def _take(self, lane: str) -> float:
        """Take a turn, where there is one now; else the seconds until there may be."""
        with self._lock:
            lanes = self._lanes_of(lane)
            now = self._now()
            wait = max(each.earliest(now) for each in lanes) - now
            if wait > LONGEST_WAIT:
                raise EndpointFailed(
                    f"The helpdesk allows no call for another {wait:.0f} s: its limit is used "
                    "up, by this or by other programs. Run again then, or raise the limit there."
                )
            if wait <= 0:
                for each in lanes:
                    each.take(now)
            return wait

    def _lanes_of(self, lane: str) -> list[_Lane]:
        return [self._lane(name) for name in dict.fromkeys((ACCOUNT, lane))]

    def _lane(self, name: str) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(self._limits.get(name))
        return self._lanes[name]
