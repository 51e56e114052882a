"""How each vendor's API speaks: one module a vendor, found by the provider's name.

Only the dialect that is spoken is imported.
"""

from __future__ import annotations

from importlib import import_module

from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import Dialect

# Each module has `create_dialect(backend, token) -> Dialect`.
DIALECTS = {
    "rest": "helpdesk_assets.local.simulator.dialects.rest",
    "zendesk": "helpdesk_assets.local.simulator.dialects.zendesk",
    "zoho_desk": "helpdesk_assets.local.simulator.dialects.zoho_desk",
    "freshdesk": "helpdesk_assets.local.simulator.dialects.freshdesk",
    "request_tracker": "helpdesk_assets.local.simulator.dialects.request_tracker",
}


def make_dialect(name: str, backend: HelpdeskBackend, token: str) -> Dialect:
    """
    Args:
        name: one of `DIALECTS`.
        desk: whose tickets are told of.
        token: what production calls must carry.
    """
    dialect: Dialect = import_module(DIALECTS[name]).create_dialect(backend, token)
    return dialect
