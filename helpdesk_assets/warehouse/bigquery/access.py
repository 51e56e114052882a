"""Who calls BigQuery, and at which address: for the REST client and for appends over gRPC alike.

Must not know statements or tables.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import google.auth
from google.api_core.client_options import ClientOptions
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials, Credentials

from helpdesk_assets.answer_deadline import is_loopback
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.settings import Settings

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# The last ones: a file that is no key, or that may not be read.
CREDENTIAL_ERRORS = (
    auth.GoogleAuthError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
)


def credentials(settings: Settings) -> Credentials:
    """Return the credentials for every call: anonymous for an emulator, else the environment's.

    With BIGQUERY_IMPERSONATE_SERVICE_ACCOUNT, those of that account, made out to whoever the
    environment names.

    Raises:
        SettingsError: there are none.
    """
    if settings.bigquery_emulator_host:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    quota_project = settings.bigquery_quota_project or None
    account = settings.bigquery_impersonate_service_account
    try:
        if not account:
            found, _ = google.auth.default(scopes=SCOPES, quota_project_id=quota_project)
            return found
        # Here, for most commands impersonate nobody and would only start later for it.
        from google.auth import impersonated_credentials

        source, _ = google.auth.default(scopes=SCOPES)
        return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
            source_credentials=source,
            target_principal=account,
            target_scopes=list(SCOPES),
            quota_project_id=quota_project,
        )
    except CREDENTIAL_ERRORS as error:
        raise SettingsError(
            f"BigQuery has no credentials{_named_file()}: run `gcloud auth application-default "
            "login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file. Without BIGQUERY_PROJECT "
            "the local warehouse is used, which needs none."
        ) from error


def client_options(settings: Settings) -> ClientOptions | None:
    """Return the address of the REST API for google's client; None for the usual one.

    Raises:
        SettingsError: tickets would travel unencrypted, or to an emulator on another machine.
    """
    address = rest_address(settings)
    return ClientOptions(api_endpoint=address) if address else None


def rest_address(settings: Settings) -> str:
    """Return the address of the REST API that the settings name; empty for the usual one.

    Raises:
        SettingsError: tickets would travel unencrypted, or to an emulator on another machine.
    """
    host = settings.bigquery_emulator_host
    if not host:
        return _encrypted(settings.bigquery_endpoint)
    if settings.bigquery_endpoint:
        raise SettingsError(
            f"BIGQUERY_ENDPOINT is an address of the real service, and an emulator at {host!r} is "
            "to be used. Set BIGQUERY_PROJECT and leave BIGQUERY_EMULATOR_HOST empty, or leave "
            "BIGQUERY_ENDPOINT empty."
        )
    if not is_loopback(host):
        # An emulator accepts any caller. On another machine it could be anybody's, and the
        # tickets with it.
        raise SettingsError(
            f"BIGQUERY_EMULATOR_HOST {host!r} is not on this machine. Only 127.0.0.1, ::1 and "
            "localhost are accepted; for the real service leave it empty and set BIGQUERY_PROJECT, "
            "and BIGQUERY_ENDPOINT if it has an address of its own in your network."
        )
    return host


def storage_address(settings: Settings) -> str | None:
    """Return host, and port if any, of the Storage API over gRPC; None for the usual one.

    Regional and private endpoints have it beside that of REST: `bigquerystorage` for `bigquery`.

    Raises:
        SettingsError: no address can be made of BIGQUERY_ENDPOINT, or the emulator is elsewhere.
    """
    if settings.bigquery_emulator_host:
        host = settings.bigquery_emulator_grpc_host
        if not is_loopback(host):
            raise SettingsError(
                f"BIGQUERY_EMULATOR_GRPC_HOST {host!r} is not on this machine, and an emulator "
                "accepts any caller. Write 127.0.0.1 and its port."
            )
        return host
    address = rest_address(settings)
    if not address:
        return None
    name = urlsplit(address).netloc
    if not name.startswith("bigquery"):
        raise SettingsError(
            f"BIGQUERY_ENDPOINT {settings.bigquery_endpoint!r}: appending webhooks needs the "
            "address of the Storage API, whose name is made from one that begins with bigquery, as "
            "in bigquery.europe-west3.rep.googleapis.com. Give the endpoint such a name."
        )
    return f"bigquerystorage{name.removeprefix('bigquery')}"


def _encrypted(endpoint: str) -> str:
    if not endpoint:
        return ""
    address = endpoint if "://" in endpoint else f"https://{endpoint}"
    parts = urlsplit(address)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(address))
    if not is_safe or not parts.hostname or parts.username or parts.path.strip("/"):
        raise SettingsError(
            f"BIGQUERY_ENDPOINT {endpoint.rpartition('@')[2]!r} is not an address that tickets may "
            "travel to. Write https:// and the host, as in "
            "https://bigquery.europe-west3.rep.googleapis.com; http:// only leads to this machine."
        )
    return address.rstrip("/")


def _named_file() -> str:
    """Return which file was tried; not the error's text, which may quote its content."""
    name = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return f" that can be read (GOOGLE_APPLICATION_CREDENTIALS is {name})" if name else ""
