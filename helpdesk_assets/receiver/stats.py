"""What the receiver has done so far, for `/healthz` and for the one log line when things change."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

log = logging.getLogger(__name__)


class ReceiverStats:
    """Made for one thread, the server's event loop."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rejected: Counter[str] = Counter()
        self.accepted = 0
        self.duplicates = 0
        self.ignored = 0
        self.commits = 0
        self._last_commit: datetime | None = None
        self._failing_since: datetime | None = None

    def record_rejection(self, status: int) -> None:
        self._rejected[str(status)] += 1

    def record_commit(self, events: int, new: int) -> None:
        """A group is durable; `new` of its events had not come before."""
        self.accepted += events
        self.duplicates += events - new
        self.commits += 1
        self._last_commit = self._now()
        if self._failing_since is not None:
            log.warning("Webhooks are written again; they were not since %s.", self._failing_since)
            self._failing_since = None

    def record_failure(self, error: BaseException) -> None:
        """A group could not be written. Said once, until one can."""
        if self._failing_since is None:
            self._failing_since = self._now()
            log.warning("Webhooks cannot be written, vendors are asked to wait. %s", error)

    def describe(self) -> dict[str, Any]:
        """Events `accepted` are durable; `duplicates` of them had come before. `ignored`: posts of
        other things than tickets. `record_rejection`: posts by status."""
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
