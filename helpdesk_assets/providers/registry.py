"""Finds the adapter and the webhook format that HELPDESK_PROVIDER names.

Only that adapter is imported, so the dependencies of the others cost nothing. This is the only
module that knows all adapters by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.webhooks.events import WebhookFormat
from helpdesk_assets.settings import Settings

if TYPE_CHECKING:
    from helpdesk_assets.providers.client.connection import Runtime

# Each module has `from_settings(settings, runtime=None) -> Helpdesk` and, for `doctor`,
# `describe_settings(settings)`: by the name of each setting that only this helpdesk uses or that it
# reads differently, a function that describes its value or raises SettingsError.
ADAPTERS = {
    "rest": "helpdesk_assets.providers.rest.adapter",
    "request_tracker": "helpdesk_assets.providers.request_tracker.adapter",
    "zendesk": "helpdesk_assets.providers.zendesk.adapter",
    "zoho_desk": "helpdesk_assets.providers.zoho_desk.adapter",
    "freshdesk": "helpdesk_assets.providers.freshdesk.adapter",
}


def make_helpdesk(settings: Settings, runtime: Runtime | None = None) -> Helpdesk:
    """Create the helpdesk that the settings name, without calling it.

    Args:
        settings: the provider's name, address and credentials.
        runtime: replaces this machine's time, waiting and randomness.

    Raises:
        SettingsError: the provider is unknown, or a setting is missing or invalid.
    """
    helpdesk: Helpdesk = _adapter(settings).from_settings(settings, runtime)
    return helpdesk


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """Return descriptions of the settings that only this adapter uses or that it reads differently.

    Raises:
        SettingsError: the provider is unknown.
    """
    descriptions: Mapping[str, Callable[[], str]] = _adapter(settings).describe_settings(settings)
    return descriptions


def _adapter(settings: Settings) -> ModuleType:
    name = settings.helpdesk_provider
    if name not in ADAPTERS:
        raise SettingsError(
            f"HELPDESK_PROVIDER is {name!r}, which is not a known helpdesk. Set one of: "
            f"{', '.join(sorted(ADAPTERS))}."
        )
    return import_module(ADAPTERS[name])


WEBHOOK_FORMATS = ("rest", "zendesk", "zoho_desk", "freshdesk", "request_tracker")


def make_webhook_format(settings: Settings) -> WebhookFormat:
    """Create the webhook format of the helpdesk that the settings name.

    Raises:
        SettingsError: the provider is unknown, or a setting of its webhooks is invalid.
    """
    name = settings.helpdesk_provider
    if name not in WEBHOOK_FORMATS:
        raise SettingsError(
            f"HELPDESK_PROVIDER is {name!r}, which is not a helpdesk with known webhooks. Set one "
            f"of: {', '.join(WEBHOOK_FORMATS)}."
        )
    webhook_format: WebhookFormat = import_module(
        f"helpdesk_assets.providers.{name}.webhooks"
    ).webhook_format(settings)
    return webhook_format
