"""Behavior specific to Request Tracker, against the simulated Request Tracker."""

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
from helpdesk_assets.model.tickets import InventoryEntry
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.request_tracker.adapter import (
    RequestTrackerAdapter,
    describe_settings,
    from_settings,
)
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import DATE, CannedResponse, ReceivedRequest, loopback
from helpdesk_assets_tests.providers.pages import contents, newest

# In the night after which New York's clocks were set back.
START = datetime(2026, 11, 1, 5, 40, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
TICKETS = 130

Connect = Callable[..., RequestTrackerAdapter]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """Its clock is ahead, so changes by a test are later than all others."""
    with SimulatedHelpdesk(
        tickets=TICKETS, start=START, frozen=True, dialect="request_tracker"
    ) as simulator:
        simulator.advance(1200)
        yield simulator


@pytest.fixture
def connect(simulator: SimulatedHelpdesk) -> Iterator[Connect]:
    made: list[RequestTrackerAdapter] = []

    def sleep(seconds: float) -> None:
        simulator.advance(seconds)

    def make(**more: Any) -> RequestTrackerAdapter:
        given = {
            "helpdesk_base_url": simulator.base_url,
            "helpdesk_user": "sync",
            "helpdesk_api_token": simulator.token,
        }
        settings = Settings.model_validate({**given, **more})
        made.append(from_settings(settings, Runtime(sleep=sleep, rng=lambda: 0.0)))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def truth(simulator: SimulatedHelpdesk) -> dict[str, Any]:
    """Return the stored raw ticket of each live or deleted ticket; merged ones have tombstones."""
    every = simulator.truth(raw_ticket=True, include_removed=True)
    return {each.ticket_id: each.raw_ticket for each in every if each.removal_kind != "merged"}


@pytest.mark.parametrize("user", ["sync", "sync-new-york", "sync-kolkata"])
def test_full_read(simulator: SimulatedHelpdesk, connect: Connect, user: str) -> None:
    got = newest(connect(helpdesk_user=user).changes(None))
    merged = {name for name, ticket in got.items() if ticket.tombstone}
    assert {k: v for k, v in contents(got).items() if k not in merged} == truth(simulator)


@pytest.mark.parametrize("user", ["sync", "sync-new-york", "sync-kolkata"])
def test_changes_by_the_users_local_time(
    simulator: SimulatedHelpdesk, connect: Connect, user: str
) -> None:
    """In a wrong time zone, the window would be off by hours, in either direction."""
    helpdesk = connect(helpdesk_user=user)
    for _ in range(8):  # through the hour that comes twice, and beyond
        since = simulator.clock().now
        changed = simulator.change(5, spread_seconds=300)
        simulator.advance(600)
        until = changed[-1].modified_time
        expected = {each.ticket_id: each.modified_time for each in changed}
        for end in (None, until):
            got = newest(helpdesk.changes(since, end))
            assert {name: each.modified_time for name, each in got.items()} == expected


def test_no_changes_cost_three_calls(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    now = simulator.clock().now
    pages = list(connect().changes(now - 5 * SECOND))
    assert not newest(pages)
    assert {page.until for page in pages} == {now - SECOND}
    counters = simulator.counters()
    assert [counters.of(name) for name in ("login", "gone", "search")] == [1, 1, 1]


def test_normalised_columns(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    fields = {
        "Subject": "Größe",
        "Status": "stalled",
        "Priority": "70",
        "Owner": {"id": "ann", "type": "user"},
    }
    made = simulator.create(1, fields=fields)[0]
    unowned = simulator.create(1, fields={"Owner": {"id": "Nobody", "type": "user"}})[0]
    got = newest(connect().changes(since))
    ticket = got[made.ticket_id]
    assert (ticket.subject, ticket.status, ticket.priority) == ("Größe", "stalled", "70")
    assert ticket.assignee == "ann"
    assert got[unowned.ticket_id].assignee is None
    assert (ticket.created_time, ticket.modified_time) == (made.created_time, made.modified_time)
    assert ticket.deleted_time is None


def test_deleted_tickets_are_returned_whole(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    gone = simulator.delete(3)
    simulator.advance(60)
    spam = simulator.mark_spam(1)
    got = newest(connect().changes(since))
    assert got.keys() == {*gone, *spam}
    assert contents(got) == {name: truth(simulator)[name] for name in got}
    assert {got[name].deleted_time for name in gone} == {since}
    assert all(each.status == "deleted" and not each.tombstone for each in got.values())


def test_deleted_ticket_changed_again(connect: Connect) -> None:
    """Its deletion time stays; a search by its modified time still finds it."""
    deletion = notice("91", "7", Created="2026-11-23T08:00:00Z")
    single = {"id": 7, "Status": "deleted", "LastUpdated": "2026-11-23T09:00:00Z", "Type": "ticket"}
    with answering(transactions=[deletion], tickets=[], single=single) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        ticket = newest(helpdesk.changes(datetime(2026, 11, 23, 8, 30, tzinfo=UTC)))["7"]
    assert ticket.modified_time == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert ticket.deleted_time == datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_restored_ticket_is_left_to_the_search(connect: Connect) -> None:
    single = {"id": 7, "Status": "open", "LastUpdated": "2026-11-23T09:00:00Z", "Type": "ticket"}
    row = {**single, "id": "7"}
    with answering(transactions=[notice("91", "7")], tickets=[row], single=single) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        tickets = [row for page in helpdesk.changes(None) for row in page.tickets]
    assert [(each.ticket_id, each.deleted_time) for each in tickets] == [("7", None)]


def test_merged_tickets_become_tombstones(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    into, *merged = [each.ticket_id for each in simulator.change(3)]
    simulator.merge(merged, into)
    got = newest(connect().changes(since))
    assert got.keys() == {into, *merged}
    assert not got[into].tombstone
    for name in merged:
        assert got[name].tombstone
        assert got[name].modified_time == got[name].deleted_time == since
        assert json.loads(got[name].raw_json)["NewValue"].endswith(f"/ticket/{into}")


def test_more_deletions_than_a_transaction_page(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    """RT gives this user neither a total nor a next page."""
    made = [each.ticket_id for each in simulator.create(210)]
    simulator.delete(ids=made)
    simulator.advance(60)
    helpdesk = connect(helpdesk_concurrency=4)
    got = newest(helpdesk.changes(simulator.clock().now - HOUR))
    assert set(made) <= got.keys()
    assert simulator.counters().of("gone") >= 3


def test_deletions_during_a_read_belong_to_the_next_window(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    """The window ends when the search for removals started, however long it took."""
    pages = connect().changes(simulator.clock().now - HOUR)
    opened = simulator.clock().now
    next(pages)
    simulator.advance(3000)
    gone = simulator.delete(1)
    assert {page.until for page in pages} == {opened - SECOND}
    simulator.advance(60)
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
    assert "deleted and merged tickets are not detected" in caplog.text


def test_unrequested_transactions_are_an_error(connect: Connect) -> None:
    """RT before version 5 ignores the query and would list all transactions."""
    created = notice("1", "7", Type="Create", Field="", NewValue="")
    with (
        answering(transactions=[created], tickets=[]) as server,
        pytest.raises(EndpointFailed, match="needs Request Tracker 5"),
    ):
        list(connect(helpdesk_base_url=server.url).changes(None))


def test_listing_is_ordered_by_id(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    """Changes while paging move no ticket in it, so it may move the watermark."""
    simulator.fault("changes_while_paging", on="search", changes=9, advance_seconds=18.0)
    helpdesk = connect(helpdesk_page_size=10)
    opened = simulator.clock().now
    pages = list(helpdesk.listing())
    living = {each.ticket_id for each in simulator.truth()}
    assert living <= newest(pages).keys()
    assert helpdesk.capabilities.listing_is_stable
    assert {page.until for page in pages} == {opened - SECOND}


def test_rows_counted_but_not_returned(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    simulator.fault("page_cut_short", on="search", count=2, keep=3)
    helpdesk = connect()
    got = newest(helpdesk.changes(None))
    assert {each.ticket_id for each in simulator.truth()} <= got.keys()
    assert helpdesk.use.retries == 2


def test_list_without_a_total_is_rejected(connect: Connect) -> None:
    """Rows are hidden after the search there, so a short page need not be the last."""
    with (
        answering(transactions=[], tickets=[], total=None) as server,
        pytest.raises(EndpointFailed, match=r"cannot be recognised.*ShowTicket"),
    ):
        list(connect(helpdesk_base_url=server.url).changes(None))


def test_user_defined_cap(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    simulator.change(45, same_second=True)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_result_cap=30)
    with pytest.raises(WindowTooDense, match=rf"More than 30 .* {since:%Y-%m-%dT%H:%M:%S}.*Raise"):
        list(helpdesk.changes(since))


def test_one_ticket(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    """In the format of lists, whether it is live, deleted or merged."""
    since = simulator.clock().now
    living, into, deleted, merged = [each.ticket_id for each in simulator.change(4)]
    simulator.delete(ids=[deleted])
    simulator.merge([merged], into)
    helpdesk = connect()
    got = newest(helpdesk.changes(since))
    for name in (living, into, deleted, merged):
        assert helpdesk.ticket(name) == got[name]
    for name in ("1", "no such/../ticket?", "", "²"):
        assert helpdesk.ticket(name) is None


def test_unreadable_ticket(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    made = simulator.create(1)[0].ticket_id
    simulator.fault("bad_ticket", kind="bad_time")
    with pytest.raises(TicketUnreadable, match="LastUpdated"):
        connect(helpdesk_skip_bad_tickets=True).ticket(made)


def test_zone_of_the_token_user(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    changed = simulator.change(3)
    helpdesk = connect(helpdesk_user="", helpdesk_api_token=f"1-62-{simulator.token}")
    assert newest(helpdesk.changes(since)).keys() == {each.ticket_id for each in changed}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"helpdesk_user": "sync-zoneless"}, "no time zone in RT.*HELPDESK_TIME_ZONE"),
        (
            {"helpdesk_time_zone": "Europe/Nowhere"},
            "'Europe/Nowhere', which is not a known time zone",
        ),
        ({"helpdesk_time_zone": "Europe/London"}, "but RT reads .* in another zone"),
    ],
)
def test_unknown_or_wrong_zone(
    simulator: SimulatedHelpdesk, connect: Connect, settings: dict[str, str], said: str
) -> None:
    """Nothing is read: with a wrong time zone, tickets would silently be left out."""
    wrong = {"helpdesk_user": "sync-kolkata", **settings}
    with pytest.raises(SettingsError, match=said):
        list(connect(**wrong).changes(simulator.clock().now - HOUR))
    assert simulator.counters().of("gone") == 0


def test_configured_zone_is_verified(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    changed = simulator.change(3)
    for user, zone in (("sync-zoneless", "Europe/Berlin"), ("sync-kolkata", "Asia/Kolkata")):
        helpdesk = connect(helpdesk_user=user, helpdesk_time_zone=zone)
        assert newest(helpdesk.changes(since)).keys() == {each.ticket_id for each in changed}
    assert simulator.counters().of("login") == 0


def test_token_without_a_user(connect: Connect) -> None:
    with pytest.raises(SettingsError, match="does not name its user"):
        list(connect(helpdesk_user="", helpdesk_api_token="abc").changes(None))


def test_rejected_credentials(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    with pytest.raises(CredentialsRefused, match=r"401.*HELPDESK_API_TOKEN"):
        list(connect(helpdesk_api_token="wrong").changes(None))
    assert simulator.counters().total == 1


@pytest.mark.parametrize(
    ("user", "advice"),
    [
        ("", "set a valid HELPDESK_API_TOKEN"),
        ("nobody", "check HELPDESK_USER and HELPDESK_API_TOKEN"),
    ],
)
def test_refused_login_names_user_and_token(connect: Connect, user: str, advice: str) -> None:
    with pytest.raises(CredentialsRefused, match=f"401.*; {advice}"):
        list(connect(helpdesk_user=user, helpdesk_api_token="1-14-wrong").changes(None))


def doctor_report(**settings: Any) -> dict[str, str]:
    given = {"helpdesk_base_url": "https://rt.example.com", "helpdesk_api_token": "secret-word"}
    made = Settings.model_validate({**given, **settings})
    return {name: look() for name, look in describe_settings(made).items()}


def test_doctor_settings_report() -> None:
    assert doctor_report(helpdesk_user="ann", helpdesk_page_size=500) == {
        "helpdesk_user": "ann",
        "helpdesk_api_token": "set (not shown), the password of HELPDESK_USER",
        "helpdesk_page_size": "100",
        "helpdesk_fetch_details": "not used: a search returns whole tickets",
        "helpdesk_time_zone": "empty: the API user's in RT",
    }
    token = "1-14-0123456789abcdef0123456789abcdef"
    said = doctor_report(helpdesk_api_token=token, helpdesk_time_zone="Asia/Kolkata")
    assert said["helpdesk_api_token"] == "set (not shown), the auth token of user 14"
    assert said["helpdesk_user"] == "empty: the token is an auth token"
    assert said["helpdesk_time_zone"] == "Asia/Kolkata"
    with pytest.raises(SettingsError, match="does not name its user"):
        doctor_report()
    with pytest.raises(SettingsError, match="HELPDESK_TIME_ZONE is 'x'"):
        doctor_report(helpdesk_user="ann", helpdesk_time_zone="x")
    with pytest.raises(SettingsError, match="HELPDESK_API_TOKEN is empty"):
        doctor_report(helpdesk_api_token="")


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
    """A server with exactly these answers."""

    def page(rows: list[Any], count: int | None) -> CannedResponse:
        body = {"items": rows, "count": len(rows), "total": count, "page": 1, "per_page": 100}
        return CannedResponse(json.dumps(body).encode())

    def respond(seen: ReceivedRequest) -> CannedResponse:
        path = urlsplit(seen.path).path
        if path.startswith("/REST/2.0/user/"):
            return CannedResponse(json.dumps({"Name": "sync", "Timezone": zone}).encode())
        if path == "/REST/2.0/transactions":
            if isinstance(transactions, int):
                return CannedResponse(b'{"message":"Forbidden"}', status=transactions)
            return page(transactions, None)
        if path == "/REST/2.0/tickets":
            return page(tickets, None if total is None else len(tickets))
        return CannedResponse(json.dumps(single).encode())

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
KINDS: dict[str, Callable[[RequestTrackerAdapter], object]] = {
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
def test_requests_sent(connect: Connect, kind: str, login: str) -> None:
    """Each kind of request, parameter by parameter, as in RT's REST 2 documentation."""
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


def test_inventory_entries(connect: Connect) -> None:
    row = {"id": "7", "LastUpdated": "2026-11-23T09:00:00Z"}
    merge = notice("5", "9", Type="AddLink", Field="MergedInto", NewValue="x://y/ticket/7")
    into = {**merge, "id": "6", "ObjectId": "7"}
    with answering(transactions=[notice("4", "8"), merge, into], tickets=[row]) as server:
        pages = list(connect(helpdesk_base_url=server.url).inventory())
    eight, nine = datetime(2026, 11, 23, 8, tzinfo=UTC), datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert [line for page in pages for line in page.entries] == [
        InventoryEntry("7", nine),
        InventoryEntry("8", eight, gone=True),
        InventoryEntry("9", eight, gone=True),
    ]
    assert {page.total for page in pages} == {1}


@pytest.mark.parametrize("at", ["yesterday", None])
def test_transaction_without_a_time_ends_an_inventory(connect: Connect, at: Any) -> None:
    untimed = {**notice("4", "8"), "Created": at}
    with (
        answering(transactions=[untimed], tickets=[]) as server,
        pytest.raises(EndpointFailed, match="Created of '4' is not a readable time"),
    ):
        list(connect(helpdesk_base_url=server.url).inventory())


def test_listing_by_id_without_progress_is_an_error(connect: Connect) -> None:
    row = {"id": "7", "LastUpdated": "2026-11-23T09:00:00Z"}
    body = {"items": [row], "total": 1, "per_page": 1, "page": 1, "next_page": "x"}

    def respond(_: ReceivedRequest) -> CannedResponse:
        return CannedResponse(json.dumps(body).encode())

    with (
        loopback(respond) as server,
        pytest.raises(EndpointFailed, match="the same page again"),
    ):
        list(connect(helpdesk_base_url=server.url).inventory())


def test_clock_is_the_helpdesks(connect: Connect) -> None:
    with answering(transactions=[], tickets=[]) as server:
        pages = list(connect(helpdesk_base_url=server.url).changes(None))
    served = datetime.strptime(DATE, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert {page.until for page in pages} == {served - SECOND}
