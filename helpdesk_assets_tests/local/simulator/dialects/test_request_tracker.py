"""The simulated Request Tracker against observations of a real one, without the adapter.

Where a real one can be started, `request_tracker/test_dialect_fidelity.py` compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from helpdesk_assets.local.simulator.dialects.request_tracker import API
from helpdesk_assets.local.simulator.dialects.request_tracker_sql import (
    Condition,
    InvalidQuery,
    matches,
    parse_query,
)
from helpdesk_assets.local.simulator.dialects.request_tracker_tickets import FIELDS, FIELDS_OF_LISTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICKETS = 130
WHOLE = ",".join((*FIELDS, *FIELDS_OF_LISTS))

Get = Callable[..., dict[str, Any]]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(
        tickets=TICKETS, start=START, frozen=True, dialect="request_tracker"
    ) as simulator:
        simulator.advance(3600)
        yield simulator


@pytest.fixture
def get(simulator: SimulatedHelpdesk) -> Iterator[Get]:
    with requests.Session() as session:
        session.trust_env = False

        def get(path: str, user: str = "sync", status: int = 200, **query: Any) -> dict[str, Any]:
            answer = session.get(
                simulator.base_url + API + path,
                params=query,
                auth=(user, simulator.token),
                timeout=10,
            )
            assert answer.status_code == status, answer.text
            body: dict[str, Any] = answer.json()
            return body

        yield get


def found(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["items"]]


@pytest.mark.parametrize(
    ("asked", "given"), [(None, 20), ("7", 7), ("0", 20), ("x", 20), ("100", 100), ("500", 100)]
)
def test_page_size_is_never_rejected(get: Get, asked: str | None, given: int) -> None:
    page = get("/tickets", query="id > 0", per_page=asked)
    assert (len(page["items"]), page["per_page"]) == (given, given)


def test_pages_are_numbered(simulator: SimulatedHelpdesk, get: Get) -> None:
    query = {"query": "id > 0", "orderby": "id", "per_page": 60}
    pages = [get("/tickets", page=number, **query) for number in (1, 2, 3, 4)]
    living = sorted((each.ticket_id for each in simulator.truth()), key=int)
    assert [name for page in pages for name in found(page)] == living
    assert [len(page["items"]) for page in pages] == [60, 60, len(living) - 120, 0]
    assert ["next_page" in page for page in pages] == [True, True, False, False]
    assert {(page["total"], page["pages"]) for page in pages} == {(len(living), 3)}


def test_without_fields_a_row_is_an_id(get: Get) -> None:
    bare, whole = (
        get("/tickets", query="id > 0", fields=fields)["items"][0] for fields in ("", WHOLE)
    )
    assert bare.keys() == {"id", "type", "_url"}
    assert whole.keys() == {"id", "type", "_url", *FIELDS, *FIELDS_OF_LISTS}
    assert whole["Queue"].keys() == {"id", "type", "_url"}


def test_times_are_in_the_users_zone(simulator: SimulatedHelpdesk, get: Get) -> None:
    changed = simulator.change(2)
    moment = changed[0].modified_time
    hours = {"sync": 0.0, "sync-new-york": -5, "sync-kolkata": 5.5, "sync-zoneless": 1}
    for user, offset in hours.items():
        local = moment + timedelta(hours=offset)
        for seconds, there in ((0, True), (1, False)):
            at = f"{local + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
            page = get("/tickets", user, query=f"LastUpdated >= '{at}'", orderby="LastUpdated")
            assert (set(found(page)) == {each.ticket_id for each in changed}) is there


def test_iso_times_are_truncated_to_the_day(simulator: SimulatedHelpdesk, get: Get) -> None:
    changed = simulator.change(1)[0]
    day = f"{changed.modified_time:%Y-%m-%d}"
    for text, there in ((f"{day}T23:59:59Z", True), (f"{day} 23:59:59", False)):
        page = get("/tickets", query=f"id = {changed.ticket_id} AND LastUpdated >= '{text}'")
        assert found(page) == [changed.ticket_id] * there


@pytest.mark.parametrize("query", ["Nonsense = 3", "garbage", "id >", "id = 1 AND ("])
def test_invalid_query_is_rejected(get: Get, query: str) -> None:
    assert get("/tickets", query=query, status=400)["message"]
    assert get("/tickets", query="")["items"] == []


@pytest.mark.parametrize("path", ["/tickets", "/transactions", "/ticket/{id}", "/user/sync"])
def test_unknown_parameters_may_be_refused(
    simulator: SimulatedHelpdesk, get: Get, path: str
) -> None:
    path = path.format(id=next(simulator.truth()).ticket_id)
    query = {} if path.count("/") == 2 else {"query": "id > 0"}
    refused = get(path, status=400, moon="1", **query)
    assert refused == {"message": "Unknown parameter: moon"}
    get(path, **query, **{"fields[Queue]": "Name", "fields": "Type"})
    simulator.switch("request_tracker.unknown_parameter_is_ignored")
    get(path, moon="1", **query)


def test_empty_list_has_a_float_of_pages(get: Get) -> None:
    pages = get("/tickets", query="id = 999999999")["pages"]
    assert (pages, type(pages)) == (0, float)


def test_deleted_tickets(simulator: SimulatedHelpdesk, get: Get) -> None:
    gone = simulator.delete(1)[0]
    page = get("/tickets", query=f"id = {gone}")
    assert (page["total"], page["pages"], page["items"]) == (0, 0, [])
    single = get(f"/ticket/{gone}")
    assert (single["id"], single["Status"]) == (int(gone), "deleted")
    assert single["LastUpdated"] == f"{simulator.clock().now:%Y-%m-%dT%H:%M:%SZ}"
    assert single["CustomFields"] == [] or isinstance(single["CustomFields"][0], dict)
    fields = "Type,NewValue,Created"
    transactions = get("/transactions", query=f"ObjectId = {gone}", fields=fields)["items"]
    assert [(row["Type"], row["NewValue"]) for row in transactions] == [("Status", "deleted")]


def test_merged_tickets_redirect_to_their_target(simulator: SimulatedHelpdesk, get: Get) -> None:
    merged, between, into = [each.ticket_id for each in simulator.change(3)]
    simulator.merge([merged], between)
    simulator.merge([between], into)
    assert get(f"/ticket/{merged}")["id"] == int(into)
    assert not found(get("/tickets", query=f"id = {merged}"))
    transactions = get("/transactions", query="Field = 'MergedInto'", fields="ObjectId,NewValue")[
        "items"
    ]
    pairs = [(row["ObjectId"], row["NewValue"].rpartition("/")[2]) for row in transactions[-4:]]
    # Both users get the same answer.
    assert pairs == [(merged, between), (between, between), (between, into), (into, into)]


def test_only_superusers_see_the_transaction_total(simulator: SimulatedHelpdesk, get: Get) -> None:
    simulator.delete(3)
    for user, counted in (("sync", False), ("root", True)):
        page = get("/transactions", user, query="NewValue = 'deleted'", per_page=2)
        assert (page["total"] is not None, "next_page" in page) == (counted, counted)


@pytest.mark.parametrize("are_utc", [True, False])
def test_transaction_times(simulator: SimulatedHelpdesk, get: Get, are_utc: bool) -> None:
    """Times of transactions are in the user's time zone; those of their tickets may not be."""
    simulator.switch("request_tracker.ticket_times_are_utc", friendly=are_utc)
    gone = simulator.delete(1)[0]
    now, local = simulator.clock().now, simulator.clock().now - timedelta(hours=5)
    for field, at in (("Created", local), ("TicketLastUpdated", now if are_utc else local)):
        for seconds, there in ((0, True), (1, False)):
            text = f"{at + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
            query = f"ObjectId = {gone} AND (Type = 'x' OR {field} >= '{text}')"
            page = get("/transactions", "sync-new-york", query=query)
            assert bool(page["items"]) is there


def test_users_can_read_their_own_record(get: Get) -> None:
    assert get("/user/sync-kolkata", "sync-kolkata")["Timezone"] == "Asia/Kolkata"
    assert get("/user/63", "sync-kolkata")["Timezone"] == "Asia/Kolkata"
    assert "Timezone" not in get("/user/sync-kolkata", "sync")
    assert "Timezone" not in get("/user/sync-zoneless", "sync-zoneless")


def test_users_without_rights_get_empty_lists(simulator: SimulatedHelpdesk, get: Get) -> None:
    assert get("/tickets", "sync-blind", query="id > 0")["items"] == []
    assert get("/transactions", "sync-blind", query="id > 0")["items"] == []
    living = next(simulator.truth()).ticket_id
    assert get(f"/ticket/{living}", "sync-blind", status=403) == {"message": "Forbidden"}


@pytest.mark.parametrize("header", ["", "Basic !", "token 1-61-wrong", "Bearer local-demo-token"])
def test_wrong_login(simulator: SimulatedHelpdesk, header: str) -> None:
    answer = requests.get(
        f"{simulator.base_url}{API}/tickets?query=id>0",
        headers={"Authorization": header},
        timeout=10,
    )
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


def test_and_binds_tighter_than_or() -> None:
    node = parse_query("a = 1 OR b = 1 AND (c = 1 OR d = 'x y')")

    def is_true(*names: str) -> bool:
        return matches(node, lambda condition: condition.field in names)

    assert is_true("a")
    assert not is_true("b")
    assert is_true("b", "d")
    assert not is_true("c", "d")
    assert parse_query("id != 'x y'") == Condition("id", "!=", "x y")
    with pytest.raises(InvalidQuery):
        parse_query("a = 1 b = 2")
