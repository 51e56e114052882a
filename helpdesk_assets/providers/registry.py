"""Find the adapter that HELPDESK_PROVIDER names. Only that one is imported, so an adapter's own
dependencies cost nothing to those who use another. The one module that knows all adapters by name.
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

# Each module has `from_settings(settings, runtime=None) -> Helpdesk`, and
# `describe_settings(settings)` for the doctor: by name of a setting that only this helpdesk uses or
# reads in its own way, a function that says what it is set to, or raises SettingsError.
ADAPTERS = {
    "rest": "helpdesk_assets.providers.rest.adapter",
    "request_tracker": "helpdesk_assets.providers.request_tracker.adapter",
    "zendesk": "helpdesk_assets.providers.zendesk.adapter",
    "zoho_desk": "helpdesk_assets.providers.zoho_desk.adapter",
    "freshdesk": "helpdesk_assets.providers.freshdesk.adapter",
}


def make_helpdesk(settings: Settings, runtime: Runtime | None = None) -> Helpdesk:
    """The helpdesk of the settings, not called yet. `runtime`: time and waiting, where they are not
    to be this machine's.

    Raises:
        SettingsError: no such provider, no token, or an address that is none.
    """
    helpdesk: Helpdesk = _adapter(settings).from_settings(settings, runtime)
    return helpdesk


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """What the adapter says of settings that it alone uses, or reads in its own way.

    Raises:
        SettingsError: no such provider.
    """
    describe_settings: Mapping[str, Callable[[], str]] = _adapter(settings).describe_settings(
        settings
    )
    return describe_settings


def _adapter(settings: Settings) -> ModuleType:
    name = settings.helpdesk_provider
    if name not in ADAPTERS:
        raise SettingsError(
            f"HELPDESK_PROVIDER is {name!r}, and no helpdesk of that name is known. Known: "
            f"{', '.join(sorted(ADAPTERS))}."
        )
    return import_module(ADAPTERS[name])


WEBHOOK_FORMATS = ("rest", "zendesk", "zoho_desk", "freshdesk", "request_tracker")


def make_webhook_format(settings: Settings) -> WebhookFormat:
    """
    Raises:
        SettingsError: HELPDESK_PROVIDER is not known, or a setting of its webhooks cannot be.
    """
    name = settings.helpdesk_provider
    if name not in WEBHOOK_FORMATS:
        raise SettingsError(
            f"HELPDESK_PROVIDER is {name!r}, and no webhooks of a helpdesk of that name are known. "
            f"Known: {', '.join(WEBHOOK_FORMATS)}."
        )
    webhook_format: WebhookFormat = import_module(
        f"helpdesk_assets.providers.{name}.webhooks"
    ).webhook_format(settings)
    return webhook_format
