"""Runs in a separate process that is killed at a given point.

The process is forked from one that has imported everything and started nothing, so it starts in 20
ms. Guards that are turned off are turned off in it too.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.operations import sync
from helpdesk_assets.operations.drain import DrainPolicy, DrainReport, drain
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.chaos import guards
from helpdesk_assets_tests.chaos.instant_sleep import instant_sleep, quick_runtime, quick_waits
from helpdesk_assets_tests.service_proxy.clocks import JumpingClock

FAILED, ALIVE = 3, 0


@dataclass(frozen=True, slots=True)
class KillableRun:
    """A run, and the phase after which it dies; None if it is killed from outside.

    A drain has no phases; it only merges the webhooks that wait.
    """

    settings: Settings
    sync_request: SyncRequest
    clock_off: timedelta
    checkpoint_every: timedelta
    phase: str | None
    guards: tuple[str, ...]
    is_drain: bool = False


@contextmanager
def open_run(
    settings: Settings, runtime: Runtime, clock: JumpingClock | None = None
) -> Iterator[tuple[Helpdesk, SyncTables]]:
    """Open a run's dependencies as the command line does; waits for the warehouse are instant.

    Args:
        settings: as for users.
        runtime: the helpdesk's time.
        clock: the service's, where several write at once.
    """
    with (
        closing(connect(settings, **quick_runtime())) as warehouse,
        closing(make_helpdesk(settings, runtime)) as helpdesk,
    ):
        yield (
            helpdesk,
            SyncTables.from_settings(warehouse, settings, clocks=quick_waits(clock)),
        )


def run_once(
    settings: Settings,
    sync_request: SyncRequest,
    runtime: Runtime,
    *,
    checkpoint_every: timedelta,
    clock: JumpingClock | None = None,
    on_phase: Callable[[str], None] = lambda _: None,
) -> SyncReport:
    with open_run(settings, runtime, clock) as (helpdesk, sync_tables):
        return sync.run_sync(
            helpdesk,
            sync_tables,
            sync_request,
            replace(SyncPolicy.from_settings(settings), checkpoint_every=checkpoint_every),
            run_id=uuid.uuid4().hex,
            on_phase=on_phase,
            now=runtime.now,
        )


def drain_once(
    settings: Settings, runtime: Runtime, clock: JumpingClock | None = None, *, everything: bool
) -> DrainReport:
    """Merge the webhooks that wait."""
    with open_run(settings, runtime, clock) as (helpdesk, sync_tables):
        return drain(
            helpdesk,
            sync_tables,
            run_id=uuid.uuid4().hex,
            everything=everything,
            policy=DrainPolicy.from_settings(settings),
            now=runtime.now,
        )


def runtime_of(simulator: AdminClient, clock_off: Callable[[], timedelta]) -> Runtime:
    """Return a runtime whose waits move the frozen helpdesk's clock; ours is off by `clock_off`."""
    moved = 0.0

    def sleep(seconds: float) -> None:
        nonlocal moved
        moved += seconds
        simulator.advance(seconds)

    def clock() -> datetime:
        return simulator.clock().now + clock_off()

    return Runtime(now=clock, monotonic=lambda: moved, sleep=sleep, rng=lambda: 0.5)


def run_until_killed(killable_run: KillableRun) -> None:
    """Run; does not return if the run reaches the given phase."""
    guards.turn_off(killable_run.guards)

    def die(phase: str) -> None:
        if phase == killable_run.phase:
            os.kill(os.getpid(), signal.SIGKILL)

    with instant_sleep(), AdminClient(killable_run.settings.helpdesk_base_url) as simulator:
        runtime = runtime_of(simulator, lambda: killable_run.clock_off)
        try:
            if killable_run.is_drain:
                drain_once(killable_run.settings, runtime, everything=True)
                os._exit(ALIVE)
            run_once(
                killable_run.settings,
                killable_run.sync_request,
                runtime,
                checkpoint_every=killable_run.checkpoint_every,
                on_phase=die,
            )
        except HelpdeskAssetsError:
            os._exit(FAILED)
    os._exit(ALIVE)
