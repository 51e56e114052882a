"""What was asked of the helpdesk: the proof that a sync needs few calls.

Counts the production side only; admin calls are the tests' own.
"""

from __future__ import annotations

from collections import Counter
from typing import Any


class CallCounters:
    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Start from nothing; calls under way stay under way."""
        self._calls: Counter[tuple[str, str]] = Counter()
        self._tickets_served = 0
        self._bytes = 0
        self._max_concurrent = self._in_flight

    def begin(self) -> None:
        self._in_flight += 1
        self._max_concurrent = max(self._max_concurrent, self._in_flight)

    def end(self) -> None:
        self._in_flight -= 1

    def record_response(self, endpoint: str, outcome: str, tickets: int, size: int) -> None:
        """`outcome`: the status, or `dropped` where the connection was cut on purpose."""
        self._calls[endpoint, outcome] += 1
        self._tickets_served += tickets
        self._bytes += size

    def describe(self) -> dict[str, Any]:
        calls: dict[str, dict[str, int]] = {}
        for (endpoint, outcome), count in sorted(self._calls.items()):
            calls.setdefault(endpoint, {})[outcome] = count
        return {
            "calls": calls,
            "ticketsServed": self._tickets_served,
            "bytes": self._bytes,
            "maxConcurrent": self._max_concurrent,
        }
