"""Counts are right when many threads count."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpdesk_assets.model.tickets import ApiUse
from helpdesk_assets.providers.client.usage import Meter


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads interrupt each other as often as they can, or a lost count would be rare luck."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_no_count_is_lost_between_threads() -> None:
    meter = Meter()

    def count(_: int) -> None:
        meter.called()
        meter.received(3)
        meter.retried(0.5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(2000)))
    assert meter.use == ApiUse(2000, 6000, 2000, 1000.0)
