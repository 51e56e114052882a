"""Creates the client from settings: who calls, at which address, who pays, and with which key.

Must not know statements or tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict, Unpack

from helpdesk_assets.answer_deadline import LoopbackAdapter
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.access import client_options, credentials, storage_address
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines
from helpdesk_assets.warehouse.bigquery.job_options import load_defaults, query_defaults
from helpdesk_assets.warehouse.query import Dataset

if TYPE_CHECKING:
    from google.cloud.bigquery import Client as Client

    from helpdesk_assets.warehouse.bigquery.appender import RowAppender


class WarehouseRuntime(TypedDict, total=False):
    """Replacements for real deadlines, time and randomness, for tests.

    `sleep` takes seconds, `monotonic` returns them; `rng` returns a number from 0 to 1.
    """

    deadlines: Deadlines | None
    sleep: Callable[[float], None]
    rng: Callable[[], float]
    monotonic: Callable[[], float]


def connect(settings: Settings, **runtime: Unpack[WarehouseRuntime]) -> BigQueryClient:
    """Connect to the dataset that the settings name.

    Args:
        settings: names project, dataset, location, address and who calls.
        **runtime: real time and randomness unless given.

    Raises:
        SettingsError: there are no credentials, or tickets would travel where they may not.
    """
    return bind(open_client(settings), settings, **runtime)


def bind(client: Client, settings: Settings, **runtime: Unpack[WarehouseRuntime]) -> BigQueryClient:
    """Bind an open client to the dataset that the settings name; the others as of `connect`."""
    return BigQueryClient(
        client,
        Dataset(settings.bigquery_project, settings.bigquery_dataset),
        location=settings.bigquery_location,
        is_emulator=bool(settings.bigquery_emulator_host),
        labels=settings.job_labels,
        **runtime,
    )


def open_appender(settings: Settings, warehouse: BigQueryClient, *, deadline: float) -> RowAppender:
    """Open what appends rows to the dataset; it connects at the first row.

    Args:
        settings: names the address.
        warehouse: the client of the dataset, whose credentials it uses.
        deadline: seconds after which one call gives up.

    Raises:
        SettingsError: rows would travel where they may not.
    """
    # Imported here, since most commands append nothing.
    from helpdesk_assets.warehouse.bigquery.append_channel import AppendChannel
    from helpdesk_assets.warehouse.bigquery.appender import RowAppender

    channel = AppendChannel(
        storage_address(settings),
        warehouse.credentials,
        is_emulator=bool(settings.bigquery_emulator_host),
    )
    return RowAppender(warehouse, channel, deadline=deadline)


def open_client(settings: Settings) -> Client:
    """Open google's client, which runs its jobs in the project that pays.

    Raises:
        SettingsError: there are no credentials, or tickets would travel where they may not.
    """
    from google.cloud.bigquery import Client

    options = client_options(settings)
    client = Client(
        project=settings.paying_project,
        credentials=credentials(settings),
        location=settings.bigquery_location,
        client_options=options,
        default_query_job_config=query_defaults(settings),
        default_load_job_config=load_defaults(settings),
    )
    if settings.bigquery_emulator_host:
        for scheme in ("http://", "https://"):
            # There is no public way to its session.
            client._http.mount(scheme, LoopbackAdapter())  # noqa: SLF001
    return client
