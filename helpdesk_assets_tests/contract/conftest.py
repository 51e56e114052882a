"""`subject` is a warehouse: in memory, then in the stand-in for BigQuery."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.backends import Backend, BigQueryBackend, InMemoryBackend
from helpdesk_assets_tests.contract.subject import Subject
from helpdesk_assets_tests.datasets import fresh_dataset
from helpdesk_assets_tests.leases import one_writer

IN_MEMORY, STAND_IN = "in memory", "stand-in"

# What `make test` also asks of the stand-in; the rest is in the ring that CI runs.
QUICK = ("test_warehouse.py", "test_lease.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        is_here = item.path.parent == Path(__file__).parent and item.path.name not in QUICK
        if is_here and item.get_closest_marker("warehouse"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=[IN_MEMORY, pytest.param(STAND_IN, marks=pytest.mark.warehouse)])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == IN_MEMORY:
        opened = in_memory()
    else:
        opened = on_bigquery(request.getfixturevalue("warehouse_endpoint"))
    with opened as (backend, settings), ExitStack() as spools:
        staging = settings.model_copy(update={"bigquery_small_batch_bytes": 1})
        with backend.connected(settings) as warehouse, backend.connected(staging) as other:
            warehouse.prepare()
            with one_writer(warehouse, other):
                yield Subject(warehouse, other, backend, settings, spools)


@contextmanager
def in_memory() -> Iterator[tuple[Backend, Settings]]:
    yield InMemoryBackend(), Settings(_env_file=None)  # type: ignore[call-arg,unused-ignore]


@contextmanager
def on_bigquery(endpoint: str) -> Iterator[tuple[Backend, Settings]]:
    # Here and not above: google's client takes a while to import.
    from helpdesk_assets.warehouse.bigquery.connection import connect

    with fresh_dataset(endpoint) as settings, closing(connect(settings)) as client:
        client.ensure_dataset()
        yield BigQueryBackend(client), settings
