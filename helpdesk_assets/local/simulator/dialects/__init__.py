"""The vendors' APIs, one module per provider; only the one in use is imported."""

from __future__ import annotations

from importlib import import_module

from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import Dialect


def make_dialect(name: str, backend: HelpdeskBackend, token: str) -> Dialect:
    """Create the API of a provider.

    Args:
        name: the provider's, as in HELPDESK_PROVIDER.
        backend: the helpdesk's state.
        token: token that calls must carry.
    """
    dialect: Dialect = import_module(f"{__name__}.{name}").create_dialect(backend, token)
    return dialect
