"""Remembers for a while which events with a ticket of their own were taken.

A copy of a signed post holds the ticket as it was. Two edits within one tick of the helpdesk's
clock look equally new, so a copy of the first, written after the second, would put the first back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

# A copy that comes later is no longer written over a version of the same tick.
REMEMBERED_FOR = timedelta(minutes=5)
MAX_REMEMBERED = 50_000


class RecentEvents:
    """The events of the last minutes, by ticket and event id; for one event loop."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Start empty; `now` is the current time, aware."""
        self._now = now
        self._taken: dict[tuple[str, str], tuple[datetime, asyncio.Future[None]]] = {}

    def find(self, ticket_id: str, event_id: str) -> asyncio.Future[None] | None:
        """Return the outcome of the same event if it is stored or being stored."""
        _, outcome = self._taken.get((ticket_id, event_id), (None, None))
        if outcome is None or not outcome.done():
            return outcome
        failed = outcome.cancelled() or outcome.exception() is not None
        return None if failed else outcome

    def add(self, ticket_id: str, event_id: str, outcome: asyncio.Future[None]) -> None:
        """Remember an event, and forget old ones."""
        self._taken.pop((ticket_id, event_id), None)
        self._taken[ticket_id, event_id] = (self._now(), outcome)
        oldest = self._now() - REMEMBERED_FOR
        while self._taken:
            key, (taken_at, _) = next(iter(self._taken.items()))
            if taken_at >= oldest and len(self._taken) <= MAX_REMEMBERED:
                return
            del self._taken[key]
