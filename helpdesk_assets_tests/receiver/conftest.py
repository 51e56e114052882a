"""A receiver with or without the local warehouse, and a simulated helpdesk behind it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.receiver.wiring import Dependencies, open_dependencies
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.receiver_process import served
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, Sender

Open = Callable[..., AbstractContextManager[Sender]]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=30, seed=5) as simulator:
        yield simulator


@pytest.fixture
def settings(warehouse_settings: Settings, simulator: SimulatedHelpdesk) -> Settings:
    return warehouse_settings.model_copy(
        update={
            "helpdesk_base_url": simulator.base_url,
            "helpdesk_api_token": SecretStr(simulator.token),
            "webhook_secrets": SecretStr(SECRET),
        }
    )


class MemoryStore:
    """A store without a warehouse that keeps only the ids of what was written."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.refusals: list[Refusal] = []

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None: ...

    def write_events(
        self, deliveries: Sequence[Delivery], run_id: str, committed_at: datetime
    ) -> int:
        self.written += [delivery.event_id for delivery in deliveries]
        return len(deliveries)

    def find_known(self, ticket_ids: Collection[str]) -> frozenset[str]:
        return frozenset(ticket_ids)

    def refresh_schemas(self) -> None: ...

    def write_refusals(self, refusals: Sequence[Refusal]) -> None:
        self.refusals += refusals

    def close(self) -> None: ...


@contextmanager
def _opened(settings: Settings, **changed: Any) -> Iterator[Sender]:
    """A receiver in a thread; `changed` are settings and replacements of dependencies."""
    own = settings.model_copy(update=changed)
    with (
        served(build_app(with_dependencies(open_dependencies(own), changed))) as url,
        closing(Sender(url, own.helpdesk_provider)) as sender,
    ):
        yield sender


@pytest.fixture
def open_receiver(settings: Settings) -> Open:
    return partial(_opened, settings)


@pytest.fixture
def settings_alone() -> Settings:
    """Settings that name a warehouse and a helpdesk which do not exist."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    return Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
        _env_file=None,
        helpdesk_base_url=gone,
        helpdesk_api_token=SecretStr("nobody-asks"),
        bigquery_project="test-project",
        bigquery_emulator_host=gone,
        webhook_secrets=SecretStr(SECRET),
    )


@pytest.fixture
def open_alone(settings_alone: Settings) -> Open:
    return partial(_opened, settings_alone)


def with_dependencies(parts: Dependencies, changed: dict[str, Any]) -> Dependencies:
    fields = ("webhook_format", "store", "fetcher", "batching", "shown_within")
    found = {name: changed[name] for name in fields if name in changed}
    if isinstance(found.get("store"), MemoryStore):
        found["refusals"] = found["store"]
    return replace(parts, **found)


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def sender_alone(open_alone: Open, memory: MemoryStore) -> Iterator[Sender]:
    with open_alone(store=memory) as opened:
        yield opened


@pytest.fixture
def sender(open_receiver: Open) -> Iterator[Sender]:
    with open_receiver() as opened:
        yield opened
