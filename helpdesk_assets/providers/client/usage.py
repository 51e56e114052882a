"""Count what an adapter asks of its helpdesk. Calls come from several threads at once, and a count
that loses some would make the run's proof of work a lie. Knows neither HTTP nor tickets.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime

from helpdesk_assets.model.tickets import ApiUsage


class UsageCounter:
    """Sums up calls, bytes, retries and waits; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._use = ApiUsage()
        self._served_at: datetime | None = None

    @property
    def use(self) -> ApiUsage:
        return self._use

    @property
    def served_at(self) -> datetime | None:
        """The helpdesk's clock when it gave the latest answer, None before the first."""
        return self._served_at

    def record_response(self, served_at: datetime) -> None:
        """An answer came; of those that come at once to several threads the latest counts."""
        with self._lock:
            self._served_at = max(self._served_at or served_at, served_at)

    def record_call(self) -> None:
        """One request is about to be sent, whatever becomes of it."""
        with self._lock:
            self._use = replace(self._use, calls=self._use.calls + 1)

    def record_bytes(self, size: int) -> None:
        """So many bytes of body came over the wire, still compressed if they were."""
        with self._lock:
            self._use = replace(self._use, bytes_received=self._use.bytes_received + size)

    def number_kept_as_text(self) -> None:
        """A number came that BigQuery's JSON cannot hold exactly."""
        with self._lock:
            self._use = replace(self._use, numbers_as_text=self._use.numbers_as_text + 1)

    def record_wait(self, seconds: float) -> None:
        """A call waited for its turn."""
        with self._lock:
            self._use = replace(self._use, seconds_waited=self._use.seconds_waited + seconds)

    def record_retry(self, seconds: float) -> None:
        """A failed call is tried again after a wait."""
        with self._lock:
            self._use = replace(
                self._use,
                retries=self._use.retries + 1,
                seconds_waited=self._use.seconds_waited + seconds,
            )
