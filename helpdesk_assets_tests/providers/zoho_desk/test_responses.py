"""The Zoho Desk adapter's requests, and its results for given answers, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, TicketUnreadable
from helpdesk_assets.model.tickets import InventoryEntry, Ticket
from helpdesk_assets.providers.zoho_desk.adapter import ZohoDeskAdapter, from_settings
from helpdesk_assets.providers.zoho_desk.search import TICK
from helpdesk_assets.providers.zoho_desk.tickets import MODIFIED
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback
from helpdesk_assets_tests.providers.pages import newest
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TOKENS = "/oauth/v2/token"
SEARCH = "/api/v1/tickets/search"
TICKETS = "/api/v1/tickets"
BIN = "/api/v1/recycleBin"

ROW: dict[str, Any] = {
    "id": "1892000000042034",
    "subject": "s",
    "status": "Open",
    "priority": "High",
    "assigneeId": "1892000000056007",
    "createdTime": "2026-11-01T08:00:00.000Z",
    "modifiedTime": "2026-11-23T09:00:00.123Z",
}
BINNED = {
    "id": ROW["id"],
    "type": "Tickets",
    "displayName": "s",
    "deletedTime": "2026-11-23T09:30:00.000Z",
}
NOTHING = CannedResponse(b"", 204, {"Content-Length": None})

Connect = Callable[..., ZohoDeskAdapter]


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[ZohoDeskAdapter] = []

    def make(url: str, **more: Any) -> ZohoDeskAdapter:
        given = {
            "helpdesk_base_url": url,
            "zoho_accounts_url": url,
            "zoho_org_id": "6000",
            "zoho_client_id": "cl1ent",
            "zoho_client_secret": "s3cret",
            "zoho_refresh_token": "r3fresh",
            "helpdesk_token_cache": "off",
        }
        made.append(from_settings(Settings.model_validate({**given, **more})))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def answering(**by_name: Any) -> Callable[[ReceivedRequest], CannedResponse]:
    """A server whose `search`, `bin` and `ticket` are bodies, answers or functions of a request.

    The others find nothing.
    """

    def respond(seen: ReceivedRequest) -> CannedResponse:
        asked = sent_requests([seen])[0]
        if asked.path == TOKENS:
            return CannedResponse(b'{"access_token": "t0ken", "expires_in": 3600}')
        name = {SEARCH: "search", BIN: "bin"}.get(asked.path, "ticket")
        answer = by_name.get(name, NOTHING if name != "ticket" else CannedResponse(b"{}", 404))
        body = answer(asked) if callable(answer) else answer
        return (
            body if isinstance(body, CannedResponse) else CannedResponse(json.dumps(body).encode())
        )

    return respond


def found(*rows: Any, **more: Any) -> dict[str, Any]:
    return {"data": list(rows), "count": len(rows), **more}


def rows(count: int, first: int = 1) -> list[dict[str, Any]]:
    """Rows of one millisecond."""
    return [{**ROW, "id": str(number)} for number in range(first, first + count)]


def cut(asked: SentRequest, every: list[Any], **more: Any) -> Any:
    """Return the requested page; those beyond the end have no body."""
    first, size = int(asked.params["from"]), int(asked.params["limit"])
    here = every[first : first + size]
    return found(*here, count=len(every)) | more if here else NOTHING


def read(connect: Connect, ticket: dict[str, Any], **more: Any) -> Ticket:
    with loopback(answering(ticket=ticket)) as server:
        one = connect(server.url, **more).ticket(str(ROW["id"]))
    assert one is not None
    return one


@pytest.mark.parametrize("is_counted", [True, False])
def test_pages_within_one_moment(connect: Connect, is_counted: bool) -> None:
    """The count is that of all results, as documented, or that of the page's rows."""

    def search(asked: SentRequest) -> Any:
        low = asked.params["modifiedTimeRange"].partition(",")[0]
        every = [*rows(25), {**ROW, "id": "99", "modifiedTime": "2026-11-23T09:00:01.000Z"}]
        after = [row for row in every if row["modifiedTime"] >= low]
        return cut(asked, after, **({} if is_counted else {"count": 10}))

    with loopback(answering(search=search)) as server:
        helpdesk = connect(server.url, helpdesk_page_size=10, helpdesk_concurrency=1)
        got = newest(helpdesk.changes(None))
    assert got.keys() == {*map(str, range(1, 26)), "99"}


def test_short_page_is_not_the_last_while_more_are_counted(connect: Connect) -> None:
    pages = [rows(3), rows(10, 4)]

    def search(asked: SentRequest) -> Any:
        every = [row for page in pages for row in page]
        if asked.params["modifiedTimeRange"] >= "2026-11-23T09:00:00.124Z":
            return NOTHING
        first = int(asked.params["from"])
        return found(*every[first : first + 3], count=13) if first < 13 else NOTHING

    with loopback(answering(search=search)) as server:
        helpdesk = connect(server.url, helpdesk_page_size=10, helpdesk_concurrency=1)
        assert len(newest(helpdesk.changes(None))) == 13


@pytest.mark.parametrize(
    "body", [[], {"tickets": []}, {"errorCode": "x"}, {"data": None}, {"data": {}}, "x", None]
)
@pytest.mark.parametrize("name", ["search", "bin"])
def test_response_that_is_no_list_is_an_error(connect: Connect, name: str, body: Any) -> None:
    with (
        loopback(answering(**{name: body})) as server,
        pytest.raises(EndpointFailed, match='has no list "data"'),
    ):
        list(connect(server.url).changes(None))


def test_unsorted_search_is_an_error(connect: Connect) -> None:
    wrong = found(ROW, {**ROW, "id": "8", "modifiedTime": "2026-11-01T00:00:00.000Z"})
    with (
        loopback(answering(search=wrong)) as server,
        pytest.raises(EndpointFailed, match="does not keep to the window and the order"),
    ):
        list(connect(server.url).changes(None))


def test_search_ignoring_the_range_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering(search=found(ROW))) as server,
        pytest.raises(EndpointFailed, match="does not keep to the window and the order"),
    ):
        list(connect(server.url).changes(START))


def test_unknown_parameter_error_is_not_taken_for_the_cap(connect: Connect) -> None:
    said = {"errorCode": "UNPROCESSABLE_ENTITY", "message": "Extra query parameter"}
    with (
        loopback(answering(search=CannedResponse(json.dumps(said).encode(), 422))) as server,
        pytest.raises(EndpointFailed, match=r"answered 422.*UNPROCESSABLE_ENTITY"),
    ):
        list(connect(server.url).changes(None))


def test_wrong_ticket_in_the_response_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering(ticket=ROW)) as server,
        pytest.raises(EndpointFailed, match="answered with ticket 1892000000042034"),
    ):
        connect(server.url).ticket("8")


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23T09:00:00.123Z",
        "2026-11-23T14:30:00.123+05:30",
        1_795_424_400_123,
    ],
)
def test_times_as_text_and_as_numbers(connect: Connect, value: Any) -> None:
    ticket = read(connect, {**ROW, "modifiedTime": value})
    assert ticket.modified_time == datetime(2026, 11, 23, 9, 0, 0, 123_000, tzinfo=UTC)
    assert json.loads(ticket.raw_json)["modifiedTime"] == value


@pytest.mark.parametrize(
    "value", ["2026-11-23T09:00:00", "", True, 1.5e12, 10**30, "1795424400123", {}]
)
def test_invalid_time_is_an_error(connect: Connect, value: Any) -> None:
    with pytest.raises(TicketUnreadable, match="modifiedTime"):
        read(connect, {**ROW, "modifiedTime": value})


def test_ticket_without_created_time_is_read_but_not_listed(connect: Connect) -> None:
    row = {**ROW, "createdTime": None}
    with loopback(answering(search=found(row), ticket=row)) as server:
        helpdesk = connect(server.url)
        assert newest(helpdesk.changes(None)).keys() == {ROW["id"]}
        with pytest.raises(TicketUnreadable, match="1892000000042034: createdTime is absent"):
            list(helpdesk.listing())


@pytest.mark.parametrize(
    ("fields", "priority", "assignee"),
    [
        ({}, "High", "1892000000056007"),
        ({"priority": None, "assigneeId": None}, None, None),
        ({"priority": "-None-", "assigneeId": ""}, None, ""),
        ({"priority": "Sehr hoch"}, "Sehr hoch", "1892000000056007"),
    ],
)
def test_columns(
    connect: Connect, fields: dict[str, Any], priority: str | None, assignee: str | None
) -> None:
    ticket = read(connect, {**ROW, **fields})
    assert (ticket.priority, ticket.assignee) == (priority, assignee)
    assert (ticket.subject, ticket.status) == ("s", "Open")
    assert json.loads(ticket.raw_json) == {**ROW, **fields}


@pytest.mark.parametrize(
    ("fields", "is_gone"),
    [
        ({}, False),
        ({"isSpam": False, "isTrashed": False, "isDeleted": False}, False),
        ({"isSpam": True}, True),
        ({"isTrashed": True}, True),
        ({"isTrashed": False, "isDeleted": True}, True),
        ({"isArchived": True}, False),
    ],
)
def test_which_tickets_are_deleted(connect: Connect, fields: dict[str, Any], is_gone: bool) -> None:
    ticket = read(connect, {**ROW, **fields})
    assert ticket.deleted_time == (ticket.modified_time if is_gone else None)


def test_bad_tickets_are_named_when_skipped(connect: Connect) -> None:
    bad = {**ROW, "id": "7", "modifiedTime": "soon"}
    with loopback(answering(search=found(bad, ROW))) as server:
        helpdesk = connect(server.url, helpdesk_skip_bad_tickets=True)
        (page,) = helpdesk.changes(None)
    assert [one.ticket_id for one in page.tickets] == [ROW["id"]]
    assert [(one.ticket_id, one.field) for one in page.bad] == [("7", "modifiedTime")]


def test_secrets_are_masked_in_excerpts(connect: Connect) -> None:
    with (
        loopback(answering(search=CannedResponse(b"t0ken r3fresh s3cret 6000", 400))) as server,
        pytest.raises(EndpointFailed, match=r"answered 400: \*\*\* \*\*\* \*\*\* 6000"),
    ):
        list(connect(server.url).changes(None))


# --- the recycle bin ------------------------------------------------------------------------------


def trashed_ticket(connect: Connect, **answers: Any) -> Ticket:
    """Return what becomes of a ticket in the recycle bin, in a full read."""
    with loopback(answering(bin=found(BINNED), **answers)) as server:
        (ticket,) = newest(connect(server.url).changes(None)).values()
    return ticket


def test_trashed_ticket_is_whole_and_dated_by_the_bin(connect: Connect) -> None:
    ticket = trashed_ticket(connect, ticket={**ROW, "isTrashed": True})
    assert not ticket.tombstone
    assert ticket.deleted_time == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert ticket.modified_time < ticket.deleted_time


@pytest.mark.parametrize(
    "answer", [CannedResponse(b"{}", 404), CannedResponse(b'{"errorCode": "FORBIDDEN"}', 403)]
)
def test_unreadable_trashed_ticket_becomes_a_tombstone(
    connect: Connect, answer: CannedResponse
) -> None:
    ticket = trashed_ticket(connect, ticket=answer)
    assert ticket.tombstone
    assert json.loads(ticket.raw_json) == BINNED


def test_trashed_ticket_without_the_flag_becomes_a_tombstone(connect: Connect) -> None:
    """Equal to the stored version, it would leave the ticket live in the table."""
    ticket = trashed_ticket(connect, ticket=ROW)
    assert ticket.tombstone
    assert ticket.deleted_time == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def test_ticket_restored_during_the_read_is_live(connect: Connect) -> None:
    ticket = trashed_ticket(connect, ticket={**ROW, "isTrashed": False})
    assert (ticket.tombstone, ticket.deleted_time) == (False, None)


@pytest.mark.parametrize("kind", ["Contacts", "Calls", None, 5])
def test_other_objects_in_the_bin_are_skipped(connect: Connect, kind: Any) -> None:
    with loopback(answering(bin=found({**BINNED, "type": kind}))) as server:
        assert newest(connect(server.url).changes(None)) == {}


@pytest.mark.parametrize("at", [None, "yesterday", True])
def test_bin_row_without_a_time_is_an_error(connect: Connect, at: Any) -> None:
    with (
        loopback(answering(bin=found({**BINNED, "deletedTime": at}))) as server,
        pytest.raises(EndpointFailed, match="Ticket 1892000000042034 in the recycle bin has no"),
    ):
        list(connect(server.url).changes(None))


@pytest.mark.parametrize("row", [{"type": "Tickets"}, {**BINNED, "id": 7}, "7", None])
def test_bin_row_without_an_id_is_an_error(connect: Connect, row: Any) -> None:
    with (
        loopback(answering(bin=found(row))) as server,
        pytest.raises(EndpointFailed, match="A row of GET /recycleBin has no id"),
    ):
        list(connect(server.url).changes(None))


def binned(*numbers: int) -> list[dict[str, Any]]:
    return [{**BINNED, "id": str(number)} for number in numbers]


class Bin:
    """A recycle bin whose rows differ from call to call; the last answer repeats."""

    def __init__(self, *states: list[dict[str, Any]]) -> None:
        self.states = list(states)

    def __call__(self, asked: SentRequest) -> Any:
        now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return cut(asked, now)


EVERY = range(120)


@pytest.mark.parametrize(
    ("states", "calls"),
    [
        # Without changes: 50, 49 more, 21 more, and nothing behind them.
        ([binned(*EVERY)], 4),
        # One is restored between the first two pages, so the rest shifts: read again.
        ([binned(*EVERY), binned(*EVERY[1:])], 6),
        # The row that both pages contain.
        ([binned(*EVERY), binned(*EVERY[:49], *EVERY[50:])], 6),
        # Some are deleted meanwhile, in front: rows already read appear again.
        ([binned(*EVERY), binned(*range(900, 905), *EVERY)], 4),
        # So many that the second page contains nothing new.
        ([binned(*EVERY), binned(*range(900, 949), *EVERY)], 5),
        # All rows disappear.
        ([binned(*EVERY), []], 3),
    ],
)
def test_bin_changing_while_paging_hides_nothing(
    connect: Connect, states: list[list[dict[str, Any]]], calls: int
) -> None:
    with loopback(answering(bin=Bin(*states))) as server:
        got = newest(connect(server.url).changes(None))
    asked = [one for one in sent_requests(server.seen) if one.path == BIN]
    assert got.keys() >= {row["id"] for row in states[-1]} - set(map(str, range(900, 949)))
    assert len(asked) == calls


def test_constantly_changing_bin_is_an_error(connect: Connect) -> None:
    states = [binned(*range(first, first + 60)) for first in range(0, 6000, 60)]
    with (
        loopback(answering(bin=Bin(*states))) as server,
        pytest.raises(EndpointFailed, match="lost rows during each of 10 passes"),
    ):
        list(connect(server.url).changes(None))


def test_bin_offset_starting_at_1_hides_nothing(connect: Connect) -> None:
    """Users report this of another list of Zoho's: 0 may then mean the same as 1."""

    def bin_from_1(asked: SentRequest) -> Any:
        first = max(int(asked.params["from"]), 1) - 1
        here = binned(*EVERY)[first : first + 50]
        return found(*here) if here else NOTHING

    with loopback(answering(bin=bin_from_1)) as server:
        assert len(newest(connect(server.url).changes(None))) == len(EVERY)


# --- what is sent, beside what the vendor's pages say ---------------------------------------------

HEADERS = {
    # "Authentication": Zoho-oauthtoken and not Bearer, and the organisation.
    "Authorization": "Zoho-oauthtoken t0ken",
    "orgId": "6000",
    "Accept": "application/json",
    "User-Agent": "helpdesk-assets",
}

# "Search Tickets": ranges are two times in UTC with a Z, sortBy is relevance unless said otherwise,
# limit is 10 unless said otherwise and 100 at most, from starts at 0. Others are a 422.
SEARCHED = {"limit": "100", "from": "0"}
# "List deleted entities": limit is 50 at most.
BIN_REQUEST = SentRequest("GET", BIN, {"from": "0", "limit": "50"}, HEADERS)


def after_login(seen: list[ReceivedRequest]) -> list[SentRequest]:
    """Return the requests after the token request, which has its own test."""
    login, *others = sent_requests(seen)
    assert login.path == TOKENS
    return others


def test_requests_of_a_run(connect: Connect) -> None:
    """It starts a tick before the window, and ends after any possible ticket."""
    since = datetime(2026, 11, 22, 10, 0, 5, 900_500, tzinfo=UTC)
    with loopback(answering()) as server:
        list(connect(server.url).changes(since))
    window = "2026-11-22T10:00:05.899Z,2100-01-01T00:00:00.001Z"
    assert after_login(server.seen) == [
        BIN_REQUEST,
        SentRequest(
            "GET",
            SEARCH,
            {"modifiedTimeRange": window, "sortBy": "modifiedTime", **SEARCHED},
            HEADERS,
        ),
    ]


def test_requests_of_a_closed_window(connect: Connect) -> None:
    with loopback(answering()) as server:
        list(connect(server.url).changes(START, START + timedelta(hours=1)))
    assert [one.params.get("modifiedTimeRange") for one in after_login(server.seen)] == [
        None,
        "2026-11-23T09:59:59.999Z,2026-11-23T11:00:00.001Z",
    ]


def test_requests_of_the_listing(connect: Connect) -> None:
    with loopback(answering()) as server:
        list(connect(server.url).listing())
    ever = "1970-01-01T00:00:00.000Z,2100-01-01T00:00:00.001Z"
    assert after_login(server.seen) == [
        BIN_REQUEST,
        SentRequest(
            "GET", SEARCH, {"createdTimeRange": ever, "sortBy": "createdTime", **SEARCHED}, HEADERS
        ),
    ]


def test_requests_of_an_inventory(connect: Connect) -> None:
    with loopback(answering()) as server:
        pages = list(connect(server.url).inventory())
    ever = "1970-01-01T00:00:00.000Z,2100-01-01T00:00:00.001Z"
    assert after_login(server.seen) == [
        SentRequest(
            "GET", SEARCH, {"createdTimeRange": ever, "sortBy": "createdTime", **SEARCHED}, HEADERS
        ),
        BIN_REQUEST,
    ]
    assert [(page.entries, page.total) for page in pages] == [((), 0), ((), 0)]


def test_inventory_entries(connect: Connect) -> None:
    """A ticket in the bin was deleted after all changes of the second that the bin shows."""
    spam = {**ROW, "id": "2", "isSpam": True}
    at = {"modifiedTime": "2026-11-23T09:30:00.700Z"}
    bin_once = {"0": {"data": [BINNED]}}
    with loopback(
        answering(
            search=found({**ROW, **at}, spam, count=2),
            bin=lambda asked: bin_once.get(asked.params["from"], NOTHING),
        )
    ) as server:
        pages = list(connect(server.url).inventory())
    listed, *binned = [line for page in pages for line in page.entries if line.ticket_id != "2"]
    assert listed == InventoryEntry(ROW["id"], datetime.fromisoformat(at["modifiedTime"]))
    assert [line.gone for line in binned] == [True]
    assert binned[0].modified_time > listed.modified_time
    assert [line.gone for page in pages for line in page.entries if line.ticket_id == "2"] == [True]
    assert {page.total for page in pages} == {2}


def test_requests_for_further_pages(connect: Connect) -> None:
    """Each page moves the start; only within one millisecond, it moves `from`."""
    later = [{**row, "modifiedTime": "2026-11-23T09:00:05.000Z"} for row in rows(2, 11)]

    def search(asked: SentRequest) -> Any:
        low = asked.params["modifiedTimeRange"].partition(",")[0]
        return cut(asked, [row for row in [*rows(3), *later] if row["modifiedTime"] >= low])

    with loopback(answering(search=search)) as server:
        list(connect(server.url, helpdesk_page_size=2, helpdesk_concurrency=1).changes(None))
    asked = [
        (*(end[17:] for end in one.params["modifiedTimeRange"].split(",")), one.params["from"])
        for one in after_login(server.seen)
        if one.path == SEARCH
    ]
    assert asked == [
        ("00.000Z", "00.001Z", "0"),
        # Page 1 is full of one millisecond.
        ("00.122Z", "00.001Z", "0"),
        ("00.122Z", "00.125Z", "0"),
        ("00.122Z", "00.125Z", "2"),
        # Again, until two passes are equal.
        ("00.122Z", "00.125Z", "0"),
        ("00.122Z", "00.125Z", "2"),
        # After it: the answer shows that ranges are inclusive, so the window's start suffices.
        ("00.123Z", "00.001Z", "0"),
        ("00.124Z", "00.001Z", "0"),
        ("05.000Z", "00.001Z", "0"),
        ("05.000Z", "05.002Z", "0"),
        ("05.000Z", "05.002Z", "2"),
        ("05.000Z", "05.002Z", "0"),
        ("05.000Z", "05.002Z", "2"),
        ("05.001Z", "00.001Z", "0"),
    ]


def test_further_page_repeats_the_same_query(connect: Connect) -> None:
    """Another thread may learn meanwhile that ranges are inclusive.

    With another start, `from` would count from another row.
    """
    start = datetime(2026, 11, 23, 9, 0, 0, 123_000, tzinfo=UTC)
    with loopback(answering(search=found(ROW))) as server:
        helpdesk = connect(server.url, helpdesk_page_size=1)
        fetch = partial(helpdesk._search.page, MODIFIED, helpdesk._reader)
        token = fetch(start, START, None).next_token
        fetch(start + TICK, START, None)
        fetch(start, START, token)
    asked = [
        (one.params["modifiedTimeRange"][19:23], one.params["from"])
        for one in after_login(server.seen)
    ]
    assert asked == [(".122", "0"), (".123", "0"), (".124", "0"), (".122", "1")]


def test_request_for_one_ticket(connect: Connect) -> None:
    with loopback(answering(ticket=ROW)) as server:
        connect(server.url).ticket(str(ROW["id"]))
    include = {"include": "contacts,departments,assignee"}
    assert after_login(server.seen) == [
        SentRequest("GET", f"{TICKETS}/{ROW['id']}", include, HEADERS)
    ]
