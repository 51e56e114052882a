"""A run in a process of its own, which is killed in its midst, for real.

Forked from a process that has imported everything and started nothing, so that it is there in
20 ms. It knows of the guards that are turned off: they are turned off in it as well.
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
from helpdesk_assets.extract.plan import Options
from helpdesk_assets.local.simulator.admin_client import HelpdeskControl
from helpdesk_assets.operations import sync
from helpdesk_assets.operations.sync import Policy, SyncReport
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.client.connection import World
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.chaos import guards
from helpdesk_assets_tests.chaos.instant_sleep import no_waiting

FAILED, ALIVE = 3, 0


@dataclass(frozen=True, slots=True)
class Order:
    """A run, and after which of its phases it dies; None where somebody else sees to that."""

    settings: Settings
    options: Options
    clock_off: timedelta
    save_every: timedelta
    phase: str | None
    guards: tuple[str, ...]


@contextmanager
def parts(settings: Settings, world: World) -> Iterator[tuple[Helpdesk, SyncTables]]:
    """What a run works with, as the command line makes it. Waits for the warehouse take no time."""
    with (
        closing(connect(settings, sleep=lambda _: None, random=lambda: 0.5)) as warehouse,
        closing(make_helpdesk(settings, world)) as helpdesk,
    ):
        yield (
            helpdesk,
            SyncTables(
                warehouse,
                sync_name=settings.sync_name,
                small_batch_bytes=settings.bigquery_small_batch_bytes,
            ),
        )


def run_once(
    settings: Settings,
    options: Options,
    world: World,
    *,
    save_every: timedelta,
    on_phase: Callable[[str], None] = lambda _: None,
) -> SyncReport:
    with parts(settings, world) as (helpdesk, sync_tables):
        return sync.run_sync(
            helpdesk,
            sync_tables,
            options,
            replace(Policy.from_settings(settings), save_every=save_every),
            run_id=uuid.uuid4().hex,
            on_phase=on_phase,
        )


def world_of(desk: HelpdeskControl, clock_off: Callable[[], timedelta]) -> World:
    """Waiting moves the helpdesk's clock, which stands still otherwise; ours is off by so much."""
    moved = 0.0

    def sleep(seconds: float) -> None:
        nonlocal moved
        moved += seconds
        desk.advance(seconds)

    def clock() -> datetime:
        return desk.clock().now + clock_off()

    return World(clock=clock, timer=lambda: moved, sleep=sleep, chance=lambda: 0.5)


def run_and_die(order: Order) -> None:
    """Never returns where a phase is named that the run comes to."""
    guards.turn_off(order.guards)

    def die(phase: str) -> None:
        if phase == order.phase:
            os.kill(os.getpid(), signal.SIGKILL)

    with no_waiting(), HelpdeskControl(order.settings.helpdesk_base_url) as desk:
        world = world_of(desk, lambda: order.clock_off)
        try:
            run_once(
                order.settings, order.options, world, save_every=order.save_every, on_phase=die
            )
        except HelpdeskAssetsError:
            os._exit(FAILED)
    os._exit(ALIVE)
