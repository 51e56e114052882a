"""Notes since when something fails, and logs when that begins and ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

log = logging.getLogger(__name__)


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

    @property
    def since_text(self) -> str | None:
        """Since when it fails, as text; None if it works."""
        return None if self.since is None else self.since.isoformat(timespec="milliseconds")

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
