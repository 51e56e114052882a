"""Counts what the receiver does, for `/healthz`, and logs changes of state, never single posts.

Strangers can send any number of posts, so a cause of rejection is logged when it appears and then
at most once an hour.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from helpdesk_assets.errors import CredentialsRefused, RateLimitExhausted

log = logging.getLogger(__name__)

LOG_AGAIN_AFTER = timedelta(hours=1)


class Trouble:
    """Something that fails or works; logs each change of state."""

    def __init__(self, now: Callable[[], datetime], failing: str, working: str) -> None:
        """Begin as working.

        Args:
            now: the current time, aware.
            failing: the log's text when it begins to fail; the error follows.
            working: the log's text when it works again; the time since when follows.
        """
        self._now = now
        self._failing, self._working = failing, working
        self.since: datetime | None = None
        self.reason: str | None = None

    def begin(self, error: object, reason: str) -> None:
        """Note a failure; `reason` says why in general words, without secrets."""
        if self.since is None:
            self.since = self._now()
            log.warning("%s %s", self._failing, error)
        self.reason = reason

    def end(self) -> None:
        """Note a success."""
        if self.since is not None:
            log.warning("%s, after failures since %s.", self._working, self.since)
        self.since = self.reason = None


class ReceiverStats:
    """The counts since the start; for one thread, the server's event loop.

    Attributes:
        accepted: durable events.
        duplicates: those of the accepted events that had been stored before.
        ignored: posts that concern no ticket, or a deletion of a ticket that is not known.
        commits: groups written.
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
        self.duplicates = 0
        self.ignored = 0
        self.commits = 0
        self.clock_off: float | None = None
        self._last_commit: datetime | None = None
        self._writing = Trouble(
            now,
            "Webhooks cannot be written; vendors are asked to retry.",
            "Webhooks are written again",
        )
        self._fetching = Trouble(
            now,
            "Tickets that webhooks name cannot be fetched; vendors are asked to retry.",
            "Tickets that webhooks name are fetched again",
        )

    @property
    def is_storing(self) -> bool:
        """Whether the latest events could be stored, as far as that is known."""
        return not (self._writing.since or self._fetching.since or self.clock_off)

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
        self.clock_off = None if off is None else off.total_seconds()

    def record_commit(self, events: int, new: int) -> None:
        """Count a durable group; `new` of its events had not been stored before."""
        self.accepted += events
        self.duplicates += events - new
        self.commits += 1
        self._last_commit = self._now()
        self._writing.end()

    def record_duplicate(self) -> None:
        """Count an event that is stored already."""
        self.accepted += 1
        self.duplicates += 1

    def record_failure(self, error: BaseException) -> None:
        """Note a failed write."""
        self._writing.begin(error, "the warehouse refuses or does not answer")

    def record_stop(self, events: int) -> None:
        """Log that a stop came before some events were written."""
        log.warning(
            "The receiver stops with %d events not written; vendors are asked to send them again.",
            events,
        )

    def record_fetched(self) -> None:
        """Note that the helpdesk answered."""
        self._fetching.end()

    def record_fetch_failure(self, error: BaseException) -> None:
        """Note that the helpdesk gave no answer to a fetch."""
        reason = "the helpdesk does not answer as it should"
        if isinstance(error, CredentialsRefused):
            reason = "the helpdesk refuses the credentials"
        elif isinstance(error, RateLimitExhausted):
            reason = "the helpdesk's rate limit is used up"
        self._fetching.begin(error, reason)

    def describe(self) -> dict[str, Any]:
        """Return the counts for `/healthz`.

        `refused` counts rejected posts by status, `refused_because` by cause.
        """
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "ignored": self.ignored,
            "refused": dict(sorted(self._rejected.items())),
            "refused_because": dict(sorted(self._causes.items())),
            "commits": self.commits,
            "last_commit": _text(self._last_commit),
            "failing_since": _text(self._writing.since),
            "failing_because": self._writing.reason,
            "fetch_failing_since": _text(self._fetching.since),
            "fetch_failing_because": self._fetching.reason,
            "clock_off_seconds": self.clock_off,
        }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
