"""Small answers from elsewhere are bounded in time and size, as a helpdesk's are."""

from __future__ import annotations

import time

import pytest
import requests

from helpdesk_assets.answer_deadline import get_once
from helpdesk_assets.providers.zoho_desk.webhook_tokens import fetch_keys
from helpdesk_assets_tests.providers.loopback import (
    CannedResponse,
    DripClock,
    Respond,
    dripping,
    loopback,
)

OK = b"HTTP/1.1 200 OK\r\n"
DRIPS = [dripping(OK, b"X-More: 1\r\n"), dripping(OK + b"\r\n", b" ")]


@pytest.mark.parametrize("respond", DRIPS, ids=["headers", "body"])
def test_dripping_answer_is_given_up(respond: Respond) -> None:
    with loopback(respond) as server, pytest.raises(requests.RequestException):
        get_once(server.url, timeout=5, deadline=9, monotonic=DripClock(4.0))


def test_body_that_is_not_wanted_is_not_awaited() -> None:
    with loopback(DRIPS[1]) as server:
        answer = get_once(server.url, timeout=5, deadline=9, max_bytes=0, monotonic=DripClock(1.0))
    assert (answer.status, answer.body) == (200, b"")


def test_only_the_first_bytes_are_read() -> None:
    with loopback(lambda _: CannedResponse(b"x" * 3_000_000)) as server:
        assert len(get_once(server.url, timeout=5, deadline=9).body) == 1 << 20


def test_proxy_does_not_lift_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(DRIPS[1]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(requests.RequestException):
            get_once("http://desk.example.com", timeout=5, deadline=9, monotonic=DripClock(4.0))
        assert len(proxy.seen) == 1


def test_only_so_many_redirects_are_followed() -> None:
    with loopback(lambda _: CannedResponse(b"", 302, {"Location": "/on"})) as server:
        with pytest.raises(requests.TooManyRedirects):
            get_once(server.url, timeout=5, deadline=9, max_redirects=2)
        assert len(server.seen) == 3


@pytest.mark.parametrize(
    "respond",
    [
        *DRIPS,
        lambda _: CannedResponse(b"<html>"),
        lambda _: CannedResponse(b"[]"),
        lambda _: CannedResponse(b"{}", 302, {"Location": "https://other.example.com"}),
        lambda _: None,
    ],
)
def test_keys_that_do_not_come_are_none(respond: Respond) -> None:
    with loopback(respond) as server:
        assert fetch_keys(server.url, DripClock(4.0)) is None


def test_keys_are_fetched() -> None:
    with loopback(lambda _: CannedResponse(b'{"keys": []}')) as server:
        assert fetch_keys(server.url, time.monotonic) == {"keys": []}
