"""An adapter of the simulated Zendesk that logs in as an OAuth client; waits move its clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpdesk_assets.local.simulator.dialects.zendesk_tokens import CLIENT_ID
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.zendesk.adapter import ZendeskAdapter, from_settings
from helpdesk_assets.settings import Settings

ConnectClient = Callable[..., ZendeskAdapter]


def client_settings(simulator: SimulatedHelpdesk, **more: Any) -> Settings:
    given = {
        "helpdesk_base_url": simulator.base_url,
        "zendesk_client_id": CLIENT_ID,
        "zendesk_client_secret": simulator.token,
        "helpdesk_token_cache": "off",
    }
    return Settings.model_validate({**given, **more})


def client_runtime(simulator: SimulatedHelpdesk, slept: list[float]) -> Runtime:
    """Return a runtime whose clock is the helpdesk's; each wait is kept in `slept`."""

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        simulator.advance(seconds)

    return Runtime(
        now=lambda: simulator.clock().now,
        monotonic=lambda: sum(slept),
        sleep=sleep,
        rng=lambda: 0.5,
    )


def connect_client(simulator: SimulatedHelpdesk, slept: list[float], **more: Any) -> ZendeskAdapter:
    return from_settings(client_settings(simulator, **more), client_runtime(simulator, slept))
