"""`make_harness(tickets)` gives a helpdesk of a given size, `harness` a small one.

Their tables are in memory. What needs BigQuery has the mark `ON_BIGQUERY`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Protocol

import pytest

from helpdesk_assets_tests.conformance.vendors import REST, Vendor
from helpdesk_assets_tests.harness import Harness, open_harness, open_in_memory

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
