"""Shared by all scenarios of a process: a warehouse, the proxies before it, and a fork server.

One proxy lets the warehouse take its time and overlap as the service does, one fails.

One dataset is reused and emptied before each scenario: its name is part of every statement, and
thus of everything that the local warehouse caches.
"""

from __future__ import annotations

import multiprocessing
import random
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
from helpdesk_assets_tests.service_proxy.clocks import JumpingClock
from helpdesk_assets_tests.service_proxy.durations import lognormal
from helpdesk_assets_tests.service_proxy.keys import KEYS
from helpdesk_assets_tests.service_proxy.proxy import ServiceProxy

# Of how long statements take, in virtual time.
SEED = 13
SECRET = SecretStr("a-secret-of-more-than-sixteen")


@dataclass(frozen=True, slots=True)
class Environment:
    """The shared services. `guards` are turned off in started processes too; see `guards`."""

    warehouse: str
    proxy: FaultProxy
    service: ServiceProxy
    clock: JumpingClock
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
    clock, durations = JumpingClock(), lognormal(random.Random(SEED))
    forks.set_forkserver_preload(["helpdesk_assets_tests.chaos.killable_run"])
    with (
        instant_sleep(),
        LocalWarehouse(directory) as warehouse,
        ServiceProxy(warehouse.endpoint, clock, durations=durations, keys=KEYS) as service,
        FaultProxy(service.endpoint) as proxy,
    ):
        yield Environment(warehouse.endpoint, proxy, service, clock, forks)
