"""The vendor's API without faults."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.local.simulator.conftest import EVER, Caller

ENDPOINTS = [f"/v2/tickets/search?modifiedTimeRange={EVER}", "/v2/tickets", "/v2/tickets/1"]


def test_search_returns_every_ticket_once_in_order(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    rows = caller.all_rows("/v2/tickets/search", modifiedTimeRange=EVER, pageSize=40)
    keys = [(row["modifiedTime"], row["id"]) for row in rows]
    assert keys == sorted(keys)
    truth = {each.ticket_id: each.raw_ticket for each in simulator.truth(raw_ticket=True)}
    assert len(rows) == len(truth)
    assert {row["id"]: row for row in rows} == truth


def test_listing_returns_every_ticket_once_newest_first(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    rows = caller.all_rows("/v2/tickets", pageSize=99)
    times = [row["modifiedTime"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert {row["id"] for row in rows} == {each.ticket_id for each in simulator.truth()}
    assert len(rows) == len(set(map(str, rows)))


def test_search_includes_both_ends(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    first, _, last = simulator.change(3, spread_seconds=30)
    start, end = (each.raw_ticket["modifiedTime"] for each in (first, last) if each.raw_ticket)
    found = caller.search(modifiedTimeRange=f"{start},{end}").json()
    assert [row["modifiedTime"] for row in found["tickets"]][::2] == [start, end]
    assert "nextPageToken" not in found


def test_empty_window_is_an_empty_page(caller: Caller) -> None:
    window = "2098-01-01T00:00:00Z,2098-01-01T00:00:00Z"
    assert caller.search(modifiedTimeRange=window).json() == {"tickets": []}


def test_changes_make_an_offset_token_skip_rows(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    page = caller.search(pageSize=10).json()
    simulator.change(ids=[page["tickets"][0]["id"]])
    following = caller.search(pageSize=10, pageToken=page["nextPageToken"]).json()
    eleventh = caller.search(pageSize=10).json()["tickets"][9]
    assert eleventh["id"] not in {row["id"] for row in page["tickets"] + following["tickets"]}


def test_single_ticket_is_the_bare_object(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    truth = next(simulator.truth(raw_ticket=True))
    assert caller.ticket(truth.ticket_id).json() == truth.raw_ticket


def test_an_unknown_ticket_is_404_in_json(caller: Caller) -> None:
    answer = caller.ticket("123")
    assert answer.status_code == 404
    assert "123" in answer.json()["message"]


def test_an_unknown_path_is_404_in_json(caller: Caller) -> None:
    answer = caller.get("/v3/tickets")
    assert (answer.status_code, answer.json()["errorCode"]) == (404, 404)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic local-demo-token", 401),
        (f"Bearer {TOKEN_WITHOUT_RIGHTS}", 403),
    ],
)
def test_token_is_required(caller: Caller, path: str, header: str | None, status: int) -> None:
    del caller.session.headers["Authorization"]
    if header is not None:
        caller.session.headers["Authorization"] = header
    answer = caller.get(path)
    assert answer.status_code == status
    assert answer.json()["errorCode"] == status


@pytest.mark.parametrize(
    "query",
    [
        {"pageSize": 101},
        {"pageSize": "many"},
        {"pageToken": "nonsense"},
        {"modifiedTimeRange": "yesterday"},
        {"sortBy": "subject"},
    ],
)
def test_malformed_parameters_are_400_in_json(caller: Caller, query: dict[str, object]) -> None:
    answer = caller.search(**query)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 400)


@pytest.mark.parametrize("path", [*ENDPOINTS, "/nowhere", "/healthz"])
def test_date_header_is_the_helpdesks_clock(
    simulator: SimulatedHelpdesk, caller: Caller, path: str
) -> None:
    now = simulator.advance(86_400).now
    answer = caller.get(path)
    assert parsedate_to_datetime(answer.headers["Date"]) == now
    assert "Server" not in answer.headers


def test_pages_are_utf8_and_not_escaped(caller: Caller) -> None:
    answer = caller.listing()
    assert "ü".encode() in answer.content
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
