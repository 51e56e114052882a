"""Open the helpdesk and the tables that the settings name, and close them at the end.

Must not know what a command does with them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.garbage import rare_collections
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.stores.lease_waiting import Sightings
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables

_CONNECT_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Connections:
    """The helpdesk and the tables of one run."""

    helpdesk: Helpdesk
    tables: SyncTables


@contextmanager
def open_connections(
    settings: Settings, sightings: Sightings | None = None
) -> Iterator[Connections]:
    """Open both ends of the sync; only the local warehouse is checked at once.

    Args:
        settings: which helpdesk and which dataset.
        sightings: what was seen of other writers before; None: nothing.
    """
    from helpdesk_assets.providers.registry import make_helpdesk

    with (
        closing(make_helpdesk(settings)) as helpdesk,
        open_tables(settings, sightings) as tables,
        rare_collections(),
    ):
        yield Connections(helpdesk, tables)


@contextmanager
def open_tables(settings: Settings, sightings: Sightings | None = None) -> Iterator[SyncTables]:
    """Open the tables of the sync that SYNC_NAME names."""
    with open_warehouse(settings) as warehouse:
        yield SyncTables.from_settings(warehouse, settings, sightings=sightings)


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[BigQueryClient]:
    """Open the warehouse.

    Raises:
        WarehouseUnavailable: the local warehouse is not running.
    """
    from helpdesk_assets.warehouse.bigquery.connection import connect

    # First, because it rejects an address that must not be an emulator before anything is sent.
    with closing(connect(settings)) as warehouse:
        if settings.bigquery_emulator_host and not is_listening(settings.bigquery_emulator_host):
            # google's client would retry for half a minute before it fails.
            raise WarehouseUnavailable(
                f"No warehouse answers at {settings.bigquery_emulator_host}. Start the local one "
                "with `helpdesk-assets warehouse` or `make dev`, or set BIGQUERY_PROJECT to use "
                "the real BigQuery."
            )
        yield warehouse


def is_listening(url: str) -> bool:
    """Whether the host of this URL accepts connections."""
    try:
        address = urlsplit(url)
        port = address.port or (443 if address.scheme == "https" else 80)
        with socket.create_connection(
            (address.hostname or "", port), timeout=_CONNECT_TIMEOUT_SECONDS
        ):
            return True
    except (OSError, ValueError):
        return False
