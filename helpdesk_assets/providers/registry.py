"""Find the provider that HELPDESK_PROVIDER names: the one module that knows all of them by name.

Imports only the provider that is used, so an adapter's own dependencies cost nothing to those who
use another. Light enough for the command line's `--help`.
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
# `from_settings(settings, runtime=None) -> Helpdesk`, and `describe_settings(settings)` for the
# doctor: by name of a setting that only this helpdesk uses or reads in its own way, a function that
# says what it is set to, or raises SettingsError. Its `webhooks` has
# `webhook_format(settings) -> WebhookFormat`. The simulator has a dialect of the same name.
PROVIDERS = ("rest", "zendesk", "zoho_desk", "freshdesk", "request_tracker")


def make_helpdesk(settings: Settings, runtime: Runtime | None = None) -> Helpdesk:
    """The helpdesk of the settings, not called yet.

    Args:
        settings: which helpdesk, and how to reach it.
        runtime: time and waiting; this machine's if None.

    Raises:
        SettingsError: no such provider, no token, or an invalid address.
    """
    helpdesk: Helpdesk = _module(settings, "adapter").from_settings(settings, runtime)
    return helpdesk


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """What the adapter says of settings that it alone uses, or reads in its own way.

    Raises:
        SettingsError: no such provider.
    """
    descriptions: Mapping[str, Callable[[], str]] = _module(settings, "adapter").describe_settings(
        settings
    )
    return descriptions


def make_webhook_format(settings: Settings) -> WebhookFormat:
    """How the helpdesk of the settings signs and writes its webhooks.

    Raises:
        SettingsError: no such provider, or a setting of its webhooks is invalid.
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
