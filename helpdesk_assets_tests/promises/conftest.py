"""Rigs: `make_rig(tickets)` for a helpdesk of a given size, `rig` for a small one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Protocol

import pytest

from helpdesk_assets_tests.harness import Rig, open_rig


class MakeRig(Protocol):
    def __call__(self, tickets: int, *, start: datetime | None = None) -> Rig: ...


@pytest.fixture
def make_rig(warehouse_endpoint: str) -> Iterator[MakeRig]:
    with ExitStack() as rigs:

        def make(tickets: int, *, start: datetime | None = None) -> Rig:
            return rigs.enter_context(open_rig(warehouse_endpoint, tickets, start=start))

        yield make


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig(60)
