"""Counts are correct with many threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpdesk_assets.model.tickets import ApiUsage
from helpdesk_assets.providers.client.usage import UsageCounter


@pytest.fixture
def frequent_thread_switches() -> Iterator[None]:
    """Threads interrupt each other as often as possible, so that races are likely."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("frequent_thread_switches")
def test_counts_are_thread_safe() -> None:
    meter = UsageCounter()

    def count(_: int) -> None:
        meter.record_call()
        meter.record_bytes(3)
        meter.record_retry(0.5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(2000)))
    assert meter.use == ApiUsage(2000, 6000, 2000, 1000.0)
