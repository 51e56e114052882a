"""One local warehouse per test process, and a fresh dataset in it per test.

Nothing is skipped where it cannot start: a suite that passes without it has proved nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

from helpdesk_assets.embedded import EmbeddedWarehouse
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.datasets import fresh_dataset

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.client import Warehouse

# The same examples each time, so that a change is judged by what it changes; `make fuzz` looks for
# new ones. A deadline would judge the machine.
hypothesis_settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis_settings.register_profile("fuzz", max_examples=3000, deadline=None, print_blob=True)
hypothesis_settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a warehouse, so that `make quick` can leave it out: most of the suite's time
    is the stand-in's."""
    for item in items:
        if isinstance(item, pytest.Function) and "warehouse_endpoint" in item.fixturenames:
            item.add_marker("warehouse")


@pytest.fixture(scope="session", autouse=True)
def _interrupts_arrive() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and Dagster then treats
    SIGTERM alike. Processes that tests start would inherit both and never stop when told."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def warehouse_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a local warehouse that lives as long as the test process."""
    with EmbeddedWarehouse(tmp_path_factory.mktemp("warehouse")) as embedded:
        yield embedded.endpoint


@pytest.fixture
def warehouse_settings(warehouse_endpoint: str) -> Iterator[Settings]:
    """Settings that name a dataset which no other test has."""
    with fresh_dataset(warehouse_endpoint) as settings:
        yield settings


@pytest.fixture
def warehouse(warehouse_settings: Settings) -> Iterator[Warehouse]:
    """A warehouse on its own empty dataset."""
    from helpdesk_assets.warehouse.connection import connect

    connected = connect(warehouse_settings)
    connected.ensure_dataset()
    yield connected
    connected.close()
