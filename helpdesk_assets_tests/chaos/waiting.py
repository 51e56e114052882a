"""Waits of google's client take no time: its clock moves instead, so that deadlines still end them."""

from __future__ import annotations

import threading
import time

from google.api_core.retry import retry_base, retry_unary


class QuickTime:
    """Stands in for the module `time` where google's retries wait."""

    def __init__(self) -> None:
        self._moved = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return time.monotonic() + self._moved

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._moved += seconds


def wait_for_nothing() -> None:
    """For the rest of this process."""
    quick = QuickTime()
    for module in (retry_base, retry_unary):
        setattr(module, "time", quick)  # noqa: B010 - mypy knows a module by that name
