"""`vendor` runs a story once per vendor; `rig` is a helpdesk with a filled table, `make_rig` an
empty table beside a helpdesk of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from helpdesk_assets_tests.conformance.vendors import VENDORS, Vendor
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, open_rig

TICKETS = 300
PAGE = 20
# Small pages, so that few tickets make many of them; and nobody looks at the missed ones here.
SETTINGS: Mapping[str, Any] = {"helpdesk_page_size": PAGE, "webhooks_enabled": False}

# Through a staging table: the stand-in takes longer for rows in parameters, which first loads of
# few tickets try out.
STAGED = {**SETTINGS, "bigquery_small_batch_bytes": 1000}


class MakeRig(Protocol):
    def __call__(self, tickets: int, *, cap: int | None = None, **changed: Any) -> Rig: ...


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vendor" in metafunc.fixturenames:
        story = metafunc.function.__name__.removeprefix("test_")
        told = [vendor for vendor in VENDORS if story not in vendor.leaves_out]
        metafunc.parametrize("vendor", told, ids=lambda vendor: vendor.name)


class Filled:
    """By vendor, a helpdesk with a filled table. A first load costs more than most stories, so they
    share it for as long as it is found equal at the end of each."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._rigs: dict[str, tuple[Rig, ExitStack]] = {}

    def rig(self, vendor: Vendor) -> Rig:
        if vendor.name not in self._rigs:
            with ExitStack() as stack:
                rig = stack.enter_context(open_rig(self._endpoint, TICKETS, vendor, **STAGED))
                rig.desk.advance(RIPE_SECONDS)
                rig.sync()
                rig.assert_equal()
                self._rigs[vendor.name] = rig, stack.pop_all()
        return self._rigs[vendor.name][0]

    def discard(self, vendor: Vendor) -> None:
        self._rigs.pop(vendor.name)[1].close()

    def close(self) -> None:
        for _, stack in self._rigs.values():
            stack.close()


@pytest.fixture(scope="session")
def filled(warehouse_endpoint: str) -> Iterator[Filled]:
    rigs = Filled(warehouse_endpoint)
    yield rigs
    rigs.close()


@pytest.fixture
def rig(filled: Filled, vendor: Vendor, request: pytest.FixtureRequest) -> Iterator[Rig]:
    failed_before = request.session.testsfailed
    rig = filled.rig(vendor)
    rig.desk.reset_counters()
    yield rig
    if request.session.testsfailed > failed_before:
        filled.discard(vendor)


@pytest.fixture
def make_rig(warehouse_endpoint: str, vendor: Vendor) -> Iterator[MakeRig]:
    with ExitStack() as rigs:

        def make(tickets: int, *, cap: int | None = None, **changed: Any) -> Rig:
            settings = {**SETTINGS, **changed}
            opened = open_rig(warehouse_endpoint, tickets, vendor, cap=cap, **settings)
            rig = rigs.enter_context(opened)
            # No vendor keeps back what is as old as this.
            rig.desk.advance(RIPE_SECONDS)
            return rig

        yield make
