"""An adapter's limits, headers, address and times reach its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.auth import TokenAuth
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.errors import TransientError
from helpdesk_assets.providers.client.rate_limit import RateLimitState
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, Loopback, Respond, loopback

Connect = Callable[..., Connection]
ONE_CALL_LEFT = CannedResponse(headers={"Calls-Left": "1"})


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def serve() -> Iterator[Callable[[Respond], Loopback]]:
    with ExitStack() as servers:
        yield lambda respond: servers.enter_context(loopback(respond))


@pytest.fixture
def connected(slept: list[float]) -> Iterator[Connect]:
    """A connection whose waits take no time; `set_to` are settings."""
    with ExitStack() as made:

        def make(url: str, *, set_to: Mapping[str, Any] | None = None, **more: Any) -> Connection:
            settings = Settings.model_validate({"helpdesk_base_url": url, **(set_to or {})})
            runtime = Runtime(monotonic=lambda: sum(slept), sleep=slept.append, rng=lambda: 0.5)
            connection = connect(settings, TokenAuth("abc"), runtime=runtime, **more)
            made.callback(connection.api.close)
            return connection

        yield make


@pytest.mark.parametrize(("overlap", "minutes"), [(300, 15), (1800, 30)])
def test_longer_overlap_raises_the_settle_delay(
    connected: Connect, overlap: int, minutes: int
) -> None:
    connection = connected("http://127.0.0.1:1", set_to={"helpdesk_overlap_seconds": overlap})
    assert connection.listing_delay == timedelta(minutes=minutes)


def parse_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
    return (
        (RateLimitState(int(headers["Calls-Left"]), reset_seconds=30.0),)
        if "Calls-Left" in headers
        else ()
    )


@pytest.mark.parametrize(
    ("wanted", "allowed", "together"), [(8, None, 8), (8, 3, 3), (2, 3, 2), (1, 25, 1)]
)
def test_concurrency_is_the_lower_of_both_limits(
    connected: Connect, wanted: int, allowed: int | None, together: int
) -> None:
    set_to = {"helpdesk_concurrency": wanted}
    connection = connected("http://127.0.0.1:1", set_to=set_to, concurrency=allowed)
    assert connection.concurrency == together


def test_path_is_appended_to_the_base_url(
    connected: Connect, serve: Callable[[Respond], Loopback]
) -> None:
    server = serve(lambda _: CannedResponse())
    connected(f"{server.url}/desk/", base_path="/api/v2").api.get("/tickets", {"page": "1"})
    assert [seen.path for seen in server.seen] == ["/desk/api/v2/tickets?page=1"]
    assert server.seen[0].authorization == "Bearer abc"


def test_documented_limit_is_respected(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    api = connected(serve(lambda _: CannedResponse()).url, per_minute={"": 3, "lists": 2}).api
    for _ in range(2):
        api.get("/tickets", scope="lists")
    assert slept == []
    api.get("/tickets", scope="lists")
    assert slept == [60.0]
    assert api.use.seconds_waited == 60.0


def test_user_limit_replaces_the_account_limit(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    connection = connected(
        serve(lambda _: CannedResponse()).url,
        set_to={"helpdesk_calls_per_minute": 4},
        per_minute={"": 1, "lists": 3},
    )
    for _ in range(3):
        connection.api.get("/tickets", scope="lists")
    connection.api.get("/ticket/1")
    assert slept == []
    connection.api.get("/ticket/2")
    assert slept == [60.0]


def test_headers_throttle_calls(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    api = connected(serve(lambda _: ONE_CALL_LEFT).url, parse_rate_limit=parse_rate_limit).api
    api.get("/tickets")
    api.get("/tickets")
    assert slept == [30.0]


def test_retry_after_pauses_all_calls(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    """429 with `Retry-After` delays all calls, not only the refused one."""
    answers = iter([CannedResponse(status=429, headers={"Retry-After": "20"})])
    connection = connected(serve(lambda _: next(answers, CannedResponse())).url)
    with pytest.raises(TransientError, match="429"):
        connection.api.get("/tickets")
    connection.api.get("/others")
    assert slept == [20.0]


def test_failed_call_is_retried_by_the_same_runtime(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    answers = iter([CannedResponse(status=503)] * 2)
    connection = connected(serve(lambda _: next(answers, CannedResponse())).url)
    assert connection.retry(partial(connection.api.get, "/tickets")).status == 200
    assert slept == [0.375, 0.75]
    assert connection.api.use.retries == 2


def test_invalid_base_url_is_a_settings_error(connected: Connect) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_BASE_URL"):
        connected("helpdesk.example.com")


@pytest.mark.parametrize("path", ["/api/v1", "/api/v2", "/REST/2.0"])
@pytest.mark.parametrize("end", ["", "/"])
def test_address_that_holds_the_api_path_is_refused(
    connected: Connect, path: str, end: str
) -> None:
    with pytest.raises(SettingsError, match=f"BASE_URL ends with {path}. Remove that part"):
        connected(f"https://desk.example.com{path}{end}", base_path=path)
