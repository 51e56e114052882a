"""Makes waits of google's client instant: its clock moves instead, so that deadlines still end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.retry import retry_base, retry_unary
from google.resumable_media.requests import _request_helpers

from helpdesk_assets.warehouse.bigquery.connection import WarehouseRuntime
from helpdesk_assets.warehouse.stores.lease_waiting import Clocks
from helpdesk_assets_tests.service_proxy.clocks import JumpingClock

# A writer that waits for another one looks again after so many real seconds.
PAUSE = 0.01


class FakeTime:
    """Replacement for the module `time` in google's retries."""

    def __init__(self) -> None:
        self._moved = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return time.monotonic() + self._moved

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._moved += seconds


def quick_runtime() -> WarehouseRuntime:
    """Waits of our own client that take no time."""
    quick = FakeTime()
    return WarehouseRuntime(sleep=quick.sleep, monotonic=quick.monotonic, rng=lambda: 0.5)


def quick_waits(clock: JumpingClock | None = None) -> Clocks:
    """Short pauses for who waits for a lease.

    Time is the real one: a holder is alive however often others look.

    Args:
        clock: the service's, which goes on while everybody waits.
    """

    def sleep(seconds: float) -> None:
        if clock is not None:
            clock.hang(clock.now() + seconds)
        time.sleep(PAUSE)

    return Clocks(sleep=sleep)


@contextmanager
def instant_sleep() -> Iterator[None]:
    quick = FakeTime()
    # The last is for uploads, each of which would be retried for a minute, several times.
    modules = retry_base, retry_unary, _request_helpers
    before = [module.time for module in modules]
    try:
        for module in modules:
            setattr(module, "time", quick)  # noqa: B010 - mypy knows a module by that name
        yield
    finally:
        for module, real in zip(modules, before, strict=True):
            setattr(module, "time", real)  # noqa: B010
