"""Shared by all scenarios of a process: a warehouse, the proxy in front of it, and a fork server.

One dataset is reused and emptied before each scenario: its name is part of every statement, and
thus of everything that the local warehouse caches.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

from pydantic import SecretStr

from helpdesk_assets.local.warehouse import LocalWarehouse
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.chaos.fault_proxy import FaultProxy
from helpdesk_assets_tests.chaos.instant_sleep import instant_sleep
from helpdesk_assets_tests.chaos.scenario_counts import Counts

SECRET = SecretStr("a-secret-of-more-than-sixteen")


@dataclass(frozen=True, slots=True)
class Environment:
    """The shared services. `guards` are turned off in started processes too; see `guards`."""

    warehouse: str
    proxy: FaultProxy
    forks: ForkServerContext
    counts: Counts = field(default_factory=Counts)
    guards: tuple[str, ...] = ()

    def settings(self) -> Settings:
        return Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
            _env_file=None,
            bigquery_project="test-project",
            bigquery_dataset="chaos",
            bigquery_emulator_host=self.warehouse,
            webhook_secrets=SECRET,
        )


@contextmanager
def open_environment(directory: Path) -> Iterator[Environment]:
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["helpdesk_assets_tests.chaos.killable_run"])
    with (
        instant_sleep(),
        LocalWarehouse(directory) as warehouse,
        FaultProxy(warehouse.endpoint) as proxy,
    ):
        yield Environment(warehouse.endpoint, proxy, forks)
