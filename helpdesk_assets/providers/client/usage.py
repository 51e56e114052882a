"""Counts an adapter's calls to its helpdesk.

Several threads call at once, and a lost count would falsify the run's report. Must not know HTTP or
tickets.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

from helpdesk_assets.model.tickets import ApiUsage

# Synchronised clocks differ by less than a second, and an answer may be a while on its way.
CLOCK_TOLERANCE = timedelta(minutes=1)


class UsageCounter:
    """Counts calls, bytes, retries and waits; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._use = ApiUsage()
        self._served_at: datetime | None = None
        self._clock_lead = timedelta(0)
        self._clock_lag = timedelta(0)

    @property
    def use(self) -> ApiUsage:
        """The counts so far."""
        return self._use

    @property
    def served_at(self) -> datetime | None:
        """The helpdesk's clock at its latest answer, None before the first."""
        return self._served_at

    @property
    def clock_lead(self) -> timedelta:
        """See `Helpdesk.clock_lead`."""
        return self._clock_lead

    @property
    def clock_lag(self) -> timedelta:
        """See `Helpdesk.clock_lag`."""
        return self._clock_lag

    def record_response(self, served_at: datetime, now: datetime) -> None:
        """Record an answer's time; the latest counts, as threads may record out of order.

        Args:
            served_at: the helpdesk's clock when it answered.
            now: this machine's clock when the answer was complete.
        """
        lead = served_at - now
        with self._lock:
            self._served_at = max(self._served_at or served_at, served_at)
            if lead > CLOCK_TOLERANCE:
                self._clock_lead = max(self._clock_lead, lead)
            elif lead < -CLOCK_TOLERANCE:
                self._clock_lag = max(self._clock_lag, -lead)

    def record_call(self) -> None:
        """Count a request before it is sent, whether or not it succeeds."""
        with self._lock:
            self._use = replace(self._use, calls=self._use.calls + 1)

    def record_bytes(self, size: int) -> None:
        """Count the bytes of a body as received, before decompression."""
        with self._lock:
            self._use = replace(self._use, bytes_received=self._use.bytes_received + size)

    def number_kept_as_text(self) -> None:
        """Count a number that BigQuery's JSON cannot hold exactly."""
        with self._lock:
            self._use = replace(self._use, numbers_as_text=self._use.numbers_as_text + 1)

    def record_wait(self, seconds: float) -> None:
        """Count the seconds that a call waits for a slot."""
        with self._lock:
            self._use = replace(self._use, seconds_waited=self._use.seconds_waited + seconds)

    def record_retry(self, seconds: float) -> None:
        """Count a retry and the seconds before it."""
        with self._lock:
            self._use = replace(
                self._use,
                retries=self._use.retries + 1,
                seconds_waited=self._use.seconds_waited + seconds,
            )
