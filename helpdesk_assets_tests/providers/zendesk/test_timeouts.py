"""Pages of the export that time out get smaller, and larger again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client import http
from helpdesk_assets.providers.zendesk.page_size import (
    FIRST_PATIENCE,
    MAX_PAGE_SIZE,
    MAX_PATIENCE,
    PageSize,
)
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback
from helpdesk_assets_tests.providers.request_recorder import sent_requests
from helpdesk_assets_tests.providers.zendesk.login import ConnectClient

FAST = {"zendesk_exports_per_minute": 1000}
BY_TOKEN = {
    "zendesk_client_id": "",
    "zendesk_client_secret": "",
    "helpdesk_api_token": "t0ken",
    **FAST,
}
EMPTY_PAGE = {"tickets": [], "after_cursor": "c9", "end_of_stream": True}


def slow_above(rows: int, slow: CannedResponse) -> Callable[[ReceivedRequest], CannedResponse]:
    """A server that answers a page in time only if it has no more than `rows`."""

    def respond(seen: ReceivedRequest) -> CannedResponse:
        size = int(seen.path.partition("per_page=")[2].partition("&")[0])
        return slow if size > rows else CannedResponse(json.dumps(EMPTY_PAGE).encode())

    return respond


@pytest.mark.parametrize("rows", [120, 60, 7, 1])
def test_slow_pages_shrink_until_they_come(
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, rows: int
) -> None:
    zendesk.fault("slow_pages", on="search", rows=rows)
    pages = list(connect_oauth(**FAST).changes(None))
    read = {ticket.ticket_id for page in pages for ticket in page.tickets}
    assert read == {one.ticket_id for one in zendesk.truth(include_removed=True)}
    assert max(len(page.tickets) for page in pages) <= rows


def test_run_remembers_the_size(zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient) -> None:
    zendesk.fault("slow_pages", on="search", rows=30)
    helpdesk = connect_oauth(**FAST, helpdesk_page_size=120)
    list(helpdesk.changes(None))
    refused = zendesk.counters().calls["search"]["504"]
    assert refused == 2
    assert helpdesk.use.retries == 2
    (page,) = helpdesk.changes(zendesk.clock().now)
    assert page.tickets == ()
    assert zendesk.counters().calls["search"]["504"] == refused


@pytest.mark.parametrize("status", [408, 504, 524])
@pytest.mark.parametrize("body", [b"upstream request timeout", b"<html><h1>504</h1></html>", b""])
def test_every_kind_of_gateway_time_out(
    connect_oauth: ConnectClient, status: int, body: bytes
) -> None:
    with loopback(slow_above(250, CannedResponse(body, status))) as server:
        helpdesk = connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url)
        list(helpdesk.changes(None))
        sizes = [one.params["per_page"] for one in sent_requests(server.seen)]
    assert sizes == ["1000", "500", "250"]


def test_time_out_of_our_own_shrinks_the_page(
    connect_oauth: ConnectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[Any] = []

    def get(_: requests.Session, __: str, **options: Any) -> requests.Response:
        timeouts.append((options["params"]["per_page"], options["timeout"]))
        raise requests.ReadTimeout

    monkeypatch.setattr(requests.Session, "get", get)
    helpdesk = connect_oauth(**BY_TOKEN, helpdesk_page_size=4)
    with pytest.raises(EndpointFailed, match=r"within 120 s.*lower HELPDESK_PAGE_SIZE"):
        list(helpdesk.changes(None))
    assert timeouts[:3] == [(size, (30, 120.0)) for size in "421"]
    assert {size for size, _ in timeouts[2:]} == {"1"}


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectTimeout,
        requests.ConnectionError,
        requests.exceptions.ProxyError,
        requests.exceptions.ChunkedEncodingError,
    ],
)
def test_connection_trouble_leaves_the_page_as_large(
    connect_oauth: ConnectClient, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """No page was asked for, or it was on its way; connecting takes no longer than elsewhere."""
    calls: list[Any] = []

    def get(_: requests.Session, __: str, **options: Any) -> requests.Response:
        calls.append((options["params"]["per_page"], options["timeout"][0]))
        raise error

    monkeypatch.setattr(requests.Session, "get", get)
    with pytest.raises(EndpointFailed, match="8 attempts"):
        list(connect_oauth(**BY_TOKEN, helpdesk_timeout_seconds=7).changes(None))
    assert calls == [("1000", 7)] * 8


@pytest.mark.parametrize("rows", [600, 300, 40, 1])
def test_pages_larger_than_is_read_shrink(
    connect_oauth: ConnectClient, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 100_000)
    large = CannedResponse(json.dumps({**EMPTY_PAGE, "more": "x" * 100_000}).encode())
    with loopback(slow_above(rows, large)) as server:
        list(connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url).changes(None))
        sizes = [int(one.params["per_page"]) for one in sent_requests(server.seen)]
    assert sizes[:2] == [1000, 500]
    assert sizes[-1] <= rows
    assert all(size > rows for size in sizes[:-1])


def test_one_ticket_larger_than_is_read_ends_the_run(
    connect_oauth: ConnectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1 << 20)
    large = CannedResponse(b" " * ((1 << 20) + 1))
    with loopback(slow_above(0, large)) as server:
        helpdesk = connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url)
        with pytest.raises(EndpointFailed, match="has more than 1 MiB"):
            list(helpdesk.changes(None))
        sizes = [one.params["per_page"] for one in sent_requests(server.seen)]
    assert sizes[-2:] == ["3", "1"]


@pytest.mark.parametrize("seconds", [1, 5, 20, 60])
def test_short_gateway_trouble_is_waited_out(
    connect_oauth: ConnectClient, waits: list[float], seconds: int
) -> None:
    """It would use up every page size at once."""
    slow = slow_above(0, CannedResponse(b"upstream request timeout", 504))
    good = slow_above(MAX_PAGE_SIZE, CannedResponse())
    with loopback(lambda seen: (slow if sum(waits) < seconds else good)(seen)) as server:
        helpdesk = connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url)
        list(helpdesk.changes(None))
        sizes = [int(one.params["per_page"]) for one in sent_requests(server.seen)]
    assert 1 < sizes[-1] < MAX_PAGE_SIZE
    assert waits == sorted(waits)
    assert len(waits) == len(sizes) - 1
    assert helpdesk.use.retries == len(waits)


@pytest.mark.parametrize(("given", "used"), [(5, 120.0), (30, 120.0), (300, 300.0)])
def test_export_waits_two_minutes_and_tickets_do_not(
    connect_oauth: ConnectClient, monkeypatch: pytest.MonkeyPatch, given: int, used: float
) -> None:
    timeouts: list[tuple[float, float]] = []
    send = requests.Session.get

    def get(session: requests.Session, url: str, **options: Any) -> requests.Response:
        timeouts.append(options["timeout"])
        return send(session, url, **options)

    monkeypatch.setattr(requests.Session, "get", get)
    helpdesk = connect_oauth(helpdesk_timeout_seconds=given)
    list(helpdesk.changes(None))
    helpdesk.ticket("5")
    assert timeouts == [(given, used), (given, given)]


@pytest.mark.parametrize("seconds", [5, 30, 250])
def test_overlap_covers_an_answer_that_came_late(
    connect_oauth: ConnectClient, seconds: int
) -> None:
    """Its Date is of the answer, and its newest row of a minute before the request."""
    capabilities = connect_oauth(helpdesk_timeout_seconds=seconds).capabilities
    longest = timedelta(seconds=max(seconds, 120))
    request = datetime(2026, 11, 23, 10, tzinfo=UTC)
    watermark = request + longest - capabilities.settle_delay
    assert watermark - capabilities.minimum_overlap <= request - timedelta(minutes=1)


def test_time_out_at_one_ticket_names_the_setting(
    connect_oauth: ConnectClient, waits: list[float]
) -> None:
    slow = CannedResponse(b"upstream request timeout", 504)
    with loopback(slow_above(0, slow)) as server:
        helpdesk = connect_oauth(**BY_TOKEN, helpdesk_base_url=server.url)
        with pytest.raises(
            EndpointFailed, match=r"504 .*upstream request timeout.*HELPDESK_PAGE_SIZE"
        ):
            list(helpdesk.changes(None))
        sizes = [int(one.params["per_page"]) for one in sent_requests(server.seen)]
    assert sizes == [1000, 500, 250, 125, 62, 31, 15, 7, 3, *[1] * 8]
    assert len(waits) == len(sizes) - 1


def test_token_endpoint_that_is_slow_shrinks_nothing(
    connect_oauth: ConnectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(*_: Any, **__: Any) -> requests.Response:
        raise requests.ReadTimeout

    monkeypatch.setattr(requests.Session, "post", post)
    helpdesk = connect_oauth()
    with pytest.raises(EndpointFailed, match="did not answer POST /oauth/tokens"):
        list(helpdesk.changes(None))
    assert helpdesk._export._page_size.current == MAX_PAGE_SIZE


def test_size_grows_back_more_patiently_after_each_time_out() -> None:
    size = PageSize(1000)
    waited = []
    for _ in range(8):
        assert size.shrink()
        good = 0
        while size.current < MAX_PAGE_SIZE:
            size.record_page()
            good += 1
        waited.append(good)
    assert waited == sorted(waited)
    assert waited[0] == 2 * FIRST_PATIENCE
    assert waited[-1] == MAX_PATIENCE


@pytest.mark.parametrize("failures", range(1, 10))
def test_failures_in_a_row_are_made_up_for_soon(failures: int) -> None:
    """A run sends ten pages a minute, so this takes five."""
    size = PageSize(1000)
    for _ in range(failures):
        assert size.shrink()
    good = 0
    while size.current < MAX_PAGE_SIZE:
        size.record_page()
        good += 1
    assert good <= 50


def test_growth_that_holds_halves_the_patience() -> None:
    size = PageSize(4 * MAX_PAGE_SIZE)
    for _ in range(5):
        size.shrink()
        size.record_page()
    grown_after = []
    while size.current < 2 * MAX_PAGE_SIZE:
        before, good = size.current, 0
        while size.current == before:
            size.record_page()
            good += 1
        grown_after.append(good)
    # One good page came before the first.
    assert grown_after == [MAX_PATIENCE - 1, 64, 32, 16][: len(grown_after)]
    assert len(grown_after) == 4


def test_size_shrinks_to_one_and_no_further() -> None:
    size = PageSize(1000)
    seen = [size.current]
    while size.shrink():
        seen.append(size.current)
    assert seen == [1000, 500, 250, 125, 62, 31, 15, 7, 3, 1]
