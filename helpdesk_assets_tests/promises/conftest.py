"""Rigs: `make_rig(tickets)` for a helpdesk of a given size, `rig` for a small one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Protocol

import pytest

from helpdesk_assets.settings import Settings
from helpdesk_assets.simulator.server import SimulatedHelpdesk
from helpdesk_assets.warehouse.client import Warehouse
from helpdesk_assets_tests.promises.rig import Rig


class MakeRig(Protocol):
    def __call__(self, tickets: int, *, start: datetime | None = None) -> Rig: ...


@pytest.fixture
def make_rig(warehouse: Warehouse, warehouse_settings: Settings) -> Iterator[MakeRig]:
    with ExitStack() as desks:

        def make(tickets: int, *, start: datetime | None = None) -> Rig:
            desk = desks.enter_context(SimulatedHelpdesk(tickets=tickets, start=start))
            settings = warehouse_settings.model_copy(
                update={
                    "helpdesk_base_url": desk.base_url,
                    "helpdesk_api_token": type(warehouse_settings.helpdesk_api_token)(desk.token),
                }
            )
            return Rig(desk, settings, warehouse)

        yield make


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig(60)
