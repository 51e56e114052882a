"""Counts what the receiver does, for `/healthz`, and logs changes of state, never single posts.

Strangers can send any number of posts, so a cause of rejection is logged when it appears and then
at most once an hour.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from helpdesk_assets.receiver.trouble import Trouble

log = logging.getLogger(__name__)

LOG_AGAIN_AFTER = timedelta(hours=1)
# How many of the latest appends `/healthz` sums up.
LATENCIES = 200


class ReceiverStats:
    """The counts since the start; for one thread, the server's event loop.

    Attributes:
        accepted: durable events; one that comes twice counts twice.
        ignored: posts that concern no ticket.
        appends: groups of events appended.
        clock_off: by how many seconds the time of the last correctly signed post was ahead of ours;
            None if it was close enough.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Start at zero; `now` is the current time, aware."""
        self._now = now
        self._rejected: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._logged: dict[str, tuple[datetime, int]] = {}
        self.accepted = 0
        self.ignored = 0
        self.appends = 0
        self.clock_off: float | None = None
        self._last_append: datetime | None = None
        self._seconds: deque[float] = deque(maxlen=LATENCIES)
        self._writing = Trouble(
            now,
            "Webhooks cannot be written; vendors are asked to retry.",
            "Webhooks are written again",
        )
        self._verifying = Trouble(
            now,
            "Senders of webhooks cannot be verified; vendors are asked to retry.",
            "Senders of webhooks are verified again",
        )

    @property
    def is_storing(self) -> bool:
        """Whether the latest events could be stored, as far as that is known."""
        return not (self._writing.since or self._verifying.since or self.clock_off)

    def record_rejection(self, status: int, cause: str, detail: str = "") -> None:
        """Count a post that was answered with an error.

        Args:
            status: the HTTP status.
            cause: one of a few texts, never made of what was sent.
            detail: more for the log.
        """
        self._rejected[str(status)] += 1
        self._causes[cause] += 1
        now, count = self._now(), self._causes[cause]
        logged_at, logged_count = self._logged.get(cause, (None, 0))
        if logged_at is None or now - logged_at >= LOG_AGAIN_AFTER:
            self._logged[cause] = (now, count)
            log.warning(
                "Posts are refused with %d: %s (%d since the last such line). %s",
                status,
                cause,
                count - logged_count,
                detail,
            )

    def record_signed(self, off: timedelta | None) -> None:
        """Note a correctly signed post, and how far its time is off; None: close enough."""
        self._verifying.end()
        self.clock_off = None if off is None else off.total_seconds()

    def record_append(self, events: int, seconds: float) -> None:
        """Count a durable group of events, which took so long to append."""
        self.accepted += events
        self.appends += 1
        self._seconds.append(seconds)
        self._last_append = self._now()
        self._writing.end()

    def record_failure(self, error: BaseException) -> None:
        """Note a failed write."""
        self._writing.begin(error, "the warehouse refuses or does not answer")

    def record_stop(self, events: int) -> None:
        """Log that a stop came before some events were written."""
        log.warning(
            "The receiver stops with %d events not written; vendors are asked to send them again.",
            events,
        )

    def record_verification_failure(self, error: BaseException) -> None:
        """Note that what verifies a sender is out of reach."""
        self._verifying.begin(error, "the vendor's keys are out of reach")

    def describe(self) -> dict[str, Any]:
        """Return the counts for `/healthz`.

        `refused` counts rejected posts by status, `refused_because` by cause.
        """
        return {
            "accepted": self.accepted,
            "ignored": self.ignored,
            "refused": dict(sorted(self._rejected.items())),
            "refused_because": dict(sorted(self._causes.items())),
            "appends": self.appends,
            "last_append": _text(self._last_append),
            "append_seconds": self._latency(),
            "failing_since": self._writing.since_text,
            "failing_because": self._writing.reason,
            "verify_failing_since": self._verifying.since_text,
            "verify_failing_because": self._verifying.reason,
            "clock_off_seconds": self.clock_off,
        }

    def _latency(self) -> dict[str, float]:
        """Return how long the latest appends took: half of them at most `median`."""
        if not self._seconds:
            return {}
        return {
            "median": round(median(self._seconds), 3),
            "longest": round(max(self._seconds), 3),
        }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
