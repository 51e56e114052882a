"""Finds the adapter and the webhook format that HELPDESK_PROVIDER names.

Only that provider is imported, so the dependencies of the others cost nothing. This is the only
module that knows all providers by name. The command line's `--help` imports it, so it stays light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from helpdesk_assets.errors import SettingsError

if TYPE_CHECKING:
    from helpdesk_assets.providers.base import Helpdesk
    from helpdesk_assets.providers.client.connection import Runtime
    from helpdesk_assets.providers.webhooks.events import WebhookFormat
    from helpdesk_assets.settings import Settings

# Each is a folder beside this module. Its `adapter` has
# `from_settings(settings, runtime=None) -> Helpdesk` and, for `doctor`,
# `describe_settings(settings)`: by the name of each setting that only this helpdesk uses or that it
# reads differently, a function that describes its value (a `DoctorWarning` if somebody should act
# on it) or raises SettingsError. Its `webhooks` has
# `webhook_format(settings) -> WebhookFormat`. The simulator has a dialect of the same name.
PROVIDERS = ("rest", "zendesk", "zoho_desk", "freshdesk", "request_tracker")


def make_helpdesk(settings: Settings, runtime: Runtime | None = None) -> Helpdesk:
    """Create the helpdesk that the settings name, without calling it.

    Args:
        settings: the provider's name, address and credentials.
        runtime: replaces this machine's time, waiting and randomness.

    Raises:
        SettingsError: the provider is unknown, or a setting is missing or invalid.
    """
    helpdesk: Helpdesk = _module(settings, "adapter").from_settings(settings, runtime)
    return helpdesk


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """Return descriptions of the settings that only this adapter uses or that it reads differently.

    Raises:
        SettingsError: the provider is unknown.
    """
    descriptions: Mapping[str, Callable[[], str]] = _module(settings, "adapter").describe_settings(
        settings
    )
    return descriptions


def make_webhook_format(settings: Settings) -> WebhookFormat:
    """Create the webhook format of the helpdesk that the settings name.

    Raises:
        SettingsError: the provider is unknown, or a setting of its webhooks is invalid.
    """
    webhook_format: WebhookFormat = _module(settings, "webhooks").webhook_format(settings)
    return webhook_format


def _module(settings: Settings, part: str) -> ModuleType:
    name = settings.helpdesk_provider
    if name not in PROVIDERS:
        raise SettingsError(
            f"HELPDESK_PROVIDER is {name!r}, which is not known. Set it to one of "
            f"{', '.join(PROVIDERS)}."
        )
    return import_module(f"helpdesk_assets.providers.{name}.{part}")
