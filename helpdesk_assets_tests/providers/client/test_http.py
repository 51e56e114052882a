"""Answers are whole and from the right host, and the token stays where it belongs."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from helpdesk_assets.errors import (
    AllowanceSpent,
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    SettingsError,
)
from helpdesk_assets.providers.client.auth import TokenAuth
from helpdesk_assets.providers.client.errors import PassingFailure
from helpdesk_assets.providers.client.http import Api, Reply
from helpdesk_assets_tests.providers.loopback import Loopback, Respond, Said, Seen, loopback

TOKEN = "s3cret-token"
LOCAL = datetime(2001, 1, 1, tzinfo=UTC)
SERVED = datetime(2026, 11, 23, 10, tzinfo=UTC)


def api_for(url: str, timeout: float = 10) -> Api:
    return Api(url, TokenAuth(TOKEN), timeout=timeout, connections=4, clock=lambda: LOCAL)


def ask(respond: Respond, path: str = "/x") -> tuple[Reply, Loopback]:
    with loopback(respond) as server:
        api = api_for(server.url)
        try:
            return api.get(path, {"q": "1,2"}), server
        finally:
            api.close()


def say(body: bytes = b"{}", status: int = 200, **headers: str | None) -> Respond:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Said(body, status, named)


def test_a_call_carries_the_token_and_tells_the_helpdesks_clock() -> None:
    reply, server = ask(say(b'{"a":1}'))
    assert reply.json() == {"a": 1}
    assert reply.served_at == SERVED
    assert server.seen == [Seen("/x?q=1%2C2", f"Bearer {TOKEN}", None)]


def test_a_password_from_netrc_does_not_replace_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert ask(say())[1].seen[0].authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_without_a_date_the_injected_clock_stands_in(
    date: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(say(Date=date))[0].served_at == LOCAL
    assert "no Date header" in caplog.text


def test_cookies_are_not_sent_back() -> None:
    with loopback(say(Set_Cookie="session=other-account; Path=/")) as server:
        api = api_for(server.url)
        api.get("/x")
        api.get("/x")
        api.close()
    assert [seen.cookie for seen in server.seen] == [None, None]


def test_calls_and_bytes_are_counted_across_threads_and_failures() -> None:
    def respond(seen: Seen) -> Said | None:
        return Said(b"12345", status=500 if "bad" in seen.path else 200)

    def get(number: int) -> None:
        with contextlib.suppress(EndpointFailed):
            api.get("/bad" if number % 2 else "/good")

    with loopback(respond) as server:
        api = api_for(server.url)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(get, range(40)))
        api.close()
    assert (api.use.calls, api.use.bytes_received) == (40, 200)


def test_what_the_vendor_means_by_an_error_goes_before_what_its_status_says() -> None:
    def explain(reply: Reply) -> HelpdeskAssetsError | None:
        return AllowanceSpent("tomorrow") if b"spent" in reply.body else None

    def get(body: bytes) -> None:
        with loopback(say(body, 429)) as server:
            api = Api(server.url, TokenAuth(TOKEN), timeout=10, connections=1, explain=explain)
            try:
                api.get("/x")
            finally:
                api.close()

    with pytest.raises(AllowanceSpent, match="tomorrow"):
        get(b"spent")
    with pytest.raises(PassingFailure, match="429"):
        get(b"busy")


def test_compressed_bytes_are_counted_and_measured_as_they_came() -> None:
    body = gzip.compress(b'{"a":"%s"}' % (b"x" * 9000))
    reply, _ = ask(say(body, Content_Encoding="gzip"))
    assert len(reply.json()["a"]) == 9000


@pytest.mark.parametrize(
    "respond",
    [
        say(b'{"tickets": []}', Content_Length="500"),
        say(gzip.compress(b"{}" * 500)[:-12], Content_Encoding="gzip"),
        say(b"5\r\nabc", Content_Length=None, Transfer_Encoding="chunked"),
        lambda _: None,
    ],
    ids=["length", "gzip", "chunked", "dropped"],
)
def test_a_cut_answer_is_a_passing_failure(respond: Respond) -> None:
    with pytest.raises(PassingFailure, match="GET /x"):
        ask(respond)[0].json()


def test_the_length_is_checked_by_us_and_not_only_below(monkeypatch: pytest.MonkeyPatch) -> None:
    # As with urllib3 before 2, which is allowed beside requests.
    never = property(lambda _: False, lambda *_: None)
    monkeypatch.setattr(
        "urllib3.response.HTTPResponse.enforce_content_length", never, raising=False
    )
    with pytest.raises(PassingFailure, match="cut short"):
        ask(say(b'{"tickets": []}', Content_Length="500"))


@pytest.mark.parametrize("body", [b"<html></html>", b'{"tickets": [', b"", b'{"a": nan}', b"\xff"])
def test_what_is_no_json_is_a_passing_failure(body: bytes) -> None:
    reply, _ = ask(say(body))
    with pytest.raises(PassingFailure, match="GET /x is not JSON"):
        reply.json()


def test_json_of_another_kind_is_no_object() -> None:
    reply, _ = ask(say(b'{"a": 1}'))
    assert reply.json_object() == {"a": 1}
    reply, _ = ask(say(b"[]"))
    with pytest.raises(EndpointFailed, match="GET /x did not answer with an object"):
        reply.json_object()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_followed(status: int) -> None:
    def respond(seen: Seen) -> Said:
        if seen.path == "/y":
            return Said(b"[]")
        return Said(b"", status, {"Location": "/y"})

    reply, server = ask(respond)
    assert reply.json() == []
    assert [seen.authorization for seen in server.seen] == [f"Bearer {TOKEN}"] * 2


def test_a_redirect_in_a_circle_ends() -> None:
    with pytest.raises(EndpointFailed, match="in a circle"):
        ask(say(b"", 302, Location="/x"))


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
def test_a_redirect_elsewhere_is_refused_and_nothing_is_sent_there(location: str | None) -> None:
    with loopback(lambda _: Said(b"", 302, {"Location": where})) as server:
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
def test_where_a_redirect_may_lead(old: str, new: str, allowed: bool) -> None:
    api = api_for(old)
    reply = Reply("/x", 302, {"Location": new}, b"", SERVED)
    if allowed:
        assert api._redirected(old, reply) == new
    else:
        with pytest.raises(EndpointFailed):
            api._redirected(old, reply)
    api.close()


def test_certificates_are_checked() -> None:
    api = api_for("https://127.0.0.1:1")
    assert api._session.verify is True
    api.close()


def test_a_refused_connection_names_the_setting_and_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    api = api_for(f"http://127.0.0.1:{port}")
    with pytest.raises(PassingFailure, match=rf"127\.0\.0\.1:{port} \(HELPDESK_BASE_URL\)"):
        api.get("/x")
    api.close()


def test_a_silent_server_is_given_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = api_for(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
        with pytest.raises(PassingFailure, match=r"within 0\.05 s.*HELPDESK_TIMEOUT_SECONDS"):
            api.get("/x")
        api.close()


@pytest.mark.parametrize(
    "url",
    ["desk.example.com", "ftp://desk.example.com", "https://", "", "http://h:99999", "http://[::1"],
)
def test_an_address_that_is_none_names_the_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_BASE_URL"):
        api_for(url)


@pytest.mark.parametrize("extra", ["https://u:p4ssword@h", "https://h/?k=p4ssword"])
def test_an_address_with_credentials_is_refused_without_showing_them(extra: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN") as refusal:
        api_for(extra)
    assert "p4ssword" not in str(refusal.value)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"two {TOKEN}", f"{TOKEN}\u20ac", f"\0{TOKEN}"])
def test_a_token_that_no_header_takes_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN") as refusal:
        TokenAuth(token)
    assert TOKEN not in "".join(traceback.format_exception(refusal.value))


FAILING: dict[str, Respond] = {
    "echo": lambda seen: Said(f"you sent {seen.authorization}".encode(), 400),
    "refused": lambda seen: Said((seen.authorization or "").encode(), 401),
    "failed": lambda seen: Said((seen.authorization or "").encode(), 500),
    "dropped": lambda _: None,
    "moved": say(b"", 302, Location="http://evil.example"),
    "no json": lambda seen: Said((seen.authorization or "").encode()),
}


@pytest.mark.parametrize("respond", FAILING.values(), ids=FAILING.keys())
def test_the_token_is_never_shown(respond: Respond, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((EndpointFailed, CredentialsRefused)) as failure:
        ask(respond)[0].json()
    shown = "".join(traceback.format_exception(failure.value)) + repr(failure.value) + caplog.text
    assert TOKEN not in shown


def test_the_token_is_in_no_repr() -> None:
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
