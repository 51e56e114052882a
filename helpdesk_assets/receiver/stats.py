"""Counts what the receiver does, for `/healthz` and for a log line when writes fail or recover."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

log = logging.getLogger(__name__)


class ReceiverStats:
    """The counts since the start; for one thread, the server's event loop.

    Attributes:
        accepted: durable events.
        duplicates: those of the accepted events that had been stored before.
        ignored: posts that concern no ticket.
        commits: groups written.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Start at zero; `now` is the current time, aware."""
        self._now = now
        self._rejected: Counter[str] = Counter()
        self.accepted = 0
        self.duplicates = 0
        self.ignored = 0
        self.commits = 0
        self._last_commit: datetime | None = None
        self._failing_since: datetime | None = None

    def record_rejection(self, status: int) -> None:
        """Count a post that was answered with an error."""
        self._rejected[str(status)] += 1

    def record_commit(self, events: int, new: int) -> None:
        """Count a durable group; `new` of its events had not been stored before."""
        self.accepted += events
        self.duplicates += events - new
        self.commits += 1
        self._last_commit = self._now()
        if self._failing_since is not None:
            log.warning("Webhooks are written again, after failures since %s.", self._failing_since)
            self._failing_since = None

    def record_failure(self, error: BaseException) -> None:
        """Log a failed write, once until a write succeeds."""
        if self._failing_since is None:
            self._failing_since = self._now()
            log.warning("Webhooks cannot be written; vendors are asked to retry. %s", error)

    def describe(self) -> dict[str, Any]:
        """Return the counts for `/healthz`; `refused` counts rejected posts by status."""
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "ignored": self.ignored,
            "refused": dict(sorted(self._rejected.items())),
            "commits": self.commits,
            "last_commit": _text(self._last_commit),
            "failing_since": _text(self._failing_since),
        }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
