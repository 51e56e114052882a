"""Find the adapter that HELPDESK_PROVIDER names. Only that one is imported, so an adapter's own
dependencies cost nothing to those who use another. The one module that knows all adapters by name.
"""

from __future__ import annotations

from importlib import import_module

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.settings import Settings

# Each module has `from_settings(settings) -> Helpdesk`.
ADAPTERS = {
    "rest": "helpdesk_assets.providers.rest",
}


def make_helpdesk(settings: Settings) -> Helpdesk:
    """The helpdesk of the settings, not called yet.

    Raises:
        SettingsError: no such provider, no token, or an address that is none.
    """
    name = settings.helpdesk_provider
    if name not in ADAPTERS:
        raise SettingsError(
            f"HELPDESK_PROVIDER is {name!r}, and no helpdesk of that name is known. Known: "
            f"{', '.join(sorted(ADAPTERS))}."
        )
    if not settings.helpdesk_api_token.get_secret_value().strip():
        raise SettingsError("HELPDESK_API_TOKEN is empty. Set it to a token that may read tickets.")
    helpdesk: Helpdesk = import_module(ADAPTERS[name]).from_settings(settings)
    return helpdesk
