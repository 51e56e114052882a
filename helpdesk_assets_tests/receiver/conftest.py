"""A receiver over the local warehouse, and a simulated helpdesk behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.wiring import Parts, open_parts
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.receiver_process import served
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, Sender

Open = Callable[..., AbstractContextManager[Sender]]


@pytest.fixture
def desk() -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=30, seed=5) as desk:
        yield desk


@pytest.fixture
def settings(warehouse_settings: Settings, desk: SimulatedHelpdesk) -> Settings:
    return warehouse_settings.model_copy(
        update={
            "helpdesk_base_url": desk.base_url,
            "helpdesk_api_token": SecretStr(desk.token),
            "webhook_secrets": SecretStr(SECRET),
        }
    )


@pytest.fixture
def open_receiver(settings: Settings) -> Open:
    """A receiver in a thread; `changed` are settings, and parts to be put in place of others."""

    @contextmanager
    def opened(**changed: Any) -> Iterator[Sender]:
        own = settings.model_copy(update=changed)
        with (
            served(build_app(with_parts(open_parts(own), changed)), own) as url,
            closing(Sender(url, own.helpdesk_provider)) as sender,
        ):
            yield sender

    return opened


def with_parts(parts: Parts, changed: dict[str, Any]) -> Parts:
    fields = ("vendor", "store", "fetcher", "pace")
    return replace(parts, **{name: changed[name] for name in fields if name in changed})


@pytest.fixture
def sender(open_receiver: Open) -> Iterator[Sender]:
    with open_receiver() as opened:
        yield opened
