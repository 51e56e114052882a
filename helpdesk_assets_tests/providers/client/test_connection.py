"""What an adapter says of its vendor reaches the calls: limits, headers, address, time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.auth import TokenAuth
from helpdesk_assets.providers.client.connection import Connection, World, connect
from helpdesk_assets.providers.client.errors import PassingFailure
from helpdesk_assets.providers.client.rate_limit import Left
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import Loopback, Respond, Said, loopback

Connect = Callable[..., Connection]
TELLS_ONE = Said(headers={"Left": "1"})


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def serve() -> Iterator[Callable[[Respond], Loopback]]:
    with ExitStack() as servers:
        yield lambda respond: servers.enter_context(loopback(respond))


@pytest.fixture
def connected(slept: list[float]) -> Iterator[Connect]:
    """Waits take no time; `set_to` are settings."""
    with ExitStack() as made:

        def make(url: str, *, set_to: Mapping[str, Any] | None = None, **more: Any) -> Connection:
            settings = Settings.model_validate({"helpdesk_base_url": url, **(set_to or {})})
            world = World(timer=lambda: sum(slept), sleep=slept.append, chance=lambda: 0.5)
            connection = connect(settings, TokenAuth("abc"), world=world, **more)
            made.callback(connection.api.close)
            return connection

        yield make


@pytest.mark.parametrize(("overlap", "minutes"), [(300, 15), (1800, 30)])
def test_what_a_raised_overlap_says_of_the_index_reaches_the_adapter(
    connected: Connect, overlap: int, minutes: int
) -> None:
    connection = connected("http://127.0.0.1:1", set_to={"helpdesk_overlap_seconds": overlap})
    assert connection.settled_after == timedelta(minutes=minutes)


def read_left(headers: Mapping[str, str]) -> tuple[Left, ...]:
    return (Left(int(headers["Left"]), reset_seconds=30.0),) if "Left" in headers else ()


@pytest.mark.parametrize(
    ("wanted", "allowed", "together"), [(8, None, 8), (8, 3, 3), (2, 3, 2), (1, 25, 1)]
)
def test_as_many_at_once_as_both_allow(
    connected: Connect, wanted: int, allowed: int | None, together: int
) -> None:
    set_to = {"helpdesk_concurrency": wanted}
    connection = connected("http://127.0.0.1:1", set_to=set_to, at_once=allowed)
    assert connection.at_once == together


def test_the_path_stands_behind_the_address(
    connected: Connect, serve: Callable[[Respond], Loopback]
) -> None:
    server = serve(lambda _: Said())
    connected(f"{server.url}/desk/", base_path="/api/v2").api.get("/tickets", {"page": "1"})
    assert [seen.path for seen in server.seen] == ["/desk/api/v2/tickets?page=1"]
    assert server.seen[0].authorization == "Bearer abc"


def test_a_documented_limit_is_kept_to(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    api = connected(serve(lambda _: Said()).url, per_minute={"": 3, "lists": 2}).api
    for _ in range(2):
        api.get("/tickets", lane="lists")
    assert slept == []
    api.get("/tickets", lane="lists")
    assert slept == [60.0]
    assert api.use.seconds_waited == 60.0


def test_a_limit_of_the_users_own_stands_in_for_the_accounts(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    connection = connected(
        serve(lambda _: Said()).url,
        set_to={"helpdesk_calls_per_minute": 4},
        per_minute={"": 1, "lists": 3},
    )
    for _ in range(3):
        connection.api.get("/tickets", lane="lists")
    connection.api.get("/ticket/1")
    assert slept == []
    connection.api.get("/ticket/2")
    assert slept == [60.0]


def test_what_headers_tell_slows_down(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    api = connected(serve(lambda _: TELLS_ONE).url, read_left=read_left).api
    api.get("/tickets")
    api.get("/tickets")
    assert slept == [30.0]


def test_a_refusal_tells_too(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    """429 with `Retry-After`: all calls wait that long, not only the one that was refused."""
    answers = iter([Said(status=429, headers={"Retry-After": "20"})])
    connection = connected(serve(lambda _: next(answers, Said())).url)
    with pytest.raises(PassingFailure, match="429"):
        connection.api.get("/tickets")
    connection.api.get("/others")
    assert slept == [20.0]


def test_a_failed_call_is_tried_again_by_the_same_clock(
    connected: Connect, serve: Callable[[Respond], Loopback], slept: list[float]
) -> None:
    answers = iter([Said(status=503)] * 2)
    connection = connected(serve(lambda _: next(answers, Said())).url)
    assert connection.retry(partial(connection.api.get, "/tickets")).status == 200
    assert slept == [0.375, 0.75]
    assert connection.api.use.retries == 2


def test_an_address_that_is_none_is_the_users_mistake(connected: Connect) -> None:
    with pytest.raises(SettingsError, match="HELPDESK_BASE_URL"):
        connected("helpdesk.example.com")
