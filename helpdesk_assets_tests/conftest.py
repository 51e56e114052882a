"""One warehouse per test process, and a fresh dataset in it per test.

Tests fail, and are not skipped, if it cannot start: a suite that passes without it proves nothing.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.datasets import fresh_dataset
from helpdesk_assets_tests.durations import StrictDurations
from helpdesk_assets_tests.vendor_requests.recorder import held_requests, request_recorder
from helpdesk_assets_tests.warehouses import (
    WarehouseKind,
    WarehouseMissing,
    open_warehouse,
    require,
)

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.bigquery.client import BigQueryClient

__all__ = ["held_requests", "request_recorder"]

# The same examples each time, so that a change is judged by what it changes; `make fuzz` looks for
# new ones. A deadline, or how slowly examples are made, would judge the machine.
NO_DEADLINE = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("same", NO_DEADLINE, derandomize=True, database=None)
hypothesis_settings.register_profile("fuzz", NO_DEADLINE, max_examples=3000, print_blob=True)
hypothesis_settings.load_profile("same")


# Suites that `make test` leaves to `make test-all`.
EXTENDED = (
    "chaos", "conformance", "end_to_end", "experiments", "hostile", "request_tracker",
    "service_proxy",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--warehouse",
        choices=[kind.value for kind in WarehouseKind],
        default=WarehouseKind.BQEMULATOR.value,
        help="which BigQuery: the local stand-in, another one, GoogleSQL before it, or the service",
    )
    parser.addoption(
        "--strict-durations",
        type=float,
        metavar="FACTOR",
        help="fail where a case without the mark `slow` takes longer than FACTOR times 5 s",
    )
    parser.addoption(
        "--without-guard",
        metavar="NAME",
        help="turn off a guard of chaos/guards.py, to see which test misses it",
    )


def pytest_configure(config: pytest.Config) -> None:
    factor = config.getoption("--strict-durations")
    if factor and not hasattr(config, "workerinput"):  # a worker's reports come to its controller
        config.pluginmanager.register(StrictDurations(factor))
    if guard := config.getoption("--without-guard"):
        from helpdesk_assets_tests.chaos.guards import turn_off

        turn_off([guard])
    try:
        require(_kind(config), os.environ)
    except WarehouseMissing as error:
        raise pytest.UsageError(str(error)) from None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the tests of the SQL judge unless it is built."""
    if collection_path.name == "googlesql" and _kind(config) is not WarehouseKind.GOOGLESQL:
        return True
    return None


def _kind(config: pytest.Config) -> WarehouseKind:
    return WarehouseKind(config.getoption("--warehouse"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the extended suites and the tests that need a warehouse."""
    root = Path(__file__).parent
    for item in items:
        if item.path.relative_to(root).parts[0] in EXTENDED:
            item.add_marker("extended")
        if isinstance(item, pytest.Function) and "warehouse_endpoint" in item.fixturenames:
            item.add_marker("warehouse")


@pytest.fixture(scope="session", autouse=True)
def _restore_sigint() -> None:
    """Restore the default handler of SIGINT.

    A shell starts background commands with SIGINT ignored, and Dagster then treats SIGTERM alike.
    Processes started by tests would inherit both and never stop.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Undo the command line's changes to logging, which all tests of a process share."""
    logger = logging.getLogger("helpdesk_assets")
    handlers, level = logger.handlers, logger.level
    yield
    logger.handlers = handlers
    logger.setLevel(level)


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Disable garbage collection for tests that reach Python's recursion limit.

    Collecting another test's sessions at that depth fails for lack of stack, and the test with it.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def warehouse_endpoint(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the test process's warehouse; empty for the real service."""
    kind = _kind(pytestconfig)
    with open_warehouse(kind, tmp_path_factory.mktemp("warehouse")) as endpoint:
        yield endpoint


@pytest.fixture
def warehouse_settings(warehouse_endpoint: str) -> Iterator[Settings]:
    """Settings that name a dataset of this test alone."""
    with fresh_dataset(warehouse_endpoint) as settings:
        yield settings


@pytest.fixture
def warehouse(warehouse_settings: Settings) -> Iterator[BigQueryClient]:
    """A warehouse client on an empty dataset."""
    from helpdesk_assets.warehouse.bigquery.connection import connect

    connected = connect(warehouse_settings)
    connected.ensure_dataset()
    yield connected
    connected.close()
