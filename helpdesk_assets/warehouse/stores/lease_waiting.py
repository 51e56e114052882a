"""Waits for the holder of a lease, and tells people for whom."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.errors import WriterBusy
from helpdesk_assets.model.lease import LEASE_TTL, LeaseRecord

log = logging.getLogger(__name__)

TELL_EVERY = timedelta(seconds=30)
# Looking costs one call each time.
FIRST_PAUSE_SECONDS = 0.25
MAX_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time and chance; replaced in tests."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: Callable[[], float] = random.random


class Sightings:
    """What a holder elsewhere wrote last, and since when that is known.

    Whoever asks now and then and never waits keeps it in between: else no silence would ever be
    long enough.
    """

    def __init__(self) -> None:
        self._seen: tuple[LeaseRecord, float] | None = None

    def silence(self, found: LeaseRecord, now: float) -> timedelta:
        """Return for how long the holder is known to have written nothing else.

        Args:
            found: what it wrote last.
            now: seconds of this machine's monotonic clock.
        """
        if self._seen is None or self._seen[0] != found:
            self._seen = found, now
        return timedelta(seconds=now - self._seen[1])


class WaitingLine:
    """Waits for a holder with growing pauses, and says so now and then."""

    def __init__(self, clocks: Clocks, wait: timedelta) -> None:
        self._clocks = clocks
        self._wait = wait.total_seconds()
        self._began = clocks.monotonic()
        self._told: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    def wait_for(self, found: LeaseRecord) -> None:
        """Sleep once, so that the holder can be looked at again.

        Raises:
            WriterBusy: the wait is over.
        """
        now = self._clocks.monotonic()
        left = self._began + self._wait - now
        holder = found.describe(self._clocks.now())
        if left <= 0:
            raise WriterBusy(
                f"Writing tickets: {holder}, had not finished after {self._wait:.0f} s of waiting. "
                "Nothing of this run is lost. Run it again when that one is over; if it hangs, end "
                f"it: {LEASE_TTL.seconds} s later others may write."
            )
        if self._told is None or now - self._told >= TELL_EVERY.total_seconds():
            self._told = now
            log.warning(
                "Waiting for %s; it is taken over %d s after its last sign of life.",
                holder,
                LEASE_TTL.seconds,
            )
        # Chance keeps two that wait from asking at the same moments.
        self._clocks.sleep(min(left, self._pause * (0.5 + self._clocks.rng())))
        self._pause = min(MAX_PAUSE_SECONDS, 2 * self._pause)
