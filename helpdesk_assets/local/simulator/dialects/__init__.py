"""The vendors' APIs, one module per provider; only the one in use is imported."""

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
    """Create the API of a provider.

    Args:
        name: one of `DIALECTS`.
        backend: the helpdesk's state.
        token: token that calls must carry.
    """
    dialect: Dialect = import_module(DIALECTS[name]).create_dialect(backend, token)
    return dialect
