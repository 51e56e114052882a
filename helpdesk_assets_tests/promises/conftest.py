"""`make_harness(tickets)` gives a helpdesk of a given size, `harness` a small one.

Their tables are in memory. What needs BigQuery has the mark `ON_BIGQUERY`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from helpdesk_assets_tests.conformance.vendors import FRESHDESK, REST, Vendor
from helpdesk_assets_tests.harness import Harness, open_harness, open_in_memory

ARCHIVE_START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 86_400.0
NUMBERS = [str(number) for number in range(1, 41)]
ON_BIGQUERY = pytest.mark.usefixtures("warehouse_endpoint")


class MakeHarness(Protocol):
    def __call__(
        self, tickets: int, vendor: Vendor = REST, *, start: datetime | None = None
    ) -> Harness: ...


@pytest.fixture(autouse=True)
def _requests_are_as_published(held_requests: None) -> None:
    """Hold every request of an adapter against the vendor's description."""


@pytest.fixture
def make_harness(request: pytest.FixtureRequest) -> Iterator[MakeHarness]:
    is_on_bigquery = "warehouse_endpoint" in request.fixturenames
    with ExitStack() as harnesses:

        def make(tickets: int, vendor: Vendor = REST, *, start: datetime | None = None) -> Harness:
            if is_on_bigquery:
                endpoint = request.getfixturevalue("warehouse_endpoint")
                opened = open_harness(endpoint, tickets, vendor, start=start)
            else:
                opened = open_in_memory(tickets, vendor, start=start)
            return harnesses.enter_context(opened)

        yield make


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    return make_harness(60)


class MakeDesk(Protocol):
    def __call__(self, **changed: Any) -> Harness: ...


@pytest.fixture
def make_desk() -> Iterator[MakeDesk]:
    """A Freshdesk with forty tickets of one second, numbered from 1, ten of which are old."""
    with ExitStack() as stack:

        def make(**changed: Any) -> Harness:
            settings = {"webhooks_enabled": False, **changed}
            desk = stack.enter_context(
                open_in_memory(0, FRESHDESK, start=ARCHIVE_START, **settings)
            )
            desk.simulator.create(ids=NUMBERS[:10])
            desk.simulator.advance(150 * DAY)
            desk.simulator.create(ids=NUMBERS[10:])
            desk.simulator.advance(DAY)
            desk.columns = tuple(column for column in desk.columns if column != "raw_json")
            return desk

        yield make
