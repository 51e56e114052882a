"""The Zoho Desk adapter's requests, byte for byte, beside what the vendor's pages say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from helpdesk_assets.model.tickets import InventoryEntry
from helpdesk_assets.providers.zoho_desk.search import TICK
from helpdesk_assets.providers.zoho_desk.tickets import MODIFIED
from helpdesk_assets_tests.providers.loopback import loopback
from helpdesk_assets_tests.providers.request_recorder import SentRequest
from helpdesk_assets_tests.providers.zoho_desk.canned import (
    BIN,
    BINNED,
    MODULE_ID,
    MODULES,
    NOTHING,
    ROW,
    SEARCH,
    START,
    TICKETS,
    UNPROCESSABLE,
    Connect,
    after_login,
    answering,
    cut,
    found,
    rows,
)

YEARS = (1000, 1899, 1969, 1970, 2026, 2099, 2100, 9999)
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
# "List deleted resources": limit is 50 at most by one revision, sortBy is in another.
BIN_REQUEST = SentRequest(
    "GET", BIN, {"from": "0", "limit": "50", "sortBy": "-deletedTime"}, HEADERS
)
# "Get modules": without parameters. Whatever it answers, the bin is asked for.
MODULES_REQUEST = SentRequest("GET", MODULES, {}, HEADERS)


def test_requests_of_a_run(connect: Connect) -> None:
    """It starts a tick before the window, and ends after any possible ticket."""
    since = datetime(2026, 11, 22, 10, 0, 5, 900_500, tzinfo=UTC)
    with loopback(answering()) as server:
        list(connect(server.url).changes(since))
    window = "2026-11-22T10:00:05.899Z,2099-12-31T23:59:59.999Z"
    assert after_login(server.seen) == [
        MODULES_REQUEST,
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
        None,
        "2026-11-23T09:59:59.999Z,2026-11-23T11:00:00.001Z",
    ]


def test_requests_of_the_listing(connect: Connect) -> None:
    with loopback(answering()) as server:
        list(connect(server.url).listing())
    ever = "1970-01-01T00:00:00.000Z,2099-12-31T23:59:59.999Z"
    assert after_login(server.seen) == [
        MODULES_REQUEST,
        BIN_REQUEST,
        SentRequest(
            "GET", SEARCH, {"createdTimeRange": ever, "sortBy": "createdTime", **SEARCHED}, HEADERS
        ),
    ]


def test_requests_of_an_inventory(connect: Connect) -> None:
    with loopback(answering()) as server:
        pages = list(connect(server.url).inventory())
    ever = "1970-01-01T00:00:00.000Z,2099-12-31T23:59:59.999Z"
    assert after_login(server.seen) == [
        SentRequest(
            "GET", SEARCH, {"createdTimeRange": ever, "sortBy": "createdTime", **SEARCHED}, HEADERS
        ),
        MODULES_REQUEST,
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
        ("00.000Z", "59.999Z", "0"),
        # Page 1 is full of one millisecond.
        ("00.122Z", "59.999Z", "0"),
        ("00.122Z", "00.125Z", "0"),
        ("00.122Z", "00.125Z", "2"),
        # Again, until two passes are equal.
        ("00.122Z", "00.125Z", "0"),
        ("00.122Z", "00.125Z", "2"),
        # After it: the answer shows that ranges are inclusive, so the window's start suffices.
        ("00.123Z", "59.999Z", "0"),
        ("00.124Z", "59.999Z", "0"),
        ("05.000Z", "59.999Z", "0"),
        ("05.000Z", "05.002Z", "0"),
        ("05.000Z", "05.002Z", "2"),
        ("05.000Z", "05.002Z", "0"),
        ("05.000Z", "05.002Z", "2"),
        ("05.001Z", "59.999Z", "0"),
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


def test_requests_for_the_bin_narrow_it_to_tickets(connect: Connect) -> None:
    """Refused parameters are left out one by one, and not sent for another page."""
    modules = found({"apiName": "tickets", "id": MODULE_ID})
    refusing: list[str] = []

    def bin_of(asked: SentRequest) -> Any:
        refused = [name for name in refusing if name in asked.params]
        return UNPROCESSABLE if refused else cut(asked, [{**BINNED, "id": "7"}])

    sent = []
    for name in ("", "sortBy", "moduleId"):
        refusing.append(name)
        with loopback(answering(bin=bin_of, modules=modules)) as server:
            list(connect(server.url).changes(None))
        asked = [one.params for one in after_login(server.seen) if one.path == BIN]
        sent.append([(one.get("sortBy"), one.get("moduleId"), one["from"]) for one in asked])
    order = "-deletedTime"
    assert sent == [
        [(order, MODULE_ID, "0"), (order, MODULE_ID, "0")],
        [(order, MODULE_ID, "0"), (None, MODULE_ID, "0"), (None, MODULE_ID, "0")],
        [
            (order, MODULE_ID, "0"),
            (None, MODULE_ID, "0"),
            (None, None, "0"),
            (None, None, "0"),
        ],
    ]


# The vendor's own pattern of a range (zoho/zohodesk-oas, v1.0/Search.json).
END = (
    r"((19|20)\d\d)[-/.](0?[1-9]|1[012])[-/.](0?[1-9]|[12][0-9]|3[01])T"
    r"([01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9]([/.]\d{0,3})?Z"
)
INDIA = timezone(timedelta(hours=5, minutes=30))


FIRST_DAYS = tuple(datetime(year, 1, 1, tzinfo=UTC) for year in YEARS)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (since, until)
        for since in (None, START.astimezone(INDIA), *FIRST_DAYS)
        for until in (None, START.astimezone(INDIA), *FIRST_DAYS)
        if since is None or until is None or since <= until
    ],
)
def test_every_range_fits_the_vendors_pattern(
    connect: Connect, since: datetime | None, until: datetime | None
) -> None:
    with loopback(answering()) as server:
        helpdesk = connect(server.url)
        list(helpdesk.changes(since, until))
        list(helpdesk.listing())
        list(helpdesk.inventory())
    ranges = [
        value
        for asked in after_login(server.seen)
        for name, value in asked.params.items()
        if name.endswith("Range")
    ]
    assert len(ranges) >= 3
    for each in ranges:
        assert re.fullmatch(f"{END},{END}", each), each
        low, _, high = each.partition(",")
        assert low <= high
