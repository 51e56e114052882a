"""What is Request Tracker's own, against the simulated helpdesk that speaks its dialect."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    SettingsError,
    TicketUnreadable,
    WindowTooDense,
)
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import InventoryLine
from helpdesk_assets.providers.client.connection import World
from helpdesk_assets.providers.request_tracker.adapter import RequestTracker, from_settings, looks
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import DATE, Said, Seen, loopback
from helpdesk_assets_tests.providers.pages import contents, newest

# In the night after which New York's clocks were set back.
START = datetime(2026, 11, 1, 5, 40, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
TICKETS = 130

Connect = Callable[..., RequestTracker]


@pytest.fixture
def desk() -> Iterator[SimulatedHelpdesk]:
    """Its clock has moved on, so what a test changes is later than all before."""
    with SimulatedHelpdesk(
        tickets=TICKETS, start=START, frozen=True, dialect="request_tracker"
    ) as desk:
        desk.advance(1200)
        yield desk


@pytest.fixture
def connect(desk: SimulatedHelpdesk) -> Iterator[Connect]:
    made: list[RequestTracker] = []

    def sleep(seconds: float) -> None:
        desk.advance(seconds)

    def make(**more: Any) -> RequestTracker:
        given = {
            "helpdesk_base_url": desk.base_url,
            "helpdesk_user": "sync",
            "helpdesk_api_token": desk.token,
        }
        settings = Settings.model_validate({**given, **more})
        made.append(from_settings(settings, World(sleep=sleep, chance=lambda: 0.0)))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def truth(desk: SimulatedHelpdesk) -> dict[str, Any]:
    """What is stored of each living or deleted ticket; merged ones are told of by a notice."""
    every = desk.truth(whole=True, gone=True)
    return {each.ticket_id: each.whole for each in every if each.end != "merged"}


@pytest.mark.parametrize("user", ["sync", "sync-new-york", "sync-kolkata"])
def test_everything_from_the_beginning(
    desk: SimulatedHelpdesk, connect: Connect, user: str
) -> None:
    got = newest(connect(helpdesk_user=user).changes(None))
    merged = {name for name, ticket in got.items() if ticket.tombstone}
    assert {k: v for k, v in contents(got).items() if k not in merged} == truth(desk)


@pytest.mark.parametrize("user", ["sync", "sync-new-york", "sync-kolkata"])
def test_what_has_changed_in_the_users_local_time(
    desk: SimulatedHelpdesk, connect: Connect, user: str
) -> None:
    """Read in another zone, the window would miss by hours, on either side."""
    helpdesk = connect(helpdesk_user=user)
    for _ in range(8):  # through the hour that comes twice, and beyond
        since = desk.clock().now
        changed = desk.change(5, spread_seconds=300)
        desk.advance(600)
        until = changed[-1].modified_time
        expected = {each.ticket_id: each.modified_time for each in changed}
        for end in (None, until):
            got = newest(helpdesk.changes(since, end))
            assert {name: each.modified_time for name, each in got.items()} == expected


def test_three_calls_when_nothing_changed(desk: SimulatedHelpdesk, connect: Connect) -> None:
    now = desk.clock().now
    pages = list(connect().changes(now - 5 * SECOND))
    assert not newest(pages)
    assert {page.until for page in pages} == {now - SECOND}
    counters = desk.counters()
    assert [counters.of(name) for name in ("login", "gone", "search")] == [1, 1, 1]


def test_normalised_columns(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = desk.clock().now
    fields = {
        "Subject": "Größe",
        "Status": "stalled",
        "Priority": "70",
        "Owner": {"id": "ann", "type": "user"},
    }
    made = desk.create(1, fields=fields)[0]
    unowned = desk.create(1, fields={"Owner": {"id": "Nobody", "type": "user"}})[0]
    got = newest(connect().changes(since))
    ticket = got[made.ticket_id]
    assert (ticket.subject, ticket.status, ticket.priority) == ("Größe", "stalled", "70")
    assert ticket.assignee == "ann"
    assert got[unowned.ticket_id].assignee is None
    assert (ticket.created_time, ticket.modified_time) == (made.created_time, made.modified_time)
    assert ticket.deleted_time is None


def test_deleted_tickets_come_whole(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = desk.clock().now
    gone = desk.delete(3)
    desk.advance(60)
    spam = desk.mark_spam(1)
    got = newest(connect().changes(since))
    assert got.keys() == {*gone, *spam}
    assert contents(got) == {name: truth(desk)[name] for name in got}
    assert {got[name].deleted_time for name in gone} == {since}
    assert all(each.status == "deleted" and not each.tombstone for each in got.values())


def test_a_deleted_ticket_that_changes_once_more(connect: Connect) -> None:
    """When it was deleted stays when that was; a search by its own time still finds it."""
    deletion = notice("91", "7", Created="2026-11-23T08:00:00Z")
    single = {"id": 7, "Status": "deleted", "LastUpdated": "2026-11-23T09:00:00Z", "Type": "ticket"}
    with answering(transactions=[deletion], tickets=[], single=single) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        ticket = newest(helpdesk.changes(datetime(2026, 11, 23, 8, 30, tzinfo=UTC)))["7"]
    assert ticket.modified_time == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert ticket.deleted_time == datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_a_ticket_that_is_back_is_left_to_the_search(connect: Connect) -> None:
    single = {"id": 7, "Status": "open", "LastUpdated": "2026-11-23T09:00:00Z", "Type": "ticket"}
    row = {**single, "id": "7"}
    with answering(transactions=[notice("91", "7")], tickets=[row], single=single) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        tickets = [row for page in helpdesk.changes(None) for row in page.tickets]
    assert [(each.ticket_id, each.deleted_time) for each in tickets] == [("7", None)]


def test_merged_tickets_leave_a_notice(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = desk.clock().now
    into, *merged = [each.ticket_id for each in desk.change(3)]
    desk.merge(merged, into)
    got = newest(connect().changes(since))
    assert got.keys() == {into, *merged}
    assert not got[into].tombstone
    for name in merged:
        assert got[name].tombstone
        assert got[name].modified_time == got[name].deleted_time == since
        assert json.loads(got[name].raw_json)["NewValue"].endswith(f"/ticket/{into}")


def test_more_gone_tickets_than_a_page_of_transactions_has(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    """RT neither counts them for this user nor names a next page."""
    made = [each.ticket_id for each in desk.create(210)]
    desk.delete(ids=made)
    desk.advance(60)
    helpdesk = connect(helpdesk_concurrency=4)
    got = newest(helpdesk.changes(desk.clock().now - HOUR))
    assert set(made) <= got.keys()
    assert desk.counters().of("gone") >= 3


def test_what_goes_while_the_rest_is_read_is_the_next_windows(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    """The window ends when the search for gone tickets began, however long that took."""
    pages = connect().changes(desk.clock().now - HOUR)
    opened = desk.clock().now
    next(pages)
    desk.advance(3000)
    gone = desk.delete(1)
    assert {page.until for page in pages} == {opened - SECOND}
    desk.advance(60)
    assert gone[0] in newest(connect().changes(opened - SECOND))


def test_without_the_right_to_search_transactions(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    row = {"id": "7", "Status": "open", "LastUpdated": "2026-11-23T09:00:00Z"}
    with (
        answering(transactions=403, tickets=[row]) as server,
        caplog.at_level(logging.WARNING),
    ):
        got = newest(connect(helpdesk_base_url=server.url).changes(None))
    assert list(got) == ["7"]
    assert "deleted and merged tickets stay" in caplog.text


def test_other_transactions_than_asked_for_are_an_error(connect: Connect) -> None:
    """Before RT 5 the query is not heeded, and all there are would come."""
    created = notice("1", "7", Type="Create", Field="", NewValue="")
    with (
        answering(transactions=[created], tickets=[]) as server,
        pytest.raises(EndpointFailed, match="needs Request Tracker 5"),
    ):
        list(connect(helpdesk_base_url=server.url).changes(None))


def test_the_listing_goes_by_id(desk: SimulatedHelpdesk, connect: Connect) -> None:
    """Changes while it is paged move no ticket out of its sight, so it may move the watermark."""
    desk.fault("changes_while_paging", on="search", changes=9, advance_seconds=18.0)
    helpdesk = connect(helpdesk_page_size=10)
    opened = desk.clock().now
    pages = list(helpdesk.listing())
    living = {each.ticket_id for each in desk.truth()}
    assert living <= newest(pages).keys()
    assert helpdesk.capabilities.listing_is_stable
    assert {page.until for page in pages} == {opened - SECOND}


def test_rows_that_rt_counts_and_does_not_give(desk: SimulatedHelpdesk, connect: Connect) -> None:
    desk.fault("page_cut_short", on="search", count=2, keep=3)
    helpdesk = connect()
    got = newest(helpdesk.changes(None))
    assert {each.ticket_id for each in desk.truth()} <= got.keys()
    assert helpdesk.use.retries == 2


def test_a_list_that_rt_cannot_count_is_refused(connect: Connect) -> None:
    """Rows are hidden after the search there, so a short page is no end and has no next one."""
    with (
        answering(transactions=[], tickets=[], total=None) as server,
        pytest.raises(EndpointFailed, match=r"cannot be known.*ShowTicket"),
    ):
        list(connect(helpdesk_base_url=server.url).changes(None))


def test_a_cap_of_the_users_own(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = desk.clock().now
    desk.change(45, same_second=True)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_result_cap=30)
    with pytest.raises(WindowTooDense, match=rf"More than 30 .* {since:%Y-%m-%dT%H:%M:%S}.*Raise"):
        list(helpdesk.changes(since))


def test_one_ticket(desk: SimulatedHelpdesk, connect: Connect) -> None:
    """In the one form that lists have, whatever has become of it."""
    since = desk.clock().now
    living, into, deleted, merged = [each.ticket_id for each in desk.change(4)]
    desk.delete(ids=[deleted])
    desk.merge([merged], into)
    helpdesk = connect()
    got = newest(helpdesk.changes(since))
    for name in (living, into, deleted, merged):
        assert helpdesk.ticket(name) == got[name]
    for name in ("1", "no such/../ticket?", "", "²"):
        assert helpdesk.ticket(name) is None


def test_one_ticket_that_cannot_be_read(desk: SimulatedHelpdesk, connect: Connect) -> None:
    made = desk.create(1)[0].ticket_id
    desk.fault("bad_ticket", kind="bad_time")
    with pytest.raises(TicketUnreadable, match="LastUpdated"):
        connect(helpdesk_skip_bad_tickets=True).ticket(made)


def test_the_zone_of_a_users_token(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = desk.clock().now
    changed = desk.change(3)
    helpdesk = connect(helpdesk_user="", helpdesk_api_token=f"1-62-{desk.token}")
    assert newest(helpdesk.changes(since)).keys() == {each.ticket_id for each in changed}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"helpdesk_user": "sync-zoneless"}, "no time zone of its own.*HELPDESK_TIME_ZONE"),
        ({"helpdesk_time_zone": "Europe/Nowhere"}, "'Europe/Nowhere', and no such time zone"),
        ({"helpdesk_time_zone": "Europe/London"}, "but RT reads .* in another zone"),
    ],
)
def test_a_zone_that_cannot_be_known_or_is_wrong(
    desk: SimulatedHelpdesk, connect: Connect, settings: dict[str, str], said: str
) -> None:
    """Nothing is read: by the wrong clock, tickets would be left out in silence."""
    wrong = {"helpdesk_user": "sync-kolkata", **settings}
    with pytest.raises(SettingsError, match=said):
        list(connect(**wrong).changes(desk.clock().now - HOUR))
    assert desk.counters().of("gone") == 0


def test_a_zone_of_the_settings_is_tried(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = desk.clock().now
    changed = desk.change(3)
    for user, zone in (("sync-zoneless", "Europe/Berlin"), ("sync-kolkata", "Asia/Kolkata")):
        helpdesk = connect(helpdesk_user=user, helpdesk_time_zone=zone)
        assert newest(helpdesk.changes(since)).keys() == {each.ticket_id for each in changed}
    assert desk.counters().of("login") == 0


def test_a_token_that_names_no_user(connect: Connect) -> None:
    with pytest.raises(SettingsError, match="does not name its user"):
        list(connect(helpdesk_user="", helpdesk_api_token="abc").changes(None))


def test_an_address_with_the_path_of_the_api(connect: Connect) -> None:
    with pytest.raises(SettingsError, match=r"ends with /REST/2\.0\. Leave that"):
        connect(helpdesk_base_url="https://rt.example.com/REST/2.0/")


def test_refused_credentials(desk: SimulatedHelpdesk, connect: Connect) -> None:
    with pytest.raises(CredentialsRefused, match=r"401.*HELPDESK_API_TOKEN"):
        list(connect(helpdesk_api_token="wrong").changes(None))
    assert desk.counters().total == 1


def told(**settings: Any) -> dict[str, str]:
    given = {"helpdesk_base_url": "https://rt.example.com", "helpdesk_api_token": "secret-word"}
    made = Settings.model_validate({**given, **settings})
    return {name: look() for name, look in looks(made).items()}


def test_what_the_doctor_says() -> None:
    assert told(helpdesk_user="ann", helpdesk_page_size=500) == {
        "helpdesk_user": "ann",
        "helpdesk_api_token": "set (not shown), the password of HELPDESK_USER",
        "helpdesk_page_size": "100",
        "helpdesk_time_zone": "empty: the API user's in RT",
    }
    token = "1-14-0123456789abcdef0123456789abcdef"
    said = told(helpdesk_api_token=token, helpdesk_time_zone="Asia/Kolkata")
    assert said["helpdesk_api_token"] == "set (not shown), the auth token of user 14"
    assert said["helpdesk_user"] == "empty: the token is an auth token"
    assert said["helpdesk_time_zone"] == "Asia/Kolkata"
    with pytest.raises(SettingsError, match="does not name its user"):
        told()
    with pytest.raises(SettingsError, match="HELPDESK_TIME_ZONE is 'x'"):
        told(helpdesk_user="ann", helpdesk_time_zone="x")
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN is empty"):
        told(helpdesk_api_token="")


def notice(number: str, ticket_id: str, **fields: str) -> dict[str, str]:
    usual = {
        "id": number,
        "ObjectType": "RT::Ticket",
        "ObjectId": ticket_id,
        "Type": "Status",
        "Field": "Status",
        "NewValue": "deleted",
        "Created": "2026-11-23T08:00:00Z",
    }
    return {**usual, **fields}


def answering(
    *,
    transactions: list[dict[str, str]] | int,
    tickets: list[dict[str, Any]],
    single: dict[str, Any] | None = None,
    total: int | None = 1,
    zone: str = "America/New_York",
) -> Any:
    """A server that says these things and no others."""

    def page(rows: list[Any], count: int | None) -> Said:
        body = {"items": rows, "count": len(rows), "total": count, "page": 1, "per_page": 100}
        return Said(json.dumps(body).encode())

    def respond(seen: Seen) -> Said:
        path = urlsplit(seen.path).path
        if path.startswith("/REST/2.0/user/"):
            return Said(json.dumps({"Name": "sync", "Timezone": zone}).encode())
        if path == "/REST/2.0/transactions":
            if isinstance(transactions, int):
                return Said(b'{"message":"Forbidden"}', status=transactions)
            return page(transactions, None)
        if path == "/REST/2.0/tickets":
            return page(tickets, None if total is None else len(tickets))
        return Said(json.dumps(single).encode())

    return loopback(respond)


FIELDS = (
    "Subject,Status,Priority,InitialPriority,FinalPriority,Type,SLA,"
    "Queue,Owner,Requestor,Cc,AdminCc,Creator,LastUpdatedBy,"
    "Created,LastUpdated,Started,Starts,Due,Resolved,Told,"
    "TimeEstimated,TimeWorked,TimeLeft,CustomFields,CustomRoles"
)
# For a user of New York, in winter five hours behind UTC. Repeated parameters are sent twice: the
# columns to order by, and the way of each.
CHANGED = [
    (
        "query",
        "LastUpdated >= '2026-11-23 03:30:00' AND LastUpdated <= '2026-11-23 04:59:59'",
    ),
    ("orderby", "LastUpdated"),
    ("orderby", "id"),
    ("order", "ASC"),
    ("order", "ASC"),
    ("per_page", "100"),
    ("page", "1"),
    ("fields", FIELDS),
    ("fields[Queue]", "Name"),
]
LISTED = [
    ("query", "id > 0"),
    ("orderby", "id"),
    ("order", "ASC"),
    *CHANGED[5:],
]
OF_TICKETS = "ObjectType = 'RT::Ticket' AND TicketType = 'ticket'"
DELETION = "TicketStatus = 'deleted' AND Type = 'Status' AND NewValue = 'deleted'"
MERGE = "Type = 'AddLink' AND Field = 'MergedInto'"
CREATED = "Created >= '2026-11-23 03:30:00' AND Created <= '2026-11-23 04:59:59'"
# What became of a transaction's ticket is compared in UTC.
UPDATED = (
    "TicketLastUpdated >= '2026-11-23 08:30:00' AND TicketLastUpdated <= '2026-11-23 09:59:59'"
)


def gone(query: str) -> list[tuple[str, str]]:
    return [
        ("query", f"{OF_TICKETS} AND {query} AND id > 0"),
        ("orderby", "id"),
        ("order", "ASC"),
        ("per_page", "100"),
        ("fields", "ObjectType,ObjectId,Type,Field,OldValue,NewValue,Created,Creator"),
    ]


SENT: dict[str, list[tuple[str, list[tuple[str, str]]]]] = {
    "changes": [
        ("/user/sync", []),
        (
            "/transactions",
            gone(f"(({DELETION} AND (({CREATED}) OR ({UPDATED}))) OR ({MERGE} AND {CREATED}))"),
        ),
        ("/ticket/8", [("fields[Queue]", "Name")]),
        ("/tickets", CHANGED),
    ],
    "listing": [
        ("/user/sync", []),
        ("/transactions", gone(f"(({DELETION}) OR ({MERGE}))")),
        ("/ticket/8", [("fields[Queue]", "Name")]),
        ("/tickets", LISTED),
    ],
    # One field, no name of the queue, no zone where no time is asked for, and no ticket by its id.
    "inventory": [
        ("/tickets", [*LISTED[:-2], ("fields", "LastUpdated")]),
        ("/transactions", gone(f"(({DELETION}) OR ({MERGE}))")),
    ],
    "ticket": [
        ("/tickets", [("query", "id = 7"), *LISTED[1:]]),
        ("/ticket/7", [("fields[Queue]", "Name")]),
        ("/transactions", gone(f"{MERGE} AND ObjectId = 7")),
    ],
}
KINDS: dict[str, Callable[[RequestTracker], object]] = {
    "changes": lambda helpdesk: list(
        helpdesk.changes(
            datetime(2026, 11, 23, 8, 30, tzinfo=UTC), datetime(2026, 11, 23, 9, 59, 59, tzinfo=UTC)
        )
    ),
    "listing": lambda helpdesk: list(helpdesk.listing()),
    "inventory": lambda helpdesk: list(helpdesk.inventory()),
    "ticket": lambda helpdesk: helpdesk.ticket("7"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("login", ["basic", "token"])
def test_what_is_sent(connect: Connect, kind: str, login: str) -> None:
    """Each kind of request, parameter by parameter, as RT's REST 2 documentation has them."""
    single = {"id": 9, "Status": "open", "LastUpdated": "2026-11-23T09:00:00Z"}
    merge = notice("5", "8", Type="AddLink", Field="MergedInto", NewValue="x://y/ticket/9")
    token = "1-61-0123456789abcdef"
    settings = {"helpdesk_api_token": token, "helpdesk_user": "" if login == "token" else "sync"}
    header = f"token {token}"
    if login == "basic":
        header = f"Basic {b64encode(f'sync:{token}'.encode()).decode()}"
    with answering(transactions=[merge], tickets=[], single=single) as server:
        KINDS[kind](connect(helpdesk_base_url=server.url, **settings))
    user = "/user/61" if login == "token" else "/user/sync"
    expected = [
        (f"/REST/2.0{user if path.startswith('/user/') else path}", params)
        for path, params in SENT[kind]
    ]
    seen = [urlsplit(one.path) for one in server.seen]
    assert [(one.path, parse_qsl(one.query)) for one in seen] == expected
    for one in server.seen:
        assert one.method == "GET"
        assert one.headers["Authorization"] == header
        assert one.headers["Accept"] == "application/json"


def test_the_lines_of_an_inventory(connect: Connect) -> None:
    row = {"id": "7", "LastUpdated": "2026-11-23T09:00:00Z"}
    merge = notice("5", "9", Type="AddLink", Field="MergedInto", NewValue="x://y/ticket/7")
    into = {**merge, "id": "6", "ObjectId": "7"}
    with answering(transactions=[notice("4", "8"), merge, into], tickets=[row]) as server:
        pages = list(connect(helpdesk_base_url=server.url).inventory())
    eight, nine = datetime(2026, 11, 23, 8, tzinfo=UTC), datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert [line for page in pages for line in page.lines] == [
        InventoryLine("7", nine),
        InventoryLine("8", eight, gone=True),
        InventoryLine("9", eight, gone=True),
    ]
    assert {page.total for page in pages} == {1}


@pytest.mark.parametrize("at", ["yesterday", None])
def test_a_transaction_without_a_time_ends_an_inventory(connect: Connect, at: Any) -> None:
    untimed = {**notice("4", "8"), "Created": at}
    with (
        answering(transactions=[untimed], tickets=[]) as server,
        pytest.raises(EndpointFailed, match="Created of '4' is no time"),
    ):
        list(connect(helpdesk_base_url=server.url).inventory())


def test_a_list_by_id_that_does_not_move_on_is_an_error(connect: Connect) -> None:
    row = {"id": "7", "LastUpdated": "2026-11-23T09:00:00Z"}
    body = {"items": [row], "total": 1, "per_page": 1, "page": 1, "next_page": "x"}

    def respond(_: Seen) -> Said:
        return Said(json.dumps(body).encode())

    with (
        loopback(respond) as server,
        pytest.raises(EndpointFailed, match="the same page again"),
    ):
        list(connect(helpdesk_base_url=server.url).inventory())


def test_the_clock_is_the_helpdesks(connect: Connect) -> None:
    with answering(transactions=[], tickets=[]) as server:
        pages = list(connect(helpdesk_base_url=server.url).changes(None))
    served = datetime.strptime(DATE, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert {page.until for page in pages} == {served - SECOND}
