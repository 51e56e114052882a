"""Harnesses: `make_harness(tickets)` for a helpdesk of a given size, `harness` for a small one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Protocol

import pytest

from helpdesk_assets_tests.harness import Harness, open_harness


class MakeHarness(Protocol):
    def __call__(self, tickets: int, *, start: datetime | None = None) -> Harness: ...


@pytest.fixture
def make_harness(warehouse_endpoint: str) -> Iterator[MakeHarness]:
    with ExitStack() as harnesses:

        def make(tickets: int, *, start: datetime | None = None) -> Harness:
            return harnesses.enter_context(open_harness(warehouse_endpoint, tickets, start=start))

        yield make


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    return make_harness(60)
