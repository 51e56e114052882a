"""Answers are complete and from the right host, and the token is sent nowhere else."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    RateLimitExhausted,
    SettingsError,
)
from helpdesk_assets.providers.client.auth import TokenAuth
from helpdesk_assets.providers.client.errors import AnswerTooSlow, TransientError
from helpdesk_assets.providers.client.http import Api, answer_deadline
from helpdesk_assets.providers.client.rate_limit import RateLimiter, parse_rate_limit_headers
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets_tests.providers.loopback import (
    DATE,
    CannedResponse,
    DripClock,
    Loopback,
    ReceivedRequest,
    Respond,
    dripping,
    loopback,
)

TOKEN = "s3cret-token"
LOCAL = datetime(2001, 1, 1, tzinfo=UTC)
SERVED = datetime(2026, 11, 23, 10, tzinfo=UTC)


def api_for(url: str, timeout: float = 10) -> Api:
    return Api(url, TokenAuth(TOKEN), timeout=timeout, connections=4, now=lambda: LOCAL)


def call(respond: Respond, path: str = "/x") -> tuple[Reply, Loopback]:
    with loopback(respond) as server:
        api = api_for(server.url)
        try:
            return api.get(path, {"q": "1,2"}), server
        finally:
            api.close()


def responding(body: bytes = b"{}", status: int = 200, **headers: str | None) -> Respond:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: CannedResponse(body, status, named)


def test_call_sends_the_token_and_returns_the_helpdesk_clock() -> None:
    reply, server = call(responding(b'{"a":1}'))
    assert reply.json() == {"a": 1}
    assert reply.served_at == SERVED
    assert server.seen == [ReceivedRequest("/x?q=1%2C2", f"Bearer {TOKEN}", None)]


def test_netrc_password_does_not_replace_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert call(responding())[1].seen[0].authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_without_a_date_header_the_local_clock_is_used(
    date: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert call(responding(Date=date))[0].served_at == LOCAL
    assert "no Date header" in caplog.text


def test_cookies_are_not_sent_back() -> None:
    with loopback(responding(Set_Cookie="session=other-account; Path=/")) as server:
        api = api_for(server.url)
        api.get("/x")
        api.get("/x")
        api.close()
    assert [seen.cookie for seen in server.seen] == [None, None]


def test_calls_and_bytes_are_counted_across_threads_and_failures() -> None:
    def respond(seen: ReceivedRequest) -> CannedResponse | None:
        return CannedResponse(b"12345", status=500 if "bad" in seen.path else 200)

    def get(number: int) -> None:
        with contextlib.suppress(EndpointFailed):
            api.get("/bad" if number % 2 else "/good")

    with loopback(respond) as server:
        api = api_for(server.url)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(get, range(40)))
        api.close()
    assert (api.use.calls, api.use.bytes_received) == (40, 200)


def test_vendor_error_code_takes_precedence_over_the_status() -> None:
    def parse_error(reply: Reply) -> HelpdeskAssetsError | None:
        return RateLimitExhausted("tomorrow") if b"spent" in reply.body else None

    def get(body: bytes) -> None:
        with loopback(responding(body, 429)) as server:
            api = Api(
                server.url, TokenAuth(TOKEN), timeout=10, connections=1, parse_error=parse_error
            )
            try:
                api.get("/x")
            finally:
                api.close()

    with pytest.raises(RateLimitExhausted, match="tomorrow"):
        get(b"spent")
    with pytest.raises(TransientError, match="429"):
        get(b"busy")


def test_compressed_bytes_are_counted_as_received() -> None:
    body = gzip.compress(b'{"a":"%s"}' % (b"x" * 9000))
    reply, _ = call(responding(body, Content_Encoding="gzip"))
    assert len(reply.json()["a"]) == 9000


@pytest.mark.parametrize(
    "respond",
    [
        responding(b'{"tickets": []}', Content_Length="500"),
        responding(gzip.compress(b"{}" * 500)[:-12], Content_Encoding="gzip"),
        responding(b"5\r\nabc", Content_Length=None, Transfer_Encoding="chunked"),
        lambda _: None,
    ],
    ids=["length", "gzip", "chunked", "dropped"],
)
def test_truncated_response_is_a_transient_error(respond: Respond) -> None:
    with pytest.raises(TransientError, match="GET /x"):
        call(respond)[0].json()


def test_content_length_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    # As with urllib3 1, which requests still supports.
    never = property(lambda _: False, lambda *_: None)
    monkeypatch.setattr(
        "urllib3.response.HTTPResponse.enforce_content_length", never, raising=False
    )
    with pytest.raises(TransientError, match="cut short"):
        call(responding(b'{"tickets": []}', Content_Length="500"))


@pytest.mark.parametrize("body", [b"<html></html>", b'{"tickets": [', b"", b'{"a": nan}', b"\xff"])
def test_invalid_json_is_a_transient_error(body: bytes) -> None:
    reply, _ = call(responding(body))
    with pytest.raises(TransientError, match="GET /x is not JSON"):
        reply.json()


def test_json_of_another_type_is_rejected() -> None:
    reply, _ = call(responding(b'{"a": 1}'))
    assert reply.json_object() == {"a": 1}
    reply, _ = call(responding(b"[]"))
    with pytest.raises(EndpointFailed, match="GET /x did not answer with an object"):
        reply.json_object()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_on_the_same_host_is_followed(status: int) -> None:
    def respond(seen: ReceivedRequest) -> CannedResponse:
        if seen.path == "/y":
            return CannedResponse(b"[]")
        return CannedResponse(b"", status, {"Location": "/y"})

    reply, server = call(respond)
    assert reply.json() == []
    assert [seen.authorization for seen in server.seen] == [f"Bearer {TOKEN}"] * 2


def test_web_page_with_404_is_no_answer() -> None:
    """A gateway sends it while the helpdesk is being deployed."""
    respond = responding(b"\n<!DOCTYPE html><h1>Not Found</h1>", 404)
    with (
        loopback(respond) as server,
        closing(api_for(server.url)) as api,
        pytest.raises(TransientError, match="404 with something other than JSON"),
    ):
        api.get("/x", accept={200, 404})
    with loopback(responding(b"", 404)) as server, closing(api_for(server.url)) as api:
        assert api.get("/x", accept={200, 404}).status == 404


def test_redirect_loop_ends() -> None:
    with pytest.raises(EndpointFailed, match="in a circle"):
        call(responding(b"", 302, Location="/x"))


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/x",
        "http://127.0.0.1:1/x",
        "https://127.0.0.1:{port}/x",
        "//evil.example/x",
        "ftp://127.0.0.1/x",
        "http://127.0.0.1:99999999/x",
        None,
    ],
)
def test_redirect_to_another_host_is_rejected_without_sending(location: str | None) -> None:
    with loopback(lambda _: CannedResponse(b"", 302, {"Location": where})) as server:
        where = location and location.format(port=server.url.rsplit(":", 1)[1])
        api = api_for(server.url)
        with pytest.raises(EndpointFailed, match="redirected away"):
            api.get("/x")
        api.close()
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("http://desk.example.com/x", "https://desk.example.com/x", True),
        ("https://desk.example.com/x", "http://desk.example.com/x", False),
        ("http://desk.example.com:8080/x", "https://desk.example.com/x", False),
        ("https://desk.example.com/x", "https://desk.example.com:443/y", True),
        ("https://desk.example.com/x", "https://desk.example.org/x", False),
    ],
)
def test_allowed_redirect_targets(old: str, new: str, allowed: bool) -> None:
    api = api_for(old)
    reply = Reply("/x", 302, {"Location": new}, b"", SERVED)
    if allowed:
        assert api._redirect_target(old, reply) == new
    else:
        with pytest.raises(EndpointFailed):
            api._redirect_target(old, reply)
    api.close()


def test_certificates_are_checked() -> None:
    api = api_for("https://127.0.0.1:1")
    assert api._session.verify is True
    api.close()


def test_refused_connection_names_the_setting_and_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    api = api_for(f"http://127.0.0.1:{port}")
    with pytest.raises(TransientError, match=rf"127\.0\.0\.1:{port} \(HELPDESK_BASE_URL\)"):
        api.get("/x")
    api.close()


def test_silent_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = api_for(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
        with pytest.raises(TransientError, match=r"within 0\.05 s.*HELPDESK_TIMEOUT_SECONDS"):
            api.get("/x")
        api.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "respond",
    [
        dripping(HEAD, b"X-More: 1\r\n"),
        dripping(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        dripping(HEAD + b"\r\n", b" "),
        dripping(HEAD + b"Content-Length: 9999999999\r\n\r\n", b" "),
        dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
        dripping(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}")[:10], b"\0"),
    ],
    ids=["headers", "interim", "body", "length", "chunks", "chunk line", "gzip"],
)
def test_dripping_answer_ends_by_a_deadline(respond: Respond) -> None:
    with loopback(respond) as server:
        api = Api(server.url, TokenAuth(TOKEN), timeout=3, connections=1, monotonic=DripClock(10.0))
        with pytest.raises(AnswerTooSlow, match=r"127.0.0.1.* GET /x was not .* within 30 s"):
            api.get("/x")
        assert api.use.calls == 1
        api.close()


def test_slow_page_within_the_deadline_is_complete() -> None:
    body = b'{"a": "' + b"x" * 3_000_000 + b'"}'
    with loopback(lambda _: CannedResponse(body)) as server:
        api = Api(server.url, TokenAuth(TOKEN), timeout=3, connections=1, monotonic=DripClock(0.01))
        assert api.get("/x").body == body
        api.close()


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(2.0, 20.0), (30.0, 300.0), (60.0, 300.0), (900.0, 900.0)]
)
def test_deadline_follows_the_timeout(timeout: float, seconds: float) -> None:
    assert answer_deadline(timeout) == seconds


class HourGlass:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "wait",
    [
        {"Retry_After": "Fri, 31 Dec 2099 00:00:00 GMT"},
        {"Retry_After": "99999999999"},
        {"Left": "0", "Reset": "4102444800"},
        {"Left": "0", "Reset": "9" * 15},
    ],
)
def test_absurd_wait_is_asked_again_after_an_hour(wait: dict[str, Any]) -> None:
    """A receiver runs for months, and one wrong answer must not silence it."""
    answers = iter([responding(status=429, **wait), responding(b'{"a": 1}')])
    clock = HourGlass()
    limiter = RateLimiter(
        UsageCounter(),
        concurrency=1,
        parse=partial(parse_rate_limit_headers, remaining="Left", limit="Of", reset="Reset"),
        monotonic=clock,
    )
    with loopback(lambda request: next(answers)(request)) as server:
        api = Api(server.url, TokenAuth(TOKEN), timeout=9, connections=1, rate_limiter=limiter)
        for _ in range(2):
            with pytest.raises(RateLimitExhausted, match="no call for another 3600 s"):
                api.get("/x")
        assert len(server.seen) == 1
        clock.now += 3600.0
        assert api.get("/x").json() == {"a": 1}
        api.close()


@pytest.mark.parametrize(
    "value", ["0", "-1", "soon", "nan", "1e999", "9" * 5000, DATE, "Mon, 01 Jan 1900 00:00:00 GMT"]
)
def test_retry_after_without_meaning_blocks_nothing(value: str) -> None:
    answers = iter([responding(status=429, Retry_After=value), responding()])
    with loopback(lambda request: next(answers)(request)) as server:
        api = api_for(server.url)
        with pytest.raises(TransientError):
            api.get("/x")
        assert api.get("/x").status == 200
        api.close()


def test_answers_show_how_far_the_clocks_differ() -> None:
    """Less than a minute is on the way, and of several answers the furthest counts."""
    meter, now = UsageCounter(), SERVED
    for seconds in (-59, 59, 0):
        meter.record_response(now + timedelta(seconds=seconds), now)
    assert (meter.clock_lead, meter.clock_lag) == (timedelta(0), timedelta(0))
    for seconds in (61, 3600, -7200, 0):
        meter.record_response(now + timedelta(seconds=seconds), now)
    assert (meter.clock_lead, meter.clock_lag) == (timedelta(hours=1), timedelta(hours=2))


@pytest.mark.parametrize(
    "url",
    ["desk.example.com", "ftp://desk.example.com", "https://", "", "http://h:99999", "http://[::1"],
)
def test_invalid_base_url_names_the_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_BASE_URL"):
        api_for(url)


@pytest.mark.parametrize("extra", ["https://u:p4ssword@h", "https://h/?k=p4ssword"])
def test_url_with_credentials_is_rejected_without_showing_them(extra: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN") as refusal:
        api_for(extra)
    assert "p4ssword" not in str(refusal.value)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"two {TOKEN}", f"{TOKEN}\u20ac", f"\0{TOKEN}"])
def test_token_invalid_in_a_header_is_rejected_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN") as refusal:
        TokenAuth(token)
    assert TOKEN not in "".join(traceback.format_exception(refusal.value))


FAILING: dict[str, Respond] = {
    "echo": lambda seen: CannedResponse(f"you sent {seen.authorization}".encode(), 400),
    "refused": lambda seen: CannedResponse((seen.authorization or "").encode(), 401),
    "failed": lambda seen: CannedResponse((seen.authorization or "").encode(), 500),
    "dropped": lambda _: None,
    "moved": responding(b"", 302, Location="http://evil.example"),
    "no json": lambda seen: CannedResponse((seen.authorization or "").encode()),
}


@pytest.mark.parametrize("respond", FAILING.values(), ids=FAILING.keys())
def test_token_is_never_shown(respond: Respond, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((EndpointFailed, CredentialsRefused)) as failure:
        call(respond)[0].json()
    shown = "".join(traceback.format_exception(failure.value)) + repr(failure.value) + caplog.text
    assert TOKEN not in shown


def test_token_is_in_no_repr() -> None:
    api = api_for("https://desk.example.com")
    things: list[Callable[[], str]] = [
        lambda: repr(api),
        lambda: str(api),
        lambda: repr(api._auth),
        lambda: repr(Reply("/x", 200, {"Authorization": TOKEN}, TOKEN.encode(), SERVED)),
    ]
    for thing in things:
        assert TOKEN not in thing()
    api.close()
