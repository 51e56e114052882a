from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.zendesk.adapter import ZendeskAdapter
from helpdesk_assets_tests.providers.zendesk.login import ConnectClient, connect_client

START = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def zendesk() -> Iterator[SimulatedHelpdesk]:
    """A frozen helpdesk whose tickets are all in the export."""
    with SimulatedHelpdesk(tickets=120, start=START, frozen=True, dialect="zendesk") as simulator:
        simulator.advance(3600)
        yield simulator


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def connect_oauth(zendesk: SimulatedHelpdesk, waits: list[float]) -> Iterator[ConnectClient]:
    made: list[ZendeskAdapter] = []

    def make(**more: Any) -> ZendeskAdapter:
        made.append(connect_client(zendesk, waits, **more))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()
