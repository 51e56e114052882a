"""The Freshdesk adapter's requests, and its results for given answers, byte for byte."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, TicketUnreadable
from helpdesk_assets.providers.freshdesk.adapter import FreshdeskAdapter, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback
from helpdesk_assets_tests.providers.pages import newest
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICKETS = "/api/v2/tickets"

ROW: dict[str, Any] = {
    "id": 7,
    "subject": "s",
    "status": 2,
    "priority": 1,
    "responder_id": None,
    "spam": False,
    "created_at": "2026-11-01T08:00:00Z",
    "updated_at": "2026-11-23T09:00:00Z",
}

Connect = Callable[..., FreshdeskAdapter]


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[FreshdeskAdapter] = []

    def make(url: str, **more: Any) -> FreshdeskAdapter:
        given = {"helpdesk_base_url": url, "helpdesk_api_token": "k3yk3y"}
        made.append(from_settings(Settings.model_validate({**given, **more})))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def answering(body: Any) -> Callable[[ReceivedRequest], CannedResponse]:
    return lambda _: CannedResponse(json.dumps(body).encode())


def rows(count: int, first: int = 1) -> list[dict[str, Any]]:
    """Rows of one second."""
    return [{**ROW, "id": number} for number in range(first, first + count)]


def in_pages(*pages: tuple[list[Any], bool]) -> Callable[[ReceivedRequest], CannedResponse]:
    """Pages of the ordinary list, each with or without a link to the next.

    After the second of a page there is nothing, and nothing was removed.
    """

    def respond(seen: ReceivedRequest) -> CannedResponse:
        asked = sent_requests([seen])[0].params
        number = int(asked["page"])
        listed, is_linked = pages[number - 1] if number <= len(pages) else ([], False)
        if "filter" in asked or asked["updated_since"] > ROW["updated_at"]:
            listed, is_linked = [], False
        link = {"Link": f'<{seen.path}&page={number + 1}>; rel="next"'} if is_linked else {}
        return CannedResponse(json.dumps(listed).encode(), headers=link)

    return respond


@pytest.mark.parametrize(
    "pages",
    [
        [(rows(10), True), (rows(10, 11), True), (rows(4, 21), False)],
        # A proxy has removed the headers: a full page does not count as the last one.
        [(rows(10), False), (rows(10, 11), False), (rows(4, 21), False)],
        # Rows that this agent cannot see are missing, so no page is full.
        [(rows(9), True), (rows(3, 11), True), ([], True), (rows(12, 13), False)],
    ],
)
def test_only_a_short_page_without_a_link_is_last(
    connect: Connect, pages: list[tuple[list[Any], bool]]
) -> None:
    every = {str(row["id"]) for listed, _ in pages for row in listed}
    with loopback(in_pages(*pages)) as server:
        helpdesk = connect(server.url, helpdesk_page_size=10)
        assert newest(helpdesk.changes(None)).keys() == every


def test_unsorted_list_is_an_error(connect: Connect) -> None:
    wrong = [ROW, {**ROW, "id": 8, "updated_at": "2026-11-01T00:00:00Z"}]
    with (
        loopback(in_pages((wrong, False))) as server,
        pytest.raises(EndpointFailed, match="does not keep to the window and the order"),
    ):
        list(connect(server.url).changes(None))


def test_list_ignoring_the_bound_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering([ROW])) as server,
        pytest.raises(EndpointFailed, match="does not keep to the window and the order"),
    ):
        list(connect(server.url).changes(START))


@pytest.mark.parametrize("body", [{"tickets": []}, {"description": "Validation failed"}, None, "x"])
def test_response_that_is_no_list_is_an_error(connect: Connect, body: Any) -> None:
    with (
        loopback(answering(body)) as server,
        pytest.raises(EndpointFailed, match="GET /tickets did not answer with a list"),
    ):
        list(connect(server.url).changes(None))


def test_wrong_ticket_in_the_response_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering(ROW)) as server,
        pytest.raises(EndpointFailed, match="answered with ticket 7"),
    ):
        connect(server.url).ticket("8")


@pytest.mark.parametrize(
    ("fields", "status", "priority", "assignee"),
    [
        ({"status": 2, "priority": 1, "responder_id": 77}, "Open", "Low", "77"),
        ({"status": 3, "priority": 2, "responder_id": None}, "Pending", "Medium", None),
        ({"status": 4, "priority": 3}, "Resolved", "High", None),
        ({"status": 5, "priority": 4}, "Closed", "Urgent", None),
        ({"status": 17, "priority": 9}, "17", "9", None),
        ({"status": None, "priority": "High"}, None, "High", None),
        ({"status": True, "priority": {"name": "High"}}, "true", "High", None),
    ],
)
def test_numeric_codes_become_names(
    connect: Connect,
    fields: dict[str, Any],
    status: str | None,
    priority: str | None,
    assignee: str | None,
) -> None:
    with loopback(answering({**ROW, **fields})) as server:
        ticket = connect(server.url).ticket("7")
    assert ticket is not None
    assert (ticket.status, ticket.priority, ticket.assignee) == (status, priority, assignee)
    assert json.loads(ticket.raw_json) == {**ROW, **fields}


def test_numbers_kept_as_text_are_counted(connect: Connect) -> None:
    body = json.dumps({**ROW, "n": "?"}).replace('"?"', "0.12345678901234567891").encode()
    with loopback(lambda _: CannedResponse(body)) as server:
        helpdesk = connect(server.url)
        ticket = helpdesk.ticket("7")
    assert ticket is not None
    assert json.loads(ticket.raw_json)["n"] == "0.12345678901234567891"
    assert helpdesk.use.numbers_as_text == 1


def test_time_without_zone_is_rejected(connect: Connect) -> None:
    with (
        loopback(answering([{**ROW, "updated_at": "2026-11-23T09:00:00"}])) as server,
        pytest.raises(TicketUnreadable, match=r"Ticket 7: updated_at is '2026-11-23T09:00:00'"),
    ):
        list(connect(server.url).changes(None))


@pytest.mark.parametrize("flag", ["deleted", "spam"])
def test_deleted_flag_makes_a_tombstone(connect: Connect, flag: str) -> None:
    with loopback(answering({**ROW, flag: True})) as server:
        removed = connect(server.url).ticket("7")
    with loopback(answering({**ROW, flag: False})) as server:
        restored = connect(server.url).ticket("7")
    assert removed is not None
    assert removed.deleted_time == removed.modified_time
    assert restored is not None
    assert restored.deleted_time is None


def test_ticket_in_the_trash_is_deleted_without_a_flag(connect: Connect) -> None:
    def respond(seen: ReceivedRequest) -> CannedResponse:
        listed = [ROW] if "filter=deleted" in seen.path else []
        return CannedResponse(json.dumps(listed).encode())

    with loopback(respond) as server:
        got = newest(connect(server.url).changes(None))
    assert got["7"].deleted_time == got["7"].modified_time


def test_ticket_restored_during_the_read_is_live(connect: Connect) -> None:
    """It appears twice, perhaps with the same modified time: the later row is the newer."""

    def respond(seen: ReceivedRequest) -> CannedResponse:
        asked = sent_requests([seen])[0].params
        row = {**ROW, "deleted": "filter" in asked}
        return CannedResponse(json.dumps([] if asked.get("filter") == "spam" else [row]).encode())

    with loopback(respond) as server:
        got = newest(connect(server.url).changes(None))
    assert got["7"].deleted_time is None


def test_api_key_is_never_shown(connect: Connect) -> None:
    said = f"No X for k3yk3y ({b64encode(b'k3yk3y:X').decode()})".encode()
    with (
        loopback(lambda _: CannedResponse(said, status=400)) as server,
        pytest.raises(EndpointFailed, match=r"No X for \*\*\* \(\*\*\*\)"),
    ):
        connect(server.url).ticket("7")


# --- what is sent, beside what the vendor's pages say --------------------------------------------

HEADERS = {
    # "Authentication": the key as the user, any password, in Base64.
    "Authorization": f"Basic {b64encode(b'k3yk3y:X').decode()}",
    "Accept": "application/json",
    "User-Agent": "helpdesk-assets",
}

# "List all tickets": `updated_since` in UTC, `order_by` is created_at and `order_type` desc unless
# said otherwise, `per_page` is 30 unless said otherwise and 100 at most, `page` starts at 1.
LISTED = {
    "order_by": "updated_at",
    "order_type": "asc",
    "per_page": "100",
    "page": "1",
}


def test_requests_of_a_run(connect: Connect) -> None:
    """It starts a second before the window, in whole seconds."""
    since = datetime(2026, 11, 22, 10, 0, 5, 900, tzinfo=UTC)
    with loopback(answering([])) as server:
        helpdesk = connect(server.url)
        list(helpdesk.changes(since))
    asked = {"updated_since": "2026-11-22T10:00:04Z", **LISTED}
    assert sent_requests(server.seen) == [
        SentRequest("GET", TICKETS, {**asked, "filter": "deleted"}, HEADERS),
        SentRequest("GET", TICKETS, {**asked, "filter": "spam"}, HEADERS),
        SentRequest("GET", TICKETS, asked, HEADERS),
    ]


def test_requests_of_a_full_read(connect: Connect) -> None:
    """Without `updated_since`, the list has only tickets of the last 30 days."""
    with loopback(answering([])) as server:
        list(connect(server.url).listing())
    asked = {"updated_since": "2000-01-01T00:00:00Z", **LISTED}
    assert sent_requests(server.seen) == [
        SentRequest("GET", TICKETS, {**asked, "filter": "deleted"}, HEADERS),
        SentRequest("GET", TICKETS, {**asked, "filter": "spam"}, HEADERS),
        SentRequest("GET", TICKETS, asked, HEADERS),
    ]


def test_requests_of_an_inventory(connect: Connect) -> None:
    """Without includes, whatever the sync stores; and each list's end is read again."""
    with loopback(answering([])) as server:
        helpdesk = connect(server.url, freshdesk_include="stats,requester")
        assert [page.entries for page in helpdesk.inventory()] == 6 * [()]
    ever = {"updated_since": "2000-01-01T00:00:00Z", **LISTED}
    # The server's time is 10:00:00, and that second is not over.
    again = {"updated_since": "2026-11-23T09:59:58Z", **LISTED}
    assert sent_requests(server.seen) == [
        SentRequest("GET", TICKETS, {**asked, **kind}, HEADERS)
        for kind in ({}, {"filter": "deleted"}, {"filter": "spam"})
        for asked in (ever, again)
    ]


def test_requests_for_further_pages(connect: Connect) -> None:
    """Each page moves the lower bound; only within one second, it moves the page number."""
    later = [{**row, "updated_at": "2026-11-23T09:30:00Z"} for row in rows(2, 11)]

    def respond(seen: ReceivedRequest) -> CannedResponse:
        asked = sent_requests([seen])[0].params
        every = [] if "filter" in asked else [*rows(3), *later]
        listed = [row for row in every if row["updated_at"] >= asked["updated_since"]]
        first = 2 * (int(asked["page"]) - 1)
        return CannedResponse(json.dumps(listed[first : first + 2]).encode())

    with loopback(respond) as server:
        helpdesk = connect(server.url, helpdesk_page_size=2, helpdesk_concurrency=1)
        list(helpdesk.changes(None))
    assert [
        (one.params["updated_since"], one.params["page"])
        for one in sent_requests(server.seen)
        if "filter" not in one.params
    ] == [
        ("2000-01-01T00:00:00Z", "1"),
        # Page 1 is full of one second.
        ("2026-11-23T08:59:59Z", "1"),
        ("2026-11-23T08:59:59Z", "1"),
        ("2026-11-23T08:59:59Z", "2"),
        # Again, until two passes are equal.
        ("2026-11-23T08:59:59Z", "1"),
        ("2026-11-23T08:59:59Z", "2"),
        # After it: the answer shows that the bound is inclusive, so the window's start suffices.
        ("2026-11-23T09:00:00Z", "1"),
        ("2026-11-23T09:00:01Z", "1"),
        ("2026-11-23T09:00:01Z", "1"),
        ("2026-11-23T09:30:00Z", "1"),
        ("2026-11-23T09:30:00Z", "1"),
        ("2026-11-23T09:30:00Z", "2"),
        ("2026-11-23T09:30:00Z", "1"),
        ("2026-11-23T09:30:00Z", "2"),
        ("2026-11-23T09:30:01Z", "1"),
    ]


def test_further_page_repeats_the_same_query(connect: Connect) -> None:
    """Another thread may learn meanwhile that the bound is inclusive.

    With another bound, the page number would count from another row.
    """
    start, end = datetime(2026, 11, 23, 9, tzinfo=UTC), START
    with loopback(answering([ROW])) as server:
        helpdesk = connect(server.url, helpdesk_page_size=1)
        tickets = helpdesk._complete_list(None)
        token = helpdesk._fetch(tickets, start, end, None).next_token
        helpdesk._fetch(tickets, start + timedelta(seconds=1), end, None)
        helpdesk._fetch(tickets, start, end, token)
        helpdesk._fetch(tickets, start, end, None)
    asked = [
        (one.params["updated_since"][-9:], one.params["page"]) for one in sent_requests(server.seen)
    ]
    assert asked == [("08:59:59Z", "1"), ("09:00:00Z", "1"), ("08:59:59Z", "2"), ("09:00:00Z", "1")]


def test_requests_with_includes(connect: Connect) -> None:
    """As in "Embedding": names separated by commas.

    Of the list: description, requester and stats. Of the single ticket: not the description, which
    it always has.
    """
    with loopback(answering([])) as server:
        helpdesk = connect(
            server.url,
            freshdesk_include="stats,description,requester,stats",
        )
        *_, _last = helpdesk.changes(START)
    include = {"include": "stats,description,requester"}
    assert [one.params.get("include") for one in sent_requests(server.seen)] == [
        include["include"]
    ] * 3


@pytest.mark.parametrize(
    ("include", "params"),
    [("", {}), ("description", {}), ("description,stats", {"include": "stats"})],
)
def test_request_for_one_ticket(connect: Connect, include: str, params: dict[str, str]) -> None:
    with loopback(answering(ROW)) as server:
        helpdesk = connect(server.url, freshdesk_include=include)
        helpdesk.ticket("7")
    assert sent_requests(server.seen) == [SentRequest("GET", f"{TICKETS}/7", params, HEADERS)]


def test_requests_with_details(connect: Connect) -> None:
    def respond(seen: ReceivedRequest) -> CannedResponse:
        asked = sent_requests([seen])[0]
        listed = [] if "filter" in asked.params else [ROW]
        return CannedResponse(json.dumps(ROW if asked.path.endswith("/7") else listed).encode())

    with loopback(respond) as server:
        helpdesk = connect(
            server.url,
            helpdesk_fetch_details=True,
            freshdesk_include="stats",
        )
        list(helpdesk.changes(None))
    asked = {"updated_since": "2000-01-01T00:00:00Z", **LISTED}
    include = {"include": "description,stats"}
    assert sent_requests(server.seen) == [
        SentRequest("GET", TICKETS, {**asked, "filter": "deleted", **include}, HEADERS),
        SentRequest("GET", TICKETS, {**asked, "filter": "spam", **include}, HEADERS),
        SentRequest("GET", TICKETS, asked, HEADERS),
        SentRequest("GET", f"{TICKETS}/7", {"include": "stats"}, HEADERS),
    ]
