"""The vendors' APIs, one module per provider; only the one in use is imported."""

from __future__ import annotations

from importlib import import_module

from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import Dialect
from helpdesk_assets.local.simulator.ticket_factory import MakeId, consecutive_id, ticket_id

# Providers whose accounts number their tickets from 1. Freshdesk's archive is asked by these
# numbers (developers.freshdesk.com/api/#tickets: `id`).
_NUMBERING = ("freshdesk",)


def id_maker(name: str) -> MakeId:
    """Return what makes the ids of a provider's tickets."""
    return consecutive_id if name in _NUMBERING else ticket_id


def make_dialect(name: str, backend: HelpdeskBackend, token: str) -> Dialect:
    """Create the API of a provider.

    Args:
        name: the provider's, as in HELPDESK_PROVIDER.
        backend: the helpdesk's state.
        token: token that calls must carry.
    """
    dialect: Dialect = import_module(f"{__name__}.{name}").create_dialect(backend, token)
    return dialect
