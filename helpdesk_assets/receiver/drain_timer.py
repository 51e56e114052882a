"""Drains now and then what was appended, in a thread of its own, so that no answer waits for it.

It drains only if there is something to merge, as far as this receiver knows: events that it
appended, that wait since the last time, or that somebody left before it started.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.receiver.trouble import Trouble

log = logging.getLogger(__name__)

# Merges what waits, and returns how many events still wait. Raises HelpdeskAssetsError.
Drain = Callable[[], int]


class DrainTimer:
    """Drains every so many seconds between `start` and `stop`."""

    def __init__(self, drain: Drain | None, every: float, *, now: Callable[[], datetime]) -> None:
        """Set up.

        Args:
            drain: merges what waits; None: others do it.
            every: seconds between two drains; 0: others do it.
            now: the current time, aware.
        """
        self._drain = drain if every else None
        self._every = every
        self._now = now
        self._is_due = True
        self._stopped = threading.Event()
        self._last: datetime | None = None
        self._trouble = Trouble(
            now,
            "Webhook events cannot be merged; they wait.",
            "Webhook events are merged again",
        )

    def start(self) -> None:
        """Start the thread, which does not keep the process alive."""
        if self._drain is not None:
            run = threading.Thread(
                target=self._run, args=(self._drain,), name="webhook-drain", daemon=True
            )
            run.start()

    def stop(self) -> None:
        """Start no further drain; what a running one has not merged waits for the next."""
        self._stopped.set()

    def appended(self) -> None:
        """Note that events were appended."""
        self._is_due = True

    def describe(self) -> dict[str, Any]:
        """Return its state for `/healthz`."""
        return {
            "every_seconds": self._every if self._drain else 0,
            "last": self._last.isoformat(timespec="milliseconds") if self._last else None,
            "failing_since": self._trouble.since_text,
        }

    def _run(self, drain: Drain) -> None:
        while not self._stopped.wait(self._every):
            if self._is_due:
                # Before the drain: what is appended meanwhile may be too late for it.
                self._is_due = False
                self._drain_once(drain)

    def _drain_once(self, drain: Drain) -> None:
        try:
            waiting = drain()
        except HelpdeskAssetsError as error:
            self._is_due = True
            self._begin(error)
        except Exception as error:
            self._is_due = True
            log.debug("The drain failed.", exc_info=True)
            self._begin(error)
        else:
            self._is_due = self._is_due or bool(waiting)
            self._trouble.end()
            self._last = self._now()

    def _begin(self, error: Exception) -> None:
        if not self._stopped.is_set():
            self._trouble.begin(error, "the drain fails")
