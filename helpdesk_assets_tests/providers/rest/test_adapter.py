"""The adapter against the simulated helpdesk: real HTTP, real faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, TicketUnreadable
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import Page
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.paging.by_time import EPOCH
from helpdesk_assets.providers.rest.adapter import RestAdapter, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICKETS = 350

Connect = Callable[..., RestAdapter]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """Its clock is an hour ahead, so changes by a test are later than all others."""
    with SimulatedHelpdesk(tickets=TICKETS, start=START, frozen=True) as simulator:
        simulator.advance(3600)
        yield simulator


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connect(simulator: SimulatedHelpdesk, slept: list[float]) -> Iterator[Connect]:
    made: list[RestAdapter] = []

    def make(clock: datetime = START, **more: Any) -> RestAdapter:
        given = {"helpdesk_base_url": simulator.base_url, "helpdesk_api_token": simulator.token}
        settings = Settings.model_validate({**given, **more})
        made.append(
            from_settings(
                settings,
                Runtime(
                    now=lambda: clock,
                    monotonic=lambda: sum(slept),
                    sleep=slept.append,
                    rng=lambda: 0.5,
                ),
            )
        )
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def times(pages: Iterable[Page]) -> dict[str, datetime]:
    """Return the newest modified time of each ticket."""
    newest: dict[str, datetime] = {}
    for page in pages:
        for row in page.tickets:
            newest[row.ticket_id] = max(row.modified_time, newest.get(row.ticket_id, EPOCH))
    return newest


def truth(simulator: SimulatedHelpdesk) -> dict[str, datetime]:
    return {one.ticket_id: one.modified_time for one in simulator.truth()}


def test_full_read(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    helpdesk = connect()
    assert times(helpdesk.changes(None)) == truth(simulator)
    assert simulator.counters().of("search") == helpdesk.use.calls <= 5


def test_no_changes_cost_one_call(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    now = simulator.clock().now
    pages = list(connect().changes(now - timedelta(minutes=5)))
    assert [page.tickets for page in pages] == [()]
    assert pages[0].served_at == now
    assert pages[0].until == now - timedelta(seconds=1)
    assert simulator.counters().total == 1


def test_hundred_changes_cost_one_call(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    changed = simulator.change(100, spread_seconds=200)
    assert times(connect().changes(since)) == {t.ticket_id: t.modified_time for t in changed}
    assert simulator.counters().total == 1


def test_closed_window(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    changed = sorted(simulator.change(20, spread_seconds=200), key=lambda t: t.modified_time)
    until = changed[9].modified_time
    assert times(connect().changes(since, until)) == {
        t.ticket_id: t.modified_time for t in changed[:10]
    }


def test_page_size_follows_the_setting(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    simulator.change(30, spread_seconds=300)
    pages = list(connect(helpdesk_page_size=10).changes(since))
    assert [len(page.tickets) for page in pages] == [10, 9, 9, 2]


def test_changes_while_paging_lose_nothing(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    simulator.fault("changes_while_paging", on="search", changes=7, advance_seconds=14, count=20)
    helpdesk = connect(helpdesk_page_size=20)
    pages = list(helpdesk.changes(None))
    got = times(pages)
    late = {name: when for name, when in truth(simulator).items() if when > pages[0].until}
    assert {**got, **late} == truth(simulator)
    # The next window contains the rest.
    simulator.clear_faults()
    assert {**got, **times(helpdesk.changes(pages[0].until))} == truth(simulator)


def test_bulk_change_within_one_second(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = simulator.clock().now
    simulator.advance(10)
    changed = simulator.change(250, same_second=True)
    simulator.advance(10)
    after = simulator.change(5, spread_seconds=10)
    expected = {t.ticket_id: t.modified_time for t in [*changed, *after]}
    assert times(connect().changes(since)) == expected


@pytest.mark.parametrize("days", [-40, 3, 4000])
def test_local_clock_days_off(simulator: SimulatedHelpdesk, connect: Connect, days: int) -> None:
    simulator.change(3)
    now = simulator.clock().now
    pages = list(connect(clock=now + timedelta(days=days)).changes(None))
    assert times(pages) == truth(simulator)
    assert pages[0].until == now - timedelta(seconds=1)


@pytest.mark.parametrize("fault", ["empty_page", "page_cut_short", "repeated_rows"])
def test_odd_pages_lose_nothing(simulator: SimulatedHelpdesk, connect: Connect, fault: str) -> None:
    simulator.fault(fault, on="search", count=2)
    assert times(connect().changes(None)) == truth(simulator)


def test_row_dated_2099_does_not_advance_the_window(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.fault("future_row", on="search")
    pages = list(connect().changes(None))
    assert {page.until for page in pages} == {simulator.clock().now - timedelta(seconds=1)}
    assert max(times(pages).values()).year == 2099
    assert truth(simulator).items() <= times(pages).items()


WHOLE_CALL_FAULTS: list[dict[str, Any]] = [
    {"name": "error_500"},
    {"name": "rate_limit_429"},
    {"name": "drop_connection"},
    {"name": "truncated_json"},
    {"name": "not_json"},
    {"name": "missing_fields"},
]


@pytest.mark.parametrize("fault", WHOLE_CALL_FAULTS, ids=lambda fault: fault["name"])
def test_first_call_of_the_change_endpoint_is_not_retried(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float], fault: dict[str, Any]
) -> None:
    simulator.fault(**fault, on="search", count=1)
    with pytest.raises(EndpointFailed, match="/v2/tickets/search"):
        list(connect().changes(None))
    assert simulator.counters().of("search") == 1
    assert slept == []


@pytest.mark.parametrize("fault", WHOLE_CALL_FAULTS[:-1], ids=lambda fault: fault["name"])
def test_later_calls_of_the_change_endpoint_are_retried(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float], fault: dict[str, Any]
) -> None:
    simulator.fault(**fault, on="search", count=2, after=1)
    helpdesk = connect(helpdesk_concurrency=1)
    assert times(helpdesk.changes(None)) == truth(simulator)
    assert helpdesk.use.retries == 2


@pytest.mark.parametrize(("since", "tries"), [(None, 8), (EPOCH, 3)])
def test_first_load_is_retried_more_than_incremental_reads(
    simulator: SimulatedHelpdesk, connect: Connect, since: datetime | None, tries: int
) -> None:
    simulator.fault("error_500", on="search", after=1)
    with pytest.raises(EndpointFailed, match=f"Given up after {tries} attempts"):
        list(connect(helpdesk_concurrency=1).changes(since))


def test_listing_returns_every_ticket(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    helpdesk = connect()
    pages = list(helpdesk.listing())
    assert times(pages) == truth(simulator)
    assert len(pages) == simulator.counters().of("listing") == 4
    assert {page.until for page in pages} == {simulator.clock().now - timedelta(seconds=1)}
    assert not helpdesk.capabilities.listing_is_stable


@pytest.mark.parametrize("fault", WHOLE_CALL_FAULTS[:-1], ids=lambda fault: fault["name"])
def test_listing_is_retried(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float], fault: dict[str, Any]
) -> None:
    simulator.fault(**fault, on="listing", count=2, after=1)
    helpdesk = connect()
    assert times(helpdesk.listing()) == truth(simulator)
    assert helpdesk.use.retries == len(slept) == 2
    assert helpdesk.use.calls == 6
    assert helpdesk.use.seconds_waited == sum(slept)


def test_retry_after_is_respected(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    date = f"{simulator.clock().now + timedelta(seconds=25):%a, %d %b %Y %H:%M:%S} GMT"
    simulator.fault("rate_limit_429", on="listing", count=1, retry_after=40)
    list(connect().listing())
    simulator.fault("rate_limit_429", on="listing", count=1, retry_after=date)
    list(connect().listing())
    assert slept == [40.5, 25.5]


def test_listing_fails_after_its_retries(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    simulator.fault("error_500", on="listing")
    with pytest.raises(EndpointFailed, match="Given up after 8 attempts"):
        list(connect().listing())
    assert simulator.counters().of("listing") == 8


@pytest.mark.parametrize("fault", ["repeated_token", "missing_fields"])
def test_endless_listing_is_an_error(
    simulator: SimulatedHelpdesk, connect: Connect, fault: str
) -> None:
    simulator.fault(fault, on="listing")
    with pytest.raises(EndpointFailed, match=r"twice|no list"):
        list(connect().listing())


@pytest.mark.parametrize("fault", ["empty_page", "page_cut_short"])
def test_short_page_does_not_end_the_listing(
    simulator: SimulatedHelpdesk, connect: Connect, fault: str
) -> None:
    simulator.fault(fault, on="listing", count=1, after=3)
    assert times(connect().listing()) == truth(simulator)


@pytest.mark.parametrize(("token", "status"), [("wrong", 401), (TOKEN_WITHOUT_RIGHTS, 403)])
@pytest.mark.parametrize("way", ["changes", "listing", "ticket"])
def test_rejected_credentials_are_not_retried(
    simulator: SimulatedHelpdesk, connect: Connect, token: str, status: int, way: str
) -> None:
    helpdesk = connect(helpdesk_api_token=token)
    ways: dict[str, Callable[[], object]] = {
        "changes": lambda: list(helpdesk.changes(None)),
        "listing": lambda: list(helpdesk.listing()),
        "ticket": lambda: helpdesk.ticket("1"),
    }
    with pytest.raises(
        CredentialsRefused, match=f"{status} to GET /v2/tickets.*HELPDESK_API_TOKEN"
    ):
        ways[way]()
    # A 403 to one ticket is believed to be the account's only after a list was refused as well.
    assert simulator.counters().total == (2 if (way, status) == ("ticket", 403) else 1)


def test_one_ticket(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    true = next(simulator.truth(raw_ticket=True))
    ticket = connect().ticket(true.ticket_id)
    assert ticket is not None
    assert (ticket.ticket_id, ticket.modified_time) == (true.ticket_id, true.modified_time)
    assert ticket.created_time == true.created_time
    assert json.loads(ticket.raw_json) == true.raw_ticket
    assert connect().ticket("no such/../ticket?") is None


def test_thin_rows_are_completed_by_details(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    simulator.fault("thin_rows")
    since = simulator.clock().now
    changed = simulator.change(30)
    other = simulator.change(1, fields={"subject": "other"})[0]
    helpdesk = connect(helpdesk_fetch_details=True, helpdesk_concurrency=4)
    raw_ticket = {t.ticket_id: t.raw_ticket for t in simulator.truth(raw_ticket=True)}
    tickets = [row for page in helpdesk.changes(since) for row in page.tickets]
    assert {other.ticket_id, *(t.ticket_id for t in changed)} == {t.ticket_id for t in tickets}
    assert all(json.loads(t.raw_json) == raw_ticket[t.ticket_id] for t in tickets)
    counters = simulator.counters()
    assert counters.of("search") == 1
    assert counters.of("ticket") == len(tickets)
    assert counters.max_concurrent <= 4


def test_details_are_retried(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    simulator.fault("error_500", on="ticket", count=3)
    since = simulator.clock().now
    changed = simulator.change(10)
    got = times(connect(helpdesk_fetch_details=True).changes(since))
    assert got == {t.ticket_id: t.modified_time for t in changed}
    assert len(slept) == 3


def test_thin_listing_rows_are_completed_by_details(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.fault("thin_rows", on="listing")
    pages = list(connect(helpdesk_fetch_details=True).listing())
    assert times(pages) == truth(simulator)
    assert all(json.loads(row.raw_json)["subject"] for page in pages for row in page.tickets)


def test_bad_tickets_fail_the_read_or_are_named(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    since = simulator.clock().now
    changed = simulator.change(5, spread_seconds=50)
    for kind, field in (("bad_time", "modifiedTime"), ("no_id", "id")):
        simulator.fault("bad_ticket", kind=kind, rows=2)
        with pytest.raises(TicketUnreadable, match=field):
            list(connect().changes(since))
        pages = list(connect(helpdesk_skip_bad_tickets=True).changes(since))
        assert [bad.field for page in pages for bad in page.bad] == [field] * 2
        assert times(pages).keys() < {t.ticket_id for t in changed}
        assert len(times(pages)) == 3
    simulator.fault("bad_ticket", kind="bad_time", on="ticket")
    with pytest.raises(TicketUnreadable, match="modifiedTime"):
        connect(helpdesk_skip_bad_tickets=True).ticket(changed[0].ticket_id)


def test_bad_tickets_do_not_stop_a_long_read(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    bad = [one.ticket_id for one in simulator.truth()][10:20]
    simulator.fault("bad_ticket", kind="bad_time", ids=bad)
    pages = list(connect(helpdesk_skip_bad_tickets=True, helpdesk_page_size=20).changes(None))
    assert times(pages).keys() == truth(simulator).keys() - set(bad)
    assert {one.ticket_id for page in pages for one in page.bad} == set(bad)


@pytest.mark.asks_wrongly("pageSize=500 is more than 100")
def test_rejected_page_size(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    with pytest.raises(EndpointFailed, match=r"answered 400: .*pageSize must be between"):
        list(connect(helpdesk_page_size=500).changes(None))


def answering(body: object) -> Callable[[ReceivedRequest], CannedResponse]:
    return lambda _: CannedResponse(json.dumps(body).encode())


ROW = {"id": "7", "modifiedTime": "2026-11-23T09:00:00Z", "subject": "s"}


def test_single_ticket_may_be_wrapped(connect: Connect) -> None:
    with loopback(answering({"ticket": ROW})) as server:
        ticket = connect(helpdesk_base_url=server.url).ticket("7")
    assert ticket is not None
    assert ticket.subject == "s"


def test_wrong_ticket_in_the_response_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering(ROW)) as server,
        pytest.raises(EndpointFailed, match="answered with ticket 7"),
    ):
        connect(helpdesk_base_url=server.url).ticket("8")


def test_search_requests(connect: Connect) -> None:
    with loopback(answering({"tickets": []})) as server:
        until = datetime(2026, 11, 23, 9, 0, 0, 1, tzinfo=UTC)
        list(connect(helpdesk_base_url=server.url).changes(START.replace(microsecond=5), until))
    window = "2026-11-23T10%3A00%3A00Z%2C2026-11-23T09%3A00%3A01Z"
    assert server.seen[0].path == (
        f"/v2/tickets/search?modifiedTimeRange={window}&sortBy=modifiedTime&pageSize=100"
    )


def test_inventory_requests(connect: Connect) -> None:
    """The search from its start, and again from the time at which it was opened."""
    with loopback(answering({"tickets": []})) as server:
        pages = list(connect(helpdesk_base_url=server.url).inventory())
    assert [unquote(seen.path).partition("&")[0] for seen in server.seen] == [
        "/v2/tickets/search?modifiedTimeRange=1970-01-01T00:00:00Z,9999-12-31T00:00:00Z",
        "/v2/tickets/search?modifiedTimeRange=2026-11-23T09:59:59Z,9999-12-31T00:00:00Z",
    ]
    assert [page.entries for page in pages] == [(), ()]


def test_inventory_is_complete_while_tickets_change(connect: Connect) -> None:
    """Ticket 3 leaves the list before its page is read.

    It returns behind two others that have changed since the list was opened again.
    """

    def row(ticket_id: str, time: str) -> dict[str, str]:
        return {"id": ticket_id, "modifiedTime": f"2026-11-23T{time}Z"}

    first, second, fourth = row("1", "08:00:00"), row("2", "08:00:01"), row("4", "10:00:00")
    fifth, third = row("5", "10:00:10"), row("3", "10:00:15")
    pages = [
        ("10:00:00", [first, second], "more"),
        ("10:00:00", [second], None),
        ("10:00:00", [row("6", "09:59:59"), fourth], "more"),
        ("10:00:20", [fourth, fifth], "more"),
        ("10:00:20", [fifth, third], None),
    ]

    def respond(_: ReceivedRequest) -> CannedResponse:
        clock, rows, token = pages.pop(0)
        body = json.dumps({"tickets": rows, "nextPageToken": token}).encode()
        return CannedResponse(body, headers={"Date": f"Mon, 23 Nov 2026 {clock} GMT"})

    with loopback(respond) as server:
        helpdesk = connect(helpdesk_base_url=server.url, helpdesk_page_size=2)
        found = [line.ticket_id for page in helpdesk.inventory() for line in page.entries]
    assert sorted(found) == ["1", "2", "3", "4", "5", "6"]
    assert pages == []


def test_ticket_deleted_between_list_and_detail_is_omitted(connect: Connect) -> None:
    rows = {"tickets": [ROW, {**ROW, "id": "8"}]}

    def respond(seen: ReceivedRequest) -> CannedResponse:
        if "search" in seen.path:
            return CannedResponse(json.dumps(rows).encode())
        return (
            CannedResponse(status=404)
            if seen.path.endswith("/8")
            else CannedResponse(json.dumps(ROW).encode())
        )

    with loopback(respond) as server:
        helpdesk = connect(helpdesk_base_url=server.url, helpdesk_fetch_details=True)
        assert list(times(helpdesk.changes(None))) == ["7"]


def test_caller_time_without_zone_is_rejected(connect: Connect) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        list(connect().changes(datetime(2026, 11, 23)))  # noqa: DTZ001
