"""One local warehouse per test process, and a fresh dataset in it per test.

Nothing is skipped where it cannot start: a suite that passes without it has proved nothing.
"""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from helpdesk_assets.embedded import EmbeddedWarehouse
from helpdesk_assets.settings import Settings

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.client import Warehouse


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
    """Settings that name a dataset which no other test has.

    It is dropped afterwards: local-bigquery takes longer for everything with each table it has,
    so that the suite took four times as long on 3.13.
    """
    settings = Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
        _env_file=None,
        bigquery_project="test-project",
        bigquery_dataset=f"test_{uuid.uuid4().hex[:12]}",
        bigquery_emulator_host=warehouse_endpoint,
    )
    yield settings
    _drop_dataset(settings)


@pytest.fixture
def warehouse(warehouse_settings: Settings) -> Iterator[Warehouse]:
    """A warehouse on its own empty dataset."""
    from helpdesk_assets.warehouse.connection import connect

    connected = connect(warehouse_settings)
    connected.ensure_dataset()
    yield connected
    connected.close()


def _drop_dataset(settings: Settings) -> None:
    from google.cloud import bigquery

    from helpdesk_assets.warehouse.connection import emulator_arguments

    arguments = emulator_arguments(settings.bigquery_emulator_host)
    client = bigquery.Client(project=settings.bigquery_project, **arguments)
    client.delete_dataset(settings.bigquery_dataset, delete_contents=True, not_found_ok=True)
    client.close()  # type: ignore[no-untyped-call]
