"""Zoho's access tokens: fetched once for all threads, renewed, cached between runs, and counted."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    RateLimitExhausted,
)
from helpdesk_assets.providers.client.errors import TransientError
from helpdesk_assets.providers.client.token_cache import CachedToken, TokenCache
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.providers.zoho_desk.oauth import ZohoClient, ZohoOAuth
from helpdesk_assets_tests.providers.loopback import (
    CannedResponse,
    Loopback,
    ReceivedRequest,
    loopback,
)
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECRETS = ("s3cret+/&", "r3fresh=%")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Accounts:
    """An accounts server that issues one token after the other."""

    def __init__(self) -> None:
        self.issued = 0
        self.expires_in: Any = 3600
        self.override: CannedResponse | None = None
        self.release = threading.Event()
        self.release.set()

    def __call__(self, seen: ReceivedRequest) -> CannedResponse:
        self.release.wait(5.0)
        if self.override is not None:
            return self.override
        self.issued += 1
        return json_response(
            {
                "access_token": f"access-{self.issued}",
                "api_domain": "https://www.zohoapis.com",
                "token_type": "Bearer",
                "expires_in": self.expires_in,
            }
        )


def json_response(body: Any, status: int = 200) -> CannedResponse:
    return CannedResponse(json.dumps(body).encode(), status)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def server(accounts: Accounts) -> Iterator[Loopback]:
    with loopback(accounts) as served:
        yield served


MakeLogin = Callable[..., ZohoOAuth]


@pytest.fixture
def make_login(server: Loopback, clock: Clock, tmp_path: Path) -> Iterator[MakeLogin]:
    made: list[ZohoOAuth] = []

    def make(
        folder: Path | None = tmp_path,
        usage_counter: UsageCounter | None = None,
        url: str | None = None,
        client_secret: str = SECRETS[0],
    ) -> ZohoOAuth:
        client = ZohoClient(url or server.url, "cl1ent", client_secret, SECRETS[1])
        identity = client.accounts_url, client.client_id, client.refresh_token
        cache = TokenCache(folder, *identity, secret=client_secret)
        made.append(
            ZohoOAuth(
                client,
                "6000",
                cache,
                usage_counter=usage_counter or UsageCounter(),
                timeout=5.0,
                now=clock,
            )
        )
        return made[-1]

    yield make
    for login in made:
        login.close()


def authorization(login: ZohoOAuth) -> str:
    """Return the `Authorization` of a request."""
    return str(prepared(login).headers["Authorization"])


def prepared(login: ZohoOAuth) -> requests.PreparedRequest:
    return requests.Request("GET", "https://desk.zoho.eu/api/v1/tickets", auth=login).prepare()


def test_token_request_and_the_resulting_header(server: Loopback, make_login: MakeLogin) -> None:
    """As in "Refreshing access tokens": a form with four fields, by POST."""
    usage_counter = UsageCounter()
    request = prepared(make_login(usage_counter=usage_counter))
    assert (request.headers["Authorization"], request.headers["orgId"]) == (
        "Zoho-oauthtoken access-1",
        "6000",
    )
    form = "refresh_token=r3fresh%3D%25&client_id=cl1ent&client_secret=s3cret%2B%2F%26"
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": "helpdesk-assets",
    }
    assert sent_requests(server.seen) == [
        SentRequest("POST", "/oauth/v2/token", {}, headers, f"{form}&grant_type=refresh_token")
    ]
    assert (usage_counter.use.calls, usage_counter.use.bytes_received > 50) == (1, True)


def test_one_token_serves_many_calls_and_runs(server: Loopback, make_login: MakeLogin) -> None:
    first, second = make_login(), make_login()
    assert {authorization(login) for login in (first, first, second)} == {
        "Zoho-oauthtoken access-1"
    }
    assert len(server.seen) == 1


def test_token_is_renewed_before_it_expires(
    server: Loopback, make_login: MakeLogin, clock: Clock
) -> None:
    login = make_login()
    authorization(login)
    clock.advance(3539)
    assert authorization(login) == "Zoho-oauthtoken access-1"
    clock.advance(2)
    assert authorization(login) == "Zoho-oauthtoken access-2"
    assert authorization(make_login()) == "Zoho-oauthtoken access-2"


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(60, 30), (None, 3540), ("3600", 3540), (0, 3540), (True, 3540), (10**9, 3540)],
)
def test_expires_in_variants(
    accounts: Accounts, make_login: MakeLogin, clock: Clock, expires_in: Any, seconds: int
) -> None:
    accounts.expires_in = expires_in
    login = make_login()
    authorization(login)
    clock.advance(seconds - 1)
    assert authorization(login) == "Zoho-oauthtoken access-1"
    clock.advance(2)
    assert authorization(login) == "Zoho-oauthtoken access-2"


def test_concurrently_refused_threads_renew_once(
    accounts: Accounts, server: Loopback, make_login: MakeLogin
) -> None:
    login = make_login()
    refused = authorization(login)
    accounts.release.clear()
    with ThreadPoolExecutor(8) as pool:
        renewing = [pool.submit(login.renew, refused) for _ in range(8)]
        accounts.release.set()
    assert [one.result() for one in renewing] == [True] * 8
    assert authorization(login) == "Zoho-oauthtoken access-2"
    assert len(server.seen) == 2


def test_late_refusal_renews_nothing(server: Loopback, make_login: MakeLogin) -> None:
    """The call was sent before another thread renewed the token."""
    login = make_login()
    first = authorization(login)
    assert login.renew(first)
    assert login.renew(first)
    assert len(server.seen) == 2


def test_first_calls_of_many_threads_fetch_one_token(
    server: Loopback, make_login: MakeLogin
) -> None:
    login = make_login()
    with ThreadPoolExecutor(8) as pool:
        carried = list(pool.map(authorization, [login] * 8))
    assert set(carried) == {"Zoho-oauthtoken access-1"}
    assert len(server.seen) == 1


def test_token_renewed_by_another_process_is_used(server: Loopback, make_login: MakeLogin) -> None:
    first, second = make_login(), make_login()
    refused = authorization(first)
    assert authorization(second) == refused
    assert second.renew(refused)
    assert first.renew(refused)
    assert authorization(first) == authorization(second) == "Zoho-oauthtoken access-2"
    assert len(server.seen) == 2


def test_concurrent_processes_fetch_one_token(
    accounts: Accounts, server: Loopback, make_login: MakeLogin
) -> None:
    logins = [make_login() for _ in range(4)]
    accounts.release.clear()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(authorization, login) for login in logins]
        accounts.release.set()
    assert {one.result() for one in waiting} == {"Zoho-oauthtoken access-1"}
    assert len(server.seen) == 1


def test_eleventh_request_within_ten_minutes_is_not_sent(
    server: Loopback, make_login: MakeLogin, clock: Clock
) -> None:
    """Counted over all processes that share the cache."""
    for _ in range(9):
        login = make_login()
        login.renew(authorization(login))
        clock.advance(10)
    assert len(server.seen) == 10
    login = make_login()
    refused = authorization(login)
    with pytest.raises(RateLimitExhausted, match="Run again in") as caught:
        login.renew(refused)
    assert_shows_no_secret(caught.value)
    assert len(server.seen) == 10
    clock.advance(600 - 9 * 10 + 1)
    assert login.renew(refused)
    assert len(server.seen) == 11


def test_requests_with_another_secret_count_too(server: Loopback, make_login: MakeLogin) -> None:
    for number in range(10):
        authorization(make_login(client_secret=f"secret-{number}"))
    with pytest.raises(RateLimitExhausted, match="Run again in"):
        authorization(make_login())
    assert len(server.seen) == 10


def test_without_a_cache_each_run_fetches_and_counts_its_own(
    server: Loopback, make_login: MakeLogin, tmp_path: Path
) -> None:
    assert authorization(make_login(None)) != authorization(make_login(None))
    login = make_login(None)
    for _ in range(9):
        login.renew(authorization(login))
    with pytest.raises(RateLimitExhausted):
        login.renew(authorization(login))
    assert len(server.seen) == 12
    assert list(tmp_path.iterdir()) == []


def test_unanswered_requests_are_counted(
    accounts: Accounts, server: Loopback, make_login: MakeLogin
) -> None:
    accounts.override = json_response({}, 503)
    for _ in range(10):
        with pytest.raises(TransientError):
            authorization(make_login())
    with pytest.raises(RateLimitExhausted):
        authorization(make_login())
    assert len(server.seen) == 10


def test_clock_set_back_ignores_future_requests(
    make_login: MakeLogin, clock: Clock, server: Loopback, tmp_path: Path
) -> None:
    later = START.timestamp() + 86_400
    login = make_login()
    login._cache.write(CachedToken("old", START.timestamp() - 1, (later,) * 10))
    assert authorization(login) == "Zoho-oauthtoken access-1"


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            json_response({"error": "invalid_code"}),
            CredentialsRefused,
            "invalid_code: ZOHO_REFRESH_TOKEN",
        ),
        (
            json_response({"error": "invalid_client"}),
            CredentialsRefused,
            "ZOHO_CLIENT_ID is not valid",
        ),
        (
            json_response({"error": "invalid_client_secret"}, 400),
            CredentialsRefused,
            "ZOHO_CLIENT_SECRET is not valid",
        ),
        (
            json_response({"error": "general_error"}),
            CredentialsRefused,
            "answered general_error. Check",
        ),
        (
            json_response({"error": "r3fresh=% is bad"}),
            CredentialsRefused,
            "answered an error. Check",
        ),
        (
            json_response({"error": "Access Denied", "error_description": "too many"}, 400),
            RateLimitExhausted,
            "Run again in 600 s",
        ),
        (json_response({}, 429), RateLimitExhausted, "Run again in 600 s"),
        (
            json_response({}),
            EndpointFailed,
            "answered 200 without a token. Check ZOHO_ACCOUNTS_URL",
        ),
        (json_response([]), EndpointFailed, "answered 200 without a token"),
        (json_response({"access_token": None}), EndpointFailed, "without a token"),
        (json_response({"access_token": "with space"}), EndpointFailed, "without a token"),
        (json_response({"access_token": "line\r\nX: y"}), EndpointFailed, "without a token"),
        (json_response({"access_token": "x"}, 404), EndpointFailed, "answered 404 without a token"),
        (CannedResponse(b"<html>"), EndpointFailed, "without a token"),
        (CannedResponse(b"<html>", 502), TransientError, "answered 502. Try again later"),
    ],
)
def test_error_responses_of_zoho(
    accounts: Accounts,
    make_login: MakeLogin,
    answer: CannedResponse,
    error: type[HelpdeskAssetsError],
    message: str,
) -> None:
    accounts.override = answer
    with pytest.raises(error) as caught:
        authorization(make_login())
    assert message in str(caught.value)
    assert_shows_no_secret(caught.value)


def assert_shows_no_secret(error: HelpdeskAssetsError) -> None:
    text = f"{error} {error.__cause__}"
    assert not any(secret in text for secret in (*SECRETS, "access-"))
    assert "\n" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(
    accounts: Accounts, server: Loopback, make_login: MakeLogin, status: int
) -> None:
    accounts.override = CannedResponse(b"", status, {"Location": f"{server.url}/elsewhere"})
    with pytest.raises(EndpointFailed, match=r"is redirected.*ZOHO_ACCOUNTS_URL"):
        authorization(make_login())
    assert [seen.path for seen in server.seen] == ["/oauth/v2/token"]


def test_unreachable_accounts_server(make_login: MakeLogin) -> None:
    with pytest.raises(TransientError) as caught:
        authorization(make_login(url="http://127.0.0.1:9"))
    assert str(caught.value) == (
        "127.0.0.1:9 (ZOHO_ACCOUNTS_URL) cannot be reached or dropped the connection during POST "
        "/oauth/v2/token. Check the address and the network, then try again."
    )


def test_netrc_password_is_not_sent(
    server: Loopback, make_login: MakeLogin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    authorization(make_login(None))
    assert server.seen[0].authorization is None


def test_refused_token_is_not_reused_from_the_cache(
    accounts: Accounts, make_login: MakeLogin
) -> None:
    """If no new token is issued, it is removed from the cache as well."""
    login = make_login()
    refused = authorization(login)
    accounts.override = json_response({"error": "invalid_code"})
    with pytest.raises(CredentialsRefused):
        login.renew(refused)
    assert make_login()._cache.read().token == ""


def test_secrets_are_neither_shown_nor_logged(
    make_login: MakeLogin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = make_login()
    authorization(login)
    shown = f"{login!r} {login._client!r} {login._cached!r} {caplog.text}"
    assert "has issued an access token" in caplog.text
    assert not any(secret in shown for secret in (*SECRETS, "access-1"))
    assert set(login.secrets) == {*SECRETS, "access-1"}
