"""How an answer arrives: its length, its bytes, its time, and past which proxies."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from helpdesk_assets.answer_deadline import is_loopback
from helpdesk_assets.errors import EndpointFailed, MachineError
from helpdesk_assets.providers.client.auth import TokenAuth
from helpdesk_assets.providers.client.errors import AnswerTooSlow, TransientError
from helpdesk_assets.providers.client.http import Api
from helpdesk_assets.providers.client.rate_limit import (
    RateLimiter,
    RateLimitState,
    parse_rate_limit_headers,
)
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets_tests.providers.loopback import CannedResponse, DripClock, dripping, loopback

BODY = b'{"a": "' + b"x" * 5000 + b'"}'
OK = b"HTTP/1.1 200 OK\r\n"
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def api_for(url: str, monotonic: Callable[[], float] = time.monotonic) -> Api:
    return Api(url, TokenAuth("s3cret"), timeout=3, connections=1, monotonic=monotonic)


def chunked(body: bytes, size: int = 1000, head: bytes = b"") -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return OK + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        chunked(BODY),
        chunked(BODY, head=b"Content-Length: 10000\r\n"),
        chunked(BODY, head=b"Content-Length: 3\r\n"),
        chunked(BODY, head=b"Content-Length: 5009, 5009\r\n"),
        chunked(gzip.compress(BODY), head=b"Content-Encoding: gzip\r\n"),
        OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
        OK + b"Connection: close\r\n\r\n" + BODY,
    ],
    ids=["chunks", "longer", "shorter", "twice", "gzip", "length", "neither"],
)
def test_body_is_whole_and_counted_in_every_framing(raw: bytes) -> None:
    body_on_the_wire = len(raw.partition(b"\r\n\r\n")[2])
    with (
        loopback(lambda _: CannedResponse(raw=[raw])) as server,
        closing(api_for(server.url)) as api,
    ):
        assert api.get("/x").body == BODY
        # Some readers leave the last line end of the chunks unread.
        assert body_on_the_wire - 4 <= api.use.bytes_received <= body_on_the_wire


def test_chunks_that_end_early_are_no_answer() -> None:
    raw = chunked(BODY, head=b"Content-Length: 5009\r\n")[:-200]
    with (
        loopback(lambda _: CannedResponse(raw=[raw])) as server,
        closing(api_for(server.url)) as api,
        pytest.raises(TransientError, match="cut short"),
    ):
        api.get("/x")


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 30), (1.0, 30), (12.0, 120), (400.0, 400)])
def test_slow_endpoint_gets_a_longer_deadline(timeout: float | None, seconds: int) -> None:
    respond = dripping(OK + b"\r\n", b" ")
    with (
        loopback(respond) as server,
        closing(api_for(server.url, DripClock(10.0))) as api,
        pytest.raises(AnswerTooSlow, match=f"within {seconds} s"),
    ):
        api.get("/x", timeout=timeout)


def test_timeout_of_a_call_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            closing(Api(url, TokenAuth("s3cret"), timeout=0.01, connections=1)) as api,
            pytest.raises(TransientError, match=r"within 0\.05 s"),
        ):
            api.get("/x", timeout=0.05)


def test_connecting_that_takes_minutes_is_no_slow_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with many addresses is tried at each of them."""

    def get(*_: Any, **__: Any) -> requests.Response:
        raise requests.ConnectTimeout

    monkeypatch.setattr(requests.Session, "get", get)
    with (
        closing(api_for("http://desk.example.com", DripClock(1000.0))) as api,
        pytest.raises(TransientError, match="cannot be reached") as failure,
    ):
        api.get("/x")
    assert type(failure.value) is TransientError


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_rate_limit_headers_count_in_any_case(spell: Callable[[str], str]) -> None:
    seen: list[RateLimitState] = []

    def parse(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
        states = parse_rate_limit_headers(
            headers, remaining="X-RateLimit-Remaining", limit="X-RateLimit-Limit", reset="X-Reset"
        )
        seen.extend(states)
        return states

    limiter = RateLimiter(UsageCounter(), concurrency=1, parse=parse)
    at = int(datetime(2026, 11, 23, 10, 0, 20, tzinfo=UTC).timestamp())
    values = {"x-ratelimit-remaining": "40.0", "x-ratelimit-limit": "50.0", "x-reset": str(at)}
    headers = {spell(name): value for name, value in values.items()}
    with loopback(lambda _: CannedResponse(headers=headers)) as server:
        api = Api(server.url, TokenAuth("s3cret"), timeout=3, connections=1, rate_limiter=limiter)
        with closing(api):
            api.get("/x")
    assert [(each.remaining, each.limit, each.reset_seconds) for each in seen] == [(40, 50, 20.0)]


@pytest.mark.parametrize("variable", PROXIES)
def test_loopback_is_called_past_the_proxy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with loopback(lambda _: None) as proxy, loopback(lambda _: CannedResponse()) as server:
        monkeypatch.setenv(variable, proxy.url)
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            with closing(api_for(url)) as api:
                assert api.get("/x").status == 200
    assert proxy.seen == []


def test_other_hosts_are_called_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    with loopback(lambda _: CannedResponse()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with closing(api_for("http://desk.example.com")) as api:
            api.get("/x")
    assert [seen.path for seen in proxy.seen] == ["http://desk.example.com/x"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("localhost", True),
        ("https://LocalHost:8420/x", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("[::1]", True),
        ("http://[::1]:8420", True),
        ("desk.example.com", False),
        ("localhost.example.com", False),
        ("10.0.0.7", False),
        ("http://[::]/", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_alone(url: str, *, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["missing", "empty", "text"])
def test_wrong_ca_bundle_is_told_by_its_variable(
    variable: str, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(bundle))
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = api_for(f"https://127.0.0.1:{server.getsockname()[1]}")
        with closing(api), pytest.raises((EndpointFailed, MachineError)) as told:
            api.get("/x")
    assert variable in str(told.value)
    assert "HELPDESK_BASE_URL" not in str(told.value)


class _OverIpv6(HTTPServer):
    address_family = socket.AF_INET6


def test_ipv6_address_is_called() -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(OK + b"Content-Length: 2\r\n\r\n{}")

        def log_message(self, *args: object) -> None:
            pass

    try:
        server = _OverIpv6(("::1", 0), Answer)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server, ThreadPoolExecutor(1) as pool:
        answered = pool.submit(server.handle_request)
        with closing(api_for(f"http://[::1]:{server.server_port}")) as api:
            assert api.get("/x").json() == {}
        answered.result()
