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
    zendesk: SimulatedHelpdesk, connect_oauth: ConnectClient, rows: int, waits: list[float]
) -> None:
    zendesk.fault("slow_pages", on="search", rows=rows)
    pages = list(connect_oauth(**FAST).changes(None))
    read = {ticket.ticket_id for page in pages for ticket in page.tickets}
    assert read == {one.ticket_id for one in zendesk.truth(include_removed=True)}
    assert max(len(page.tickets) for page in pages) <= rows
    assert waits == []


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
    assert timeouts[:3] == [("4", 120.0), ("2", 120.0), ("1", 120.0)]
    assert {size for size, _ in timeouts[2:]} == {"1"}


@pytest.mark.parametrize(("given", "used"), [(5, 120.0), (30, 120.0), (300, 300.0)])
def test_export_waits_two_minutes_and_tickets_do_not(
    connect_oauth: ConnectClient, monkeypatch: pytest.MonkeyPatch, given: int, used: float
) -> None:
    timeouts: list[float] = []
    send = requests.Session.get

    def get(session: requests.Session, url: str, **options: Any) -> requests.Response:
        timeouts.append(options["timeout"])
        return send(session, url, **options)

    monkeypatch.setattr(requests.Session, "get", get)
    helpdesk = connect_oauth(helpdesk_timeout_seconds=given)
    list(helpdesk.changes(None))
    helpdesk.ticket("5")
    assert timeouts == [used, given]


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
    assert len(waits) == 7


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


def test_size_shrinks_to_one_and_no_further() -> None:
    size = PageSize(1000)
    seen = [size.current]
    while size.shrink():
        seen.append(size.current)
    assert seen == [1000, 500, 250, 125, 62, 31, 15, 7, 3, 1]
