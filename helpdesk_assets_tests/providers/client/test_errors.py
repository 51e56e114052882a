"""One mapping from HTTP to our errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
import requests

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, HelpdeskAssetsError
from helpdesk_assets.providers.client.errors import (
    EXCERPT,
    PassingFailure,
    excerpt,
    http_time,
    refused,
    retry_after,
    unreachable,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
TOKEN = "s3cret-token"


def refusal(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> HelpdeskAssetsError:
    return refused("/v2/tickets", status, body, headers or {}, NOW, (TOKEN,))


@pytest.mark.parametrize("status", [401, 403])
def test_bad_credentials_name_the_setting_and_the_path(status: int) -> None:
    error = refusal(status, TOKEN.encode())
    assert isinstance(error, CredentialsRefused)
    assert "HELPDESK_API_TOKEN" in str(error)
    assert "/v2/tickets" in str(error)
    assert ("right" in str(error)) == (status == 403)
    assert TOKEN not in str(error)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass(status: int) -> None:
    error = refusal(status, headers={"Retry-After": "7"})
    assert isinstance(error, PassingFailure)
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [204, 304, 400, 404, 410, 422])
def test_what_does_not_pass(status: int) -> None:
    error = refusal(status, b"page size")
    assert type(error) is EndpointFailed
    assert f"answered {status}: page size" in str(error)


def test_an_excerpt_is_bounded_masked_and_on_one_line() -> None:
    # The token lies across the cut: masked only afterwards, its first half would be shown.
    body = b"x" * (EXCERPT - 10) + TOKEN.encode() + b"y" * 9000
    assert len(excerpt(body, (TOKEN,))) == EXCERPT
    assert "s3cret" not in excerpt(body, (TOKEN,))
    assert excerpt(b"a\r\n\x1b[31m\tb\xff", ("",)) == "a [31m b\ufffd"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("1.5", 1.5),
        ("-3", 0),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_helpdesks_clock(
    text: str | None, seconds: float | None
) -> None:
    assert retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Mon, 23 Nov 2026 10:00:00 GMT", NOW),
        ("Mon, 23 Nov 2026 10:00:00 -0000", NOW),
        ("Mon, 23 Nov 2026 11:00:00 +0100", NOW),
        ("yesterday", None),
        ("Mon, 99 Nov 2026 10:00:00 GMT", None),
        (None, None),
    ],
)
def test_times_of_headers(text: str | None, moment: datetime | None) -> None:
    assert http_time(text) == moment


def test_a_bad_certificate_is_not_tried_again() -> None:
    error = requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")
    failure = unreachable("GET /v2/tickets", "desk.example.com", 30, error)
    assert type(failure) is EndpointFailed
    assert "desk.example.com (HELPDESK_BASE_URL)" in str(failure)


def test_the_text_of_an_unknown_error_is_not_shown() -> None:
    error = requests.exceptions.InvalidHeader(f"Invalid header value: 'Bearer {TOKEN}'")
    failure = unreachable("GET /v2/tickets", "desk.example.com", 30, error)
    assert TOKEN not in str(failure)
    assert "InvalidHeader" in str(failure)
