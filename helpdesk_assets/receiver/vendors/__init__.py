"""Which vendors' webhooks are known: the one module that names them all. Only the one that is
wanted is imported. Each has `vendor(settings) -> Vendor`.
"""

from __future__ import annotations

from importlib import import_module

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.receiver.events import Vendor
from helpdesk_assets.settings import Settings

VENDORS = ("rest", "zendesk", "zoho_desk", "freshdesk", "request_tracker")


def make_vendor(settings: Settings) -> Vendor:
    """
    Raises:
        SettingsError: HELPDESK_PROVIDER is not known, or a setting of its webhooks cannot be.
    """
    name = settings.helpdesk_provider
    if name not in VENDORS:
        raise SettingsError(
            f"HELPDESK_PROVIDER is {name!r}, and no webhooks of a helpdesk of that name are known. "
            f"Known: {', '.join(VENDORS)}."
        )
    made: Vendor = import_module(f"{__name__}.{name}").vendor(settings)
    return made
