"""The one mapping from HTTP answers to our errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
import requests

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    RightMissing,
)
from helpdesk_assets.providers.client.error_text import excerpt
from helpdesk_assets.providers.client.errors import (
    CallTimedOut,
    TransientError,
    connection_error,
    error_for_status,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
TOKEN = "s3cret-token"


def refusal(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> HelpdeskAssetsError:
    return error_for_status("/v2/tickets", status, excerpt(body, (TOKEN,)), headers or {}, NOW)


@pytest.mark.parametrize("status", [401, 403])
def test_rejected_credentials_name_the_setting_and_path(status: int) -> None:
    error = refusal(status, TOKEN.encode())
    assert isinstance(error, CredentialsRefused)
    assert "HELPDESK_API_TOKEN" in str(error)
    assert "/v2/tickets" in str(error)
    assert ("right" in str(error)) == (status == 403)
    assert TOKEN not in str(error)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_transient_statuses(status: int) -> None:
    error = refusal(status, headers={"Retry-After": "7"})
    assert isinstance(error, TransientError)
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [204, 304, 400, 402, 404, 407, 410, 422, 423, 451])
def test_permanent_statuses(status: int) -> None:
    error = refusal(status, b"page size")
    assert type(error) is EndpointFailed
    assert f"answered {status}: page size" in str(error)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "words", ["account_suspended: This account is suspended", "Address 203.0.113.7 is not allowed"]
)
def test_refusals_show_what_the_helpdesk_says(status: int, words: str) -> None:
    assert f"{status} to GET /v2/tickets: {words}. " in str(refusal(status, f"{words}.".encode()))


def test_missing_scope_is_of_the_token() -> None:
    told = b'{"error": "Forbidden", "description": "missing the required scopes: read"}'
    assert type(refusal(403, told)) is CredentialsRefused
    assert type(refusal(403, b"Access denied to ticket")) is RightMissing


@pytest.mark.parametrize(
    ("status", "named", "unnamed"),
    [
        (504, "HELPDESK_PAGE_SIZE", "HELPDESK_BASE_URL"),
        (408, "HELPDESK_PAGE_SIZE", "HELPDESK_BASE_URL"),
        (503, "Try again later", "HELPDESK_"),
        (409, "Try again later", "HELPDESK_"),
        (404, "HELPDESK_BASE_URL", "HELPDESK_API_TOKEN"),
        (400, "refuses what was asked", "HELPDESK_BASE_URL"),
        (422, "refuses what was asked", "HELPDESK_BASE_URL"),
        (407, "HTTPS_PROXY", "HELPDESK_"),
        (402, "plan", "HELPDESK_"),
        (423, "Unlock", "HELPDESK_"),
    ],
)
def test_advice_fits_the_status(status: int, named: str, unnamed: str) -> None:
    told = str(refusal(status, b"no"))
    assert named in told
    assert unnamed not in told


@pytest.mark.parametrize("kind", ["ProxyError", "InvalidProxyURL"])
def test_trouble_of_a_proxy_names_its_variable(kind: str) -> None:
    error = getattr(requests.exceptions, kind)("Tunnel connection failed")
    failure = connection_error("GET /v2/tickets", "desk.example.com", 30, error)
    assert "HTTPS_PROXY" in str(failure)
    assert "HELPDESK_BASE_URL" not in str(failure)


def test_only_a_connected_host_times_out() -> None:
    """Whoever asks for smaller pages after a time-out must not do so for a dead host."""
    exceptions = requests.exceptions
    kinds = {
        kind: type(connection_error("GET /v2/tickets", "desk.example.com", 30, kind()))
        for kind in (exceptions.ReadTimeout, exceptions.ConnectTimeout, exceptions.ConnectionError)
    }
    assert list(kinds.values()) == [CallTimedOut, TransientError, TransientError]


def test_bad_certificate_is_not_retried() -> None:
    error = requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")
    failure = connection_error("GET /v2/tickets", "desk.example.com", 30, error)
    assert type(failure) is EndpointFailed
    assert "desk.example.com (HELPDESK_BASE_URL)" in str(failure)


def test_text_of_an_unknown_error_is_not_shown() -> None:
    error = requests.exceptions.InvalidHeader(f"Invalid header value: 'Bearer {TOKEN}'")
    failure = connection_error("GET /v2/tickets", "desk.example.com", 30, error)
    assert TOKEN not in str(failure)
    assert "InvalidHeader" in str(failure)
