"""How each vendor's API speaks: one module a vendor, found by the provider's name.

Only the dialect that is spoken is imported.
"""

from __future__ import annotations

from importlib import import_module

from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import Dialect


def make_dialect(name: str, backend: HelpdeskBackend, token: str) -> Dialect:
    """The dialect of a provider, from `create_dialect(backend, token)` of its module.

    Args:
        name: the provider's, as in HELPDESK_PROVIDER.
        backend: whose tickets it serves.
        token: what production calls must carry.
    """
    dialect: Dialect = import_module(f"{__name__}.{name}").create_dialect(backend, token)
    return dialect
