"""Counters of API calls, by which tests prove that a sync needs few of them.

Only calls to the vendor's API count; calls to the admin API do not.
"""

from __future__ import annotations

from collections import Counter
from typing import Any


class CallCounters:
    """Calls, served tickets, bytes and concurrency since the last reset."""

    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Set the counters to zero. Calls in flight stay counted as in flight."""
        self._calls: Counter[tuple[str, str]] = Counter()
        self._tickets_served = 0
        self._bytes = 0
        self._max_concurrent = self._in_flight

    def begin(self) -> None:
        """Count a call as in flight."""
        self._in_flight += 1
        self._max_concurrent = max(self._max_concurrent, self._in_flight)

    def end(self) -> None:
        """Count a call as answered."""
        self._in_flight -= 1

    def record_response(self, endpoint: str, outcome: str, tickets: int, size: int) -> None:
        """Count one answer.

        Args:
            endpoint: one of `fault_registry.ENDPOINTS`.
            outcome: the HTTP status, or `dropped` if a fault cut the connection.
            tickets: number of tickets in the answer.
            size: bytes of the body.
        """
        self._calls[endpoint, outcome] += 1
        self._tickets_served += tickets
        self._bytes += size

    def describe(self) -> dict[str, Any]:
        """Return the counters as the admin API's JSON."""
        calls: dict[str, dict[str, int]] = {}
        for (endpoint, outcome), count in sorted(self._calls.items()):
            calls.setdefault(endpoint, {})[outcome] = count
        return {
            "calls": calls,
            "ticketsServed": self._tickets_served,
            "bytes": self._bytes,
            "maxConcurrent": self._max_concurrent,
        }
