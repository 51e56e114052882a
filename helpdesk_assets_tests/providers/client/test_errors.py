"""The one mapping from HTTP answers to our errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
import requests

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, HelpdeskAssetsError
from helpdesk_assets.providers.client.errors import (
    EXCERPT_CHARS,
    TransientError,
    connection_error,
    error_for_status,
    excerpt,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
TOKEN = "s3cret-token"


def refusal(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> HelpdeskAssetsError:
    return error_for_status("/v2/tickets", status, body, headers or {}, NOW, (TOKEN,))


@pytest.mark.parametrize("status", [401, 403])
def test_rejected_credentials_name_the_setting_and_path(status: int) -> None:
    error = refusal(status, TOKEN.encode())
    assert isinstance(error, CredentialsRefused)
    assert "HELPDESK_API_TOKEN" in str(error)
    assert "/v2/tickets" in str(error)
    assert ("right" in str(error)) == (status == 403)
    assert TOKEN not in str(error)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_transient_statuses(status: int) -> None:
    error = refusal(status, headers={"Retry-After": "7"})
    assert isinstance(error, TransientError)
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [204, 304, 400, 404, 410, 422])
def test_permanent_statuses(status: int) -> None:
    error = refusal(status, b"page size")
    assert type(error) is EndpointFailed
    assert f"answered {status}: page size" in str(error)


def test_excerpt_is_bounded_masked_and_on_one_line() -> None:
    # The token spans the cut: if masked only afterwards, its first half would be shown.
    body = b"x" * (EXCERPT_CHARS - 10) + TOKEN.encode() + b"y" * 9000
    assert len(excerpt(body, (TOKEN,))) == EXCERPT_CHARS
    assert "s3cret" not in excerpt(body, (TOKEN,))
    assert excerpt(b"a\r\n\x1b[31m\tb\xff", ("",)) == "a [31m b\ufffd"


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
