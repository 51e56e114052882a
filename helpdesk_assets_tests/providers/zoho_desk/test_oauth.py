"""Zoho's access tokens: fetched once for all, renewed in mid-run, kept between runs, counted."""

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
    AllowanceSpent,
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
)
from helpdesk_assets.providers.client.errors import PassingFailure
from helpdesk_assets.providers.client.token_cache import Noted, TokenCache
from helpdesk_assets.providers.client.usage import Meter
from helpdesk_assets.providers.zoho_desk.oauth import Client, ZohoLogin
from helpdesk_assets_tests.providers.loopback import Loopback, Said, Seen, loopback
from helpdesk_assets_tests.providers.request_recorder import Sent, sent

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
    """Gives one token after the other, as the vendor does."""

    def __init__(self) -> None:
        self.issued = 0
        self.expires_in: Any = 3600
        self.says: Said | None = None
        self.release = threading.Event()
        self.release.set()

    def __call__(self, seen: Seen) -> Said:
        self.release.wait(5.0)
        if self.says is not None:
            return self.says
        self.issued += 1
        return said(
            {
                "access_token": f"access-{self.issued}",
                "api_domain": "https://www.zohoapis.com",
                "token_type": "Bearer",
                "expires_in": self.expires_in,
            }
        )


def said(body: Any, status: int = 200) -> Said:
    return Said(json.dumps(body).encode(), status)


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


MakeLogin = Callable[..., ZohoLogin]


@pytest.fixture
def make_login(server: Loopback, clock: Clock, tmp_path: Path) -> Iterator[MakeLogin]:
    made: list[ZohoLogin] = []

    def make(
        folder: Path | None = tmp_path, meter: Meter | None = None, url: str | None = None
    ) -> ZohoLogin:
        client = Client(url or server.url, "cl1ent", *SECRETS)
        cache = TokenCache(folder, client.accounts_url, client.client_id, client.refresh_token)
        made.append(
            ZohoLogin(client, "6000", cache, meter=meter or Meter(), timeout=5.0, clock=clock)
        )
        return made[-1]

    yield make
    for login in made:
        login.close()


def authorization(login: ZohoLogin) -> str:
    """What a request carries."""
    return str(prepared(login).headers["Authorization"])


def prepared(login: ZohoLogin) -> requests.PreparedRequest:
    return requests.Request("GET", "https://desk.zoho.eu/api/v1/tickets", auth=login).prepare()


def test_a_token_request_and_what_a_call_carries_then(
    server: Loopback, make_login: MakeLogin
) -> None:
    """ "Refreshing access tokens": a form of four fields, by POST."""
    meter = Meter()
    request = prepared(make_login(meter=meter))
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
    assert sent(server.seen) == [
        Sent("POST", "/oauth/v2/token", {}, headers, f"{form}&grant_type=refresh_token")
    ]
    assert (meter.use.calls, meter.use.bytes_received > 50) == (1, True)


def test_one_token_for_many_calls_and_runs(server: Loopback, make_login: MakeLogin) -> None:
    first, second = make_login(), make_login()
    assert {authorization(login) for login in (first, first, second)} == {
        "Zoho-oauthtoken access-1"
    }
    assert len(server.seen) == 1


def test_another_before_it_ends(server: Loopback, make_login: MakeLogin, clock: Clock) -> None:
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
def test_whatever_it_says_of_its_end(
    accounts: Accounts, make_login: MakeLogin, clock: Clock, expires_in: Any, seconds: int
) -> None:
    accounts.expires_in = expires_in
    login = make_login()
    authorization(login)
    clock.advance(seconds - 1)
    assert authorization(login) == "Zoho-oauthtoken access-1"
    clock.advance(2)
    assert authorization(login) == "Zoho-oauthtoken access-2"


def test_of_eight_threads_that_are_refused_at_once_one_renews(
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


def test_a_refusal_that_comes_late_renews_nothing(server: Loopback, make_login: MakeLogin) -> None:
    """The call was sent before another thread renewed."""
    login = make_login()
    first = authorization(login)
    assert login.renew(first)
    assert login.renew(first)
    assert len(server.seen) == 2


def test_a_first_call_of_many_threads_fetches_one(server: Loopback, make_login: MakeLogin) -> None:
    login = make_login()
    with ThreadPoolExecutor(8) as pool:
        carried = list(pool.map(authorization, [login] * 8))
    assert set(carried) == {"Zoho-oauthtoken access-1"}
    assert len(server.seen) == 1


def test_what_another_process_has_renewed_is_taken(server: Loopback, make_login: MakeLogin) -> None:
    first, second = make_login(), make_login()
    refused = authorization(first)
    assert authorization(second) == refused
    assert second.renew(refused)
    assert first.renew(refused)
    assert authorization(first) == authorization(second) == "Zoho-oauthtoken access-2"
    assert len(server.seen) == 2


def test_several_processes_at_once_fetch_one(
    accounts: Accounts, server: Loopback, make_login: MakeLogin
) -> None:
    logins = [make_login() for _ in range(4)]
    accounts.release.clear()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(authorization, login) for login in logins]
        accounts.release.set()
    assert {one.result() for one in waiting} == {"Zoho-oauthtoken access-1"}
    assert len(server.seen) == 1


def test_the_eleventh_within_ten_minutes_is_not_sent(
    server: Loopback, make_login: MakeLogin, clock: Clock
) -> None:
    """Counted over all that share the cache."""
    for _ in range(9):
        login = make_login()
        login.renew(authorization(login))
        clock.advance(10)
    assert len(server.seen) == 10
    login = make_login()
    refused = authorization(login)
    with pytest.raises(AllowanceSpent, match="Run again in") as caught:
        login.renew(refused)
    assert_says_nothing(caught.value)
    assert len(server.seen) == 10
    clock.advance(600 - 9 * 10 + 1)
    assert login.renew(refused)
    assert len(server.seen) == 11


def test_without_a_cache_each_run_has_its_own_and_counts_for_itself(
    server: Loopback, make_login: MakeLogin, tmp_path: Path
) -> None:
    assert authorization(make_login(None)) != authorization(make_login(None))
    login = make_login(None)
    for _ in range(9):
        login.renew(authorization(login))
    with pytest.raises(AllowanceSpent):
        login.renew(authorization(login))
    assert len(server.seen) == 12
    assert list(tmp_path.iterdir()) == []


def test_a_request_is_counted_also_where_no_answer_came(
    accounts: Accounts, server: Loopback, make_login: MakeLogin
) -> None:
    accounts.says = said({}, 503)
    for _ in range(10):
        with pytest.raises(PassingFailure):
            authorization(make_login())
    with pytest.raises(AllowanceSpent):
        authorization(make_login())
    assert len(server.seen) == 10


def test_a_clock_set_back_counts_no_requests_of_the_future(
    make_login: MakeLogin, clock: Clock, server: Loopback, tmp_path: Path
) -> None:
    later = START.timestamp() + 86_400
    login = make_login()
    login._cache.write(Noted("old", START.timestamp() - 1, (later,) * 10))
    assert authorization(login) == "Zoho-oauthtoken access-1"


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (said({"error": "invalid_code"}), CredentialsRefused, "invalid_code: ZOHO_REFRESH_TOKEN"),
        (said({"error": "invalid_client"}), CredentialsRefused, "ZOHO_CLIENT_ID is not valid"),
        (
            said({"error": "invalid_client_secret"}, 400),
            CredentialsRefused,
            "ZOHO_CLIENT_SECRET is not valid",
        ),
        (said({"error": "general_error"}), CredentialsRefused, "answered general_error. Check"),
        (said({"error": "r3fresh=% is bad"}), CredentialsRefused, "answered an error. Check"),
        (
            said({"error": "Access Denied", "error_description": "too many"}, 400),
            AllowanceSpent,
            "Run again in 600 s",
        ),
        (said({}, 429), AllowanceSpent, "Run again in 600 s"),
        (said({}), EndpointFailed, "answered 200 without a token. Check ZOHO_ACCOUNTS_URL"),
        (said([]), EndpointFailed, "answered 200 without a token"),
        (said({"access_token": None}), EndpointFailed, "without a token"),
        (said({"access_token": "with space"}), EndpointFailed, "without a token"),
        (said({"access_token": "line\r\nX: y"}), EndpointFailed, "without a token"),
        (said({"access_token": "x"}, 404), EndpointFailed, "answered 404 without a token"),
        (Said(b"<html>"), EndpointFailed, "without a token"),
        (Said(b"<html>", 502), PassingFailure, "answered 502. Try again later"),
    ],
)
def test_what_zoho_answers_instead(
    accounts: Accounts,
    make_login: MakeLogin,
    answer: Said,
    error: type[HelpdeskAssetsError],
    told: str,
) -> None:
    accounts.says = answer
    with pytest.raises(error) as caught:
        authorization(make_login())
    assert told in str(caught.value)
    assert_says_nothing(caught.value)


def assert_says_nothing(error: HelpdeskAssetsError) -> None:
    text = f"{error} {error.__cause__}"
    assert not any(secret in text for secret in (*SECRETS, "access-"))
    assert "\n" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(
    accounts: Accounts, server: Loopback, make_login: MakeLogin, status: int
) -> None:
    accounts.says = Said(b"", status, {"Location": f"{server.url}/elsewhere"})
    with pytest.raises(EndpointFailed, match=r"is redirected.*ZOHO_ACCOUNTS_URL"):
        authorization(make_login())
    assert [seen.path for seen in server.seen] == ["/oauth/v2/token"]


def test_a_server_that_is_not_there(make_login: MakeLogin) -> None:
    with pytest.raises(PassingFailure) as caught:
        authorization(make_login(url="http://127.0.0.1:9"))
    assert str(caught.value) == (
        "127.0.0.1:9 (ZOHO_ACCOUNTS_URL) cannot be reached or dropped the connection during POST "
        "/oauth/v2/token. Check the address and the network, then try again."
    )


def test_a_password_of_netrc_stays_at_home(
    server: Loopback, make_login: MakeLogin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    authorization(make_login(None))
    assert server.seen[0].authorization is None


def test_a_token_that_is_refused_is_not_taken_from_the_cache_again(
    accounts: Accounts, make_login: MakeLogin
) -> None:
    """Nor left there for others, where no new one comes."""
    login = make_login()
    refused = authorization(login)
    accounts.says = said({"error": "invalid_code"})
    with pytest.raises(CredentialsRefused):
        login.renew(refused)
    assert make_login()._cache.read().token == ""


def test_nothing_secret_is_shown_or_logged(
    make_login: MakeLogin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = make_login()
    authorization(login)
    shown = f"{login!r} {login._client!r} {login._noted!r} {caplog.text}"
    assert "has issued an access token" in caplog.text
    assert not any(secret in shown for secret in (*SECRETS, "access-1"))
    assert set(login.secrets) == {*SECRETS, "access-1"}
