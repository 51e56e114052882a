"""From settings to a warehouse: whose credentials, which address, and what may not be one.

Must not know statements or tables.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from google.api_core.client_options import ClientOptions
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.table_api import Deadlines
from helpdesk_assets.warehouse.query import Dataset


class WarehouseRuntime(TypedDict, total=False):
    """What tests put in the place of real time and chance."""

    deadlines: Deadlines | None
    sleep: Callable[[float], None]
    random: Callable[[], float]


def connect(settings: Settings, **runtime: Unpack[WarehouseRuntime]) -> BigQueryClient:
    """The warehouse that the settings name.

    Args:
        seams: real time and chance unless given.

    Raises:
        SettingsError: no credentials, or an emulator that is not on this machine.
    """
    host = settings.bigquery_emulator_host
    try:
        client = bigquery.Client(
            project=settings.bigquery_project,
            location=settings.bigquery_location,
            **emulator_arguments(host),
        )
    except auth.DefaultCredentialsError as error:
        raise SettingsError(
            "BigQuery has no credentials: run `gcloud auth application-default login`, or set "
            "GOOGLE_APPLICATION_CREDENTIALS to a key file. Without BIGQUERY_PROJECT the local "
            "warehouse is used, which needs none."
        ) from error
    return wrap(client, settings, **runtime)


def wrap(
    client: bigquery.Client, settings: Settings, **runtime: Unpack[WarehouseRuntime]
) -> BigQueryClient:
    """The same over a client that somebody else has made, such as Dagster's BigQueryResource."""
    return BigQueryClient(
        client,
        Dataset(settings.bigquery_project, settings.bigquery_dataset),
        location=settings.bigquery_location,
        is_emulator=bool(settings.bigquery_emulator_host),
        **runtime,
    )


def emulator_arguments(host: str) -> dict[str, Any]:
    """What a client of google's needs to speak to a stand-in; nothing where `host` is empty.

    Raises:
        SettingsError: the stand-in is not on this machine.
    """
    if not host:
        return {}
    if not is_loopback(host):
        # A stand-in takes any caller: on another machine it could be anyone's, and so the tickets.
        raise SettingsError(
            f"BIGQUERY_EMULATOR_HOST {host!r} is not on this machine. Only 127.0.0.1, ::1 and "
            "localhost are taken; for the real service leave it empty and set BIGQUERY_PROJECT."
        )
    return {
        "credentials": AnonymousCredentials(),  # type: ignore[no-untyped-call]
        "client_options": ClientOptions(api_endpoint=host),
    }


def is_loopback(url: str) -> bool:
    """Whether an address, or the host of a URL, can be reached from this machine only."""
    try:
        name = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
