"""The OAuth client's login: half-hour tokens are renewed, shared, checked, and never shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    SettingsError,
)
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.client.errors import TransientError
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.providers.zendesk.account import make_auth
from helpdesk_assets.providers.zendesk.oauth import ZendeskOAuth
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import (
    CannedResponse,
    Loopback,
    ReceivedRequest,
    loopback,
)
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests
from helpdesk_assets_tests.providers.zendesk.login import ConnectClient

CLIENT_SECRET = "cl1ent-s3cret"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


class TokenIssuer:
    """Issues one token after the other, with a changeable answer."""

    def __init__(self) -> None:
        self.issued = 0
        self.fields: dict[str, Any] = {"expires_in": 1800, "scope": "read"}
        self.override: CannedResponse | None = None

    def __call__(self, _: ReceivedRequest) -> CannedResponse:
        if self.override is not None:
            return self.override
        self.issued += 1
        body = {"access_token": f"issued-{self.issued}", "token_type": "bearer", **self.fields}
        return CannedResponse(json.dumps(body).encode(), 201)


class MovableClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def endpoint() -> TokenIssuer:
    return TokenIssuer()


@pytest.fixture
def served(endpoint: TokenIssuer) -> Iterator[Loopback]:
    with loopback(endpoint) as server:
        yield server


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


MakeAuth = Callable[..., ZendeskOAuth]


@pytest.fixture
def make_client(served: Loopback, clock: MovableClock) -> Iterator[MakeAuth]:
    made: list[ZendeskOAuth] = []

    def make(cache: str = "off", **more: Any) -> ZendeskOAuth:
        given = {
            "helpdesk_base_url": served.url,
            "zendesk_client_id": "sync_client",
            "zendesk_client_secret": CLIENT_SECRET,
            "helpdesk_token_cache": cache,
        }
        settings = Settings.model_validate({**given, **more})
        auth = make_auth(settings, UsageCounter(), Runtime(now=clock))
        assert isinstance(auth, ZendeskOAuth)
        made.append(auth)
        return auth

    yield make
    for auth in made:
        auth.close()


def header(auth: ZendeskOAuth) -> str:
    request = requests.Request("GET", "https://example.zendesk.com/api/v2/tickets", auth=auth)
    return str(request.prepare().headers["Authorization"])


def test_run_of_forty_minutes_with_tokens_of_thirty(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, waits: list[float]
) -> None:
    """One page a minute, so that 41 pages take as long."""
    zendesk.create(3)
    zendesk.advance(61)
    rows = {
        ticket.ticket_id
        for page in connect_oauth(helpdesk_page_size=3, zendesk_exports_per_minute=1).changes(None)
        for ticket in page.tickets
    }
    assert sum(waits) == timedelta(minutes=40).total_seconds()
    assert rows == {one.ticket_id for one in zendesk.truth(include_removed=True)}
    # Renewed before its end: no call is refused for it.
    assert zendesk.counters().calls == {"login": {"201": 2}, "search": {"200": 41}}


def test_token_that_ends_early_is_renewed_once(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient
) -> None:
    zendesk.fault("token_ends", on="search", after=3, count=1)
    pages = list(connect_oauth(helpdesk_page_size=30).changes(None))
    assert len(pages) == 4
    assert zendesk.counters().calls == {"login": {"201": 2}, "search": {"200": 4, "401": 1}}


def test_token_that_is_always_refused_ends_the_run(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, waits: list[float]
) -> None:
    zendesk.fault("token_ends", on="search")
    with pytest.raises(CredentialsRefused, match=r"401 to GET .*ZENDESK_CLIENT_ID") as caught:
        list(connect_oauth().changes(None))
    assert "invalid_token" in str(caught.value)
    assert zendesk.counters().calls == {"login": {"201": 2}, "search": {"401": 2}}
    assert waits == []


def test_runs_share_one_token(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, tmp_path: Path
) -> None:
    for _ in range(3):
        list(connect_oauth(helpdesk_token_cache=str(tmp_path)).changes(None))
    assert zendesk.counters().calls["login"] == {"201": 1}
    zendesk.advance(1741)
    list(connect_oauth(helpdesk_token_cache=str(tmp_path)).changes(None))
    assert zendesk.counters().calls["login"] == {"201": 2}


def test_token_calls_count_as_calls(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient
) -> None:
    helpdesk = connect_oauth()
    list(helpdesk.changes(None))
    assert helpdesk.use.calls == zendesk.counters().total == 2


def test_client_request_is_json(served: Loopback, make_client: MakeAuth) -> None:
    """As in "Grant-type tokens": client credentials, with the scopes as one text."""
    assert header(make_client()) == "Bearer issued-1"
    wanted = {
        "grant_type": "client_credentials",
        "client_id": "sync_client",
        "client_secret": CLIENT_SECRET,
        "scope": "read",
    }
    (sent,) = sent_requests(served.seen)
    assert (sent.method, sent.path, json.loads(sent.body)) == ("POST", "/oauth/tokens", wanted)
    assert sent.headers["Content-Type"] == "application/json"
    assert "Authorization" not in sent.headers
    assert isinstance(sent, SentRequest)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(1800, 1740), (301, 241), (172_799, 172_739), (None, 1740), ("7200", 1740), (10**9, 1740)],
)
def test_expiry_of_tokens(
    endpoint: TokenIssuer,
    make_client: MakeAuth,
    clock: MovableClock,
    expires_in: Any,
    seconds: int,
) -> None:
    """A client made before 2026-05 gets tokens that name no expiry."""
    endpoint.fields["expires_in"] = expires_in
    auth = make_client()
    assert header(auth) == "Bearer issued-1"
    clock.now += timedelta(seconds=seconds - 1)
    assert header(auth) == "Bearer issued-1"
    clock.now += timedelta(seconds=1)
    assert header(auth) == "Bearer issued-2"


@pytest.mark.parametrize("scope", ["read", "read write", "write read", None])
def test_granted_scope_that_reads(
    endpoint: TokenIssuer, make_client: MakeAuth, scope: str | None
) -> None:
    endpoint.fields["scope"] = scope
    assert header(make_client()) == "Bearer issued-1"


@pytest.mark.parametrize("scope", ["", "tickets:read", "readonly", ["read"], 7])
def test_granted_scope_that_cannot_read(
    endpoint: TokenIssuer, make_client: MakeAuth, scope: Any, tmp_path: Path
) -> None:
    endpoint.fields["scope"] = scope
    with pytest.raises(CredentialsRefused, match='without the scope "read"'):
        header(make_client(str(tmp_path)))
    # Nor does another run find it in the cache.
    endpoint.fields["scope"] = "read"
    assert header(make_client(str(tmp_path))) == "Bearer issued-2"


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (401, {"error": "invalid_client"}, CredentialsRefused, "identifier of a confidential"),
        (400, {"error": "invalid_scope"}, CredentialsRefused, 'the scope "read"; allow it'),
        (400, {"error": "unauthorized_client"}, CredentialsRefused, "must be a confidential one"),
        (403, {"error": {"title": "Suspended"}}, CredentialsRefused, "Suspended"),
        (400, {"error": "invalid_request"}, CredentialsRefused, "check ZENDESK_CLIENT_ID"),
        (429, {}, TransientError, "answered 429"),
        (503, {"error": "down"}, TransientError, "down"),
        (302, {}, EndpointFailed, "Set HELPDESK_BASE_URL"),
        (404, {}, EndpointFailed, "404 without a token. Check HELPDESK_BASE_URL"),
        (200, {"access_token": "a b"}, EndpointFailed, "without a token"),
    ],
)
def test_refusals_of_the_token_endpoint(
    endpoint: TokenIssuer,
    make_client: MakeAuth,
    status: int,
    body: Any,
    error: type[HelpdeskAssetsError],
    message: str,
) -> None:
    quoted = {**body, "error_description": f"not {CLIENT_SECRET}"}
    endpoint.override = CannedResponse(json.dumps(quoted).encode(), status)
    with pytest.raises(error) as caught:
        header(make_client())
    assert message in str(caught.value)
    assert CLIENT_SECRET not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b"[" * 100_000, b"\xff"])
def test_answer_that_is_no_token(endpoint: TokenIssuer, make_client: MakeAuth, body: bytes) -> None:
    endpoint.override = CannedResponse(body, 200)
    with pytest.raises(EndpointFailed, match="answered 200 without a token"):
        header(make_client())


@pytest.mark.parametrize(
    "given", [{"zendesk_client_id": " "}, {"zendesk_client_secret": ""}], ids=["id", "secret"]
)
def test_half_a_client_is_a_setting_error(make_client: MakeAuth, given: dict[str, str]) -> None:
    (name,) = given
    with pytest.raises(SettingsError, match=f"{name.upper()} is empty"):
        make_client(**given)


@pytest.mark.asks_wrongly("client_id in the body")
def test_wrong_client_is_refused_in_the_vendors_words(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, waits: list[float]
) -> None:
    with pytest.raises(CredentialsRefused, match=r"invalid_client.*not its number"):
        list(connect_oauth(zendesk_client_id="42").changes(None))
    with pytest.raises(
        CredentialsRefused, match=r"403 to GET .*ZENDESK_CLIENT_ID must be an admin"
    ):
        list(connect_oauth(zendesk_client_secret=TOKEN_WITHOUT_RIGHTS).changes(None))
    assert waits == []


def test_client_secret_and_tokens_are_never_shown(
    make_client: MakeAuth, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = make_client(helpdesk_api_token="unused")
    header(auth)
    shown = f"{auth!r} {auth._client!r} {auth._cached!r} {caplog.text}"
    assert "has issued an access token" in caplog.text
    assert not any(secret in shown for secret in (CLIENT_SECRET, "issued-1"))
    assert set(auth.secrets) == {CLIENT_SECRET, "issued-1"}
