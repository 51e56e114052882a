"""Creates the client from settings: credentials, address, and which emulator addresses are allowed.

Must not know statements or tables.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
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

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.bigquery.appender import RowAppender

Client = bigquery.Client
# The last ones: a file that is no key, or that may not be read.
CREDENTIAL_ERRORS = (
    auth.GoogleAuthError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
)


class WarehouseRuntime(TypedDict, total=False):
    """Replacements for real deadlines, time and randomness, for tests.

    `sleep` takes seconds; `rng` returns a number from 0 to 1.
    """

    deadlines: Deadlines | None
    sleep: Callable[[float], None]
    rng: Callable[[], float]


def connect(settings: Settings, **runtime: Unpack[WarehouseRuntime]) -> BigQueryClient:
    """Connect to the dataset that the settings name.

    Args:
        settings: names project, dataset, location and emulator.
        **runtime: real time and randomness unless given.

    Raises:
        SettingsError: there are no credentials, or the emulator is not on this machine.
    """
    return wrap(open_client(settings), settings, **runtime)


def open_client(settings: Settings) -> Client:
    """Open google's client: anonymous for an emulator, else with the environment's credentials.

    Raises:
        SettingsError: there are no credentials, or the emulator is not on this machine.
    """
    try:
        return Client(
            project=settings.bigquery_project,
            location=settings.bigquery_location,
            **emulator_arguments(settings.bigquery_emulator_host),
        )
    except CREDENTIAL_ERRORS as error:
        raise SettingsError(
            f"BigQuery has no credentials{_named_file()}: run `gcloud auth application-default "
            "login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file. Without BIGQUERY_PROJECT "
            "the local warehouse is used, which needs none."
        ) from error


def _named_file() -> str:
    """Return which file was tried; not the error's text, which may quote its content."""
    name = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return f" that can be read (GOOGLE_APPLICATION_CREDENTIALS is {name})" if name else ""


def wrap(
    client: bigquery.Client, settings: Settings, **runtime: Unpack[WarehouseRuntime]
) -> BigQueryClient:
    """Wrap a client that already exists, such as that of Dagster's BigQueryResource.

    Args:
        client: google's client.
        settings: names project, dataset, location and emulator.
        **runtime: real time and randomness unless given.
    """
    return BigQueryClient(
        client,
        Dataset(settings.bigquery_project, settings.bigquery_dataset),
        location=settings.bigquery_location,
        is_emulator=bool(settings.bigquery_emulator_host),
        **runtime,
    )


def open_appender(settings: Settings, warehouse: BigQueryClient, *, deadline: float) -> RowAppender:
    """Open what appends rows to the dataset; it connects at the first row.

    Args:
        settings: names the emulator.
        warehouse: the client of the dataset, whose credentials it uses.
        deadline: seconds after which one call gives up.

    Raises:
        SettingsError: the emulator is not on this machine.
    """
    # Imported here, since most commands append nothing.
    from helpdesk_assets.warehouse.bigquery.append_channel import AppendChannel
    from helpdesk_assets.warehouse.bigquery.appender import RowAppender

    emulator = ""
    if settings.bigquery_emulator_host:
        emulator = settings.bigquery_emulator_grpc_host
        _check_loopback("BIGQUERY_EMULATOR_GRPC_HOST", emulator)
    channel = AppendChannel(emulator, warehouse.credentials)
    return RowAppender(warehouse, channel, deadline=deadline)


def emulator_arguments(host: str) -> dict[str, Any]:
    """Return the arguments for google's client that select an emulator; none if `host` is empty.

    Raises:
        SettingsError: the emulator is not on this machine.
    """
    if not host:
        return {}
    _check_loopback("BIGQUERY_EMULATOR_HOST", host)
    return {
        "credentials": AnonymousCredentials(),  # type: ignore[no-untyped-call]
        "client_options": ClientOptions(api_endpoint=host),
    }


def _check_loopback(setting: str, host: str) -> None:
    """Refuse an emulator on another machine.

    It accepts any caller, so there it could be anybody's, and the tickets with it.
    """
    if not is_loopback(host):
        raise SettingsError(
            f"{setting} {host!r} is not on this machine. Only 127.0.0.1, ::1 and localhost are "
            "accepted; for the real service leave it empty and set BIGQUERY_PROJECT."
        )


def is_loopback(url: str) -> bool:
    """Return whether an address, or the host of a URL, can be reached only from this machine."""
    try:
        name = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
