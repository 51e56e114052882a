"""Fixtures that run a test once per vendor.

`vendor` is the vendor, `harness` a helpdesk with a filled table, and `make_harness` makes one with
an empty table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from helpdesk_assets_tests.conformance.vendors import VENDORS, Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, open_harness

TICKETS = 300
PAGE = 20
# Small pages, so that few tickets make many of them; and nobody looks at the missed ones here.
SETTINGS: Mapping[str, Any] = {"helpdesk_page_size": PAGE, "webhooks_enabled": False}

# Through a staging table: the stand-in takes longer for rows in parameters, which first loads of
# few tickets try out.
STAGED = {**SETTINGS, "bigquery_small_batch_bytes": 1000}


class MakeHarness(Protocol):
    def __call__(self, tickets: int, *, cap: int | None = None, **changed: Any) -> Harness: ...


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "vendor" in metafunc.fixturenames and ("vendor", "fault") not in own:
        test_name = metafunc.function.__name__.removeprefix("test_")
        applicable = [vendor for vendor in VENDORS if test_name not in vendor.excluded_tests]
        metafunc.parametrize("vendor", applicable, ids=lambda vendor: vendor.name)


@pytest.fixture(autouse=True)
def _requests_are_as_published(held_requests: None) -> None:
    """Hold every request of an adapter against the vendor's description."""


class SharedHarnesses:
    """A helpdesk with a filled table per vendor.

    A first load costs more than most tests, so tests share it as long as table and helpdesk are
    equal at their end.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._harnesses: dict[str, tuple[Harness, ExitStack]] = {}

    def harness(self, vendor: Vendor) -> Harness:
        if vendor.name not in self._harnesses:
            with ExitStack() as stack:
                harness = stack.enter_context(
                    open_harness(self._endpoint, TICKETS, vendor, **STAGED)
                )
                harness.simulator.advance(SECONDS_PAST_GRACE)
                harness.sync()
                harness.assert_equal()
                self._harnesses[vendor.name] = harness, stack.pop_all()
        return self._harnesses[vendor.name][0]

    def discard(self, vendor: Vendor) -> None:
        self._harnesses.pop(vendor.name)[1].close()

    def close(self) -> None:
        for _, stack in self._harnesses.values():
            stack.close()


@pytest.fixture(scope="session")
def shared_harnesses(warehouse_endpoint: str) -> Iterator[SharedHarnesses]:
    harnesses = SharedHarnesses(warehouse_endpoint)
    yield harnesses
    harnesses.close()


@pytest.fixture
def harness(
    shared_harnesses: SharedHarnesses, vendor: Vendor, request: pytest.FixtureRequest
) -> Iterator[Harness]:
    failed_before = request.session.testsfailed
    harness = shared_harnesses.harness(vendor)
    harness.simulator.reset_counters()
    yield harness
    if request.session.testsfailed > failed_before:
        shared_harnesses.discard(vendor)


@pytest.fixture
def make_harness(warehouse_endpoint: str, vendor: Vendor) -> Iterator[MakeHarness]:
    with ExitStack() as harnesses:

        def make(tickets: int, *, cap: int | None = None, **changed: Any) -> Harness:
            settings = {**SETTINGS, **changed}
            opened = open_harness(warehouse_endpoint, tickets, vendor, cap=cap, **settings)
            harness = harnesses.enter_context(opened)
            # Longer than any vendor's settle delay.
            harness.simulator.advance(SECONDS_PAST_GRACE)
            return harness

        yield make
