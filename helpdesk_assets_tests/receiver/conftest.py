"""A receiver with or without the local warehouse, and a simulated helpdesk behind it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.webhook_events import WebhookEvent
from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.receiver.wiring import Dependencies, open_dependencies
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
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
    """A store without a warehouse that keeps what was appended."""

    def __init__(self) -> None:
        self.events: list[WebhookEvent] = []
        self.refusals: list[Refusal] = []

    @property
    def written(self) -> list[str]:
        return [event.event_id for event in self.events]

    def append_events(self, events: Sequence[WebhookEvent]) -> Mapping[int, HelpdeskAssetsError]:
        self.events += events
        return {}

    def append_refusals(self, refusals: Sequence[Refusal]) -> None:
        self.refusals += refusals

    def close(self) -> None: ...


def stored_events(warehouse: BigQueryClient) -> list[WebhookEvent]:
    """What the table holds, in order of arrival; an event that came twice is there twice."""
    if warehouse.get_table(tables.WEBHOOK_EVENTS.name, fresh=True) is None:
        return []
    rows = warehouse.list_rows(tables.WEBHOOK_EVENTS.name)
    return sorted(map(WebhookEvent.from_row, rows), key=lambda event: event.received_at)


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
    fields = ("webhook_format", "store", "drain", "drain_seconds")
    return replace(parts, **{name: changed[name] for name in fields if name in changed})


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
