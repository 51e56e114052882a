"""What is Zendesk's own, against the simulated helpdesk that speaks its dialect."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, SettingsError
from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import InventoryLine, Page, Ticket
from helpdesk_assets.providers.client.connection import World
from helpdesk_assets.providers.client.rate_limit import Left
from helpdesk_assets.providers.zendesk.account import read_left
from helpdesk_assets.providers.zendesk.adapter import ZendeskHelpdesk, from_settings, looks
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import DATE, Said, Seen, loopback
from helpdesk_assets_tests.providers.request_recorder import Sent, sent

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
USER = "ann@example.com"
EXPORT = "/api/v2/incremental/tickets/cursor.json"

Connect = Callable[..., ZendeskHelpdesk]


@pytest.fixture
def desk() -> Iterator[SimulatedHelpdesk]:
    """Its clock has moved on by an hour, so what a test changes is later than all before."""
    with SimulatedHelpdesk(tickets=120, start=START, frozen=True, dialect="zendesk") as desk:
        desk.advance(3600)
        yield desk


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connect(desk: SimulatedHelpdesk, slept: list[float]) -> Iterator[Connect]:
    """Waiting moves the helpdesk's clock on."""
    made: list[ZendeskHelpdesk] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        desk.advance(seconds)

    def make(**more: Any) -> ZendeskHelpdesk:
        given = {
            "helpdesk_base_url": desk.base_url,
            "helpdesk_api_token": desk.token,
            "helpdesk_user": USER,
            "zendesk_exports_per_minute": 1000,
        }
        settings = Settings.model_validate({**given, **more})
        world = World(
            clock=lambda: START,
            timer=lambda: sum(slept),
            sleep=sleep,
            chance=lambda: 0.5,
        )
        made.append(from_settings(settings, world))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def newest(pages: Iterable[Page]) -> dict[str, Ticket]:
    """By id, the version that came last: two of one modified time are told apart by nothing else"""
    return {ticket.ticket_id: ticket for page in pages for ticket in page.tickets}


def contents(tickets: dict[str, Ticket]) -> dict[str, Any]:
    return {ticket_id: json.loads(ticket.raw_json) for ticket_id, ticket in tickets.items()}


def truth(desk: SimulatedHelpdesk) -> dict[str, Any]:
    return {one.ticket_id: one.whole for one in desk.truth(whole=True, gone=True)}


def ids(changed: Iterable[TrueTicket]) -> set[str]:
    return {one.ticket_id for one in changed}


def now(desk: SimulatedHelpdesk) -> datetime:
    return desk.clock().now


def caught_up(desk: SimulatedHelpdesk, connect: Connect) -> str:
    """The cursor of a run that has read all there is."""
    desk.advance(61)
    *_, last = connect().changes(None)
    assert last.cursor is not None
    desk.reset_counters()
    return last.cursor


def test_everything_from_the_beginning_with_what_the_list_leaves_out(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    archived, spam, deleted = desk.archive(3), desk.mark_spam(2), desk.delete(2)
    living = [one.ticket_id for one in desk.truth() if one.ticket_id not in archived]
    merged = desk.merge(living[:2], into=living[2])
    ended = {one.ticket_id: one.ended_at for one in desk.truth(gone=True) if one.end}
    desk.advance(61)
    pages = list(connect(helpdesk_page_size=50).changes(None))
    got = newest(pages)
    assert contents(got) == truth(desk)
    assert set(archived) < got.keys()
    deleted_times = {key: one.deleted_time for key, one in got.items() if one.deleted_time}
    assert deleted_times.items() >= {key: ended[key] for key in [*spam, *deleted]}.items()
    assert not deleted_times.keys() & {*merged, *archived}
    assert {got[each].status for each in merged} == {"closed"}
    assert {got[each].status for each in [*spam, *deleted]} == {"deleted"}
    assert len(pages) == desk.counters().of("search") == 3


def test_the_listing_is_the_export_from_its_beginning(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    helpdesk = connect()
    pages = list(helpdesk.listing())
    assert contents(newest(pages)) == truth(desk)
    assert pages[-1].cursor
    assert helpdesk.capabilities.listing_is_stable
    assert desk.counters().calls == {"search": {"200": 1}}


def test_a_run_goes_on_where_the_cursor_stands_whatever_the_window(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    cursor = caught_up(desk, connect)
    changed = desk.change(5, spread_seconds=50)
    desk.advance(3600)
    pages = list(connect().changes(now(desk) - 5 * MINUTE, cursor=cursor))
    assert newest(pages).keys() == ids(changed)
    again = list(connect().changes(now(desk), cursor=pages[-1].cursor))
    assert [page.tickets for page in again] == [()]
    assert again[-1].cursor == pages[-1].cursor
    assert desk.counters().total == 2


def test_the_last_minute_comes_with_the_next_run(desk: SimulatedHelpdesk, connect: Connect) -> None:
    cursor = caught_up(desk, connect)
    changed = desk.change(5)
    (page,) = connect().changes(None, cursor=cursor)
    assert page.tickets == ()
    assert page.until == now(desk) - MINUTE - SECOND == changed[0].modified_time - MINUTE - SECOND
    desk.advance(61)
    (page,) = connect().changes(None, cursor=page.cursor)
    assert newest([page]).keys() == ids(changed)
    assert page.until == changed[0].modified_time


def test_a_silent_change_arrives_with_its_old_modified_time(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    cursor = caught_up(desk, connect)
    (before,) = desk.change(1)
    desk.advance(3600)
    desk.change(ids=[before.ticket_id], fields={"priority": "urgent"}, silent=True)
    desk.advance(61)
    (ticket,) = newest(connect().changes(None, cursor=cursor)).values()
    assert (ticket.priority, ticket.modified_time) == ("urgent", before.modified_time)
    assert json.loads(ticket.raw_json) == truth(desk)[before.ticket_id]


def test_a_deletion_that_left_the_modified_time_alone(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    row = {**ROW, "status": "deleted", "updated_at": "2026-11-02T10:00:05Z"}
    with loopback(answering(exported([row]))) as server:
        (page,) = connect(helpdesk_base_url=server.url).changes(None)
    (ticket,) = page.tickets
    assert ticket.modified_time == datetime(2026, 11, 2, 10, 0, 5, tzinfo=UTC)
    assert ticket.deleted_time == datetime.fromtimestamp(ROW["generated_timestamp"], UTC)
    assert ticket.subject == "s"


def test_changes_while_paging_lose_nothing(desk: SimulatedHelpdesk, connect: Connect) -> None:
    desk.fault("changes_while_paging", on="search", changes=7, advance_seconds=70, count=20)
    pages = list(connect(helpdesk_page_size=20).changes(None))
    desk.clear_faults()
    assert pages[-1].until > pages[0].until
    desk.advance(61)
    later = list(connect().changes(None, cursor=pages[-1].cursor))
    assert contents(newest([*pages, *later])) == truth(desk)


def test_a_bulk_change_within_one_second(desk: SimulatedHelpdesk, connect: Connect) -> None:
    cursor = caught_up(desk, connect)
    changed = desk.change(45, same_second=True)
    desk.advance(61)
    pages = list(connect(helpdesk_page_size=10).changes(None, cursor=cursor))
    assert [len(page.tickets) for page in pages] == [10, 10, 10, 10, 5]
    assert newest(pages).keys() == ids(changed)


@pytest.mark.parametrize("fault", ["empty_page", "page_cut_short", "repeated_rows"])
def test_odd_pages_lose_nothing(desk: SimulatedHelpdesk, connect: Connect, fault: str) -> None:
    desk.fault(fault, on="search", count=2, after=1)
    pages = list(connect(helpdesk_page_size=50).changes(None))
    assert contents(newest(pages)) == truth(desk)


def test_a_cursor_that_comes_back_is_an_error(desk: SimulatedHelpdesk, connect: Connect) -> None:
    desk.fault("repeated_token", on="search")
    with pytest.raises(EndpointFailed, match="twice"):
        list(connect(helpdesk_page_size=50).changes(None))


def test_a_range_is_left_once_rows_are_past_it(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(desk)
    changed = sorted(desk.change(60, spread_seconds=600), key=lambda one: one.modified_time)
    desk.advance(3600)
    until = changed[14].modified_time
    pages = list(connect(helpdesk_page_size=10).changes(since, until))
    assert newest(pages).keys() == ids(changed[:15])
    assert {page.until for page in pages} == {until}
    assert pages[-1].share == 1.0
    assert desk.counters().of("search") == 2


def test_a_range_that_ends_in_the_last_minute_says_what_it_covers(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    (page,) = connect().changes(now(desk) - 5 * MINUTE, now(desk))
    assert page.until == now(desk) - MINUTE - SECOND


def test_an_interrupted_reading_goes_on(desk: SimulatedHelpdesk, connect: Connect) -> None:
    helpdesk = connect(helpdesk_page_size=30)
    walk = helpdesk.changes(None)
    read = [next(walk) for _ in range(2)]
    desk.change(4, spread_seconds=40)
    desk.advance(61)
    desk.reset_counters()
    rest = list(helpdesk.changes(None, resume=read[-1].resume))
    assert contents(newest([*read, *rest])) == truth(desk)
    shares = [page.share or 0.0 for page in [*read, *rest]]
    assert shares == sorted(shares)
    assert 0.0 < shares[0] < shares[-1] == 1.0
    assert desk.counters().of("search") == len(rest) == 3


def test_a_cursor_that_is_refused_gives_way_to_the_window(
    desk: SimulatedHelpdesk, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    cursor = caught_up(desk, connect)
    since = now(desk)
    changed = desk.change(5, spread_seconds=50)
    desk.advance(61)
    with caplog.at_level(logging.WARNING):
        pages = list(connect().changes(since, cursor="bm9uc2Vuc2U="))
    assert newest(pages).keys() == ids(changed)
    assert pages[-1].cursor not in (None, cursor)
    assert desk.counters().calls["search"] == {"400": 1, "200": 1}
    (line,) = caplog.messages
    assert "refuses the cursor" in line
    assert since.isoformat() in line


def test_a_refused_cursor_is_not_kept(connect: Connect) -> None:
    def respond(seen: Seen) -> Said:
        if "cursor=c1" in seen.path:
            return Said(status=422)
        return Said(json.dumps(exported([], after=None)).encode())

    with loopback(respond) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        assert [page.cursor for page in helpdesk.changes(START - MINUTE, cursor="c1")] == [None]


def test_only_a_refusal_makes_it_give_up_the_cursor(
    desk: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    cursor = caught_up(desk, connect)
    changed = desk.change(5, spread_seconds=50)
    desk.advance(3600)
    desk.fault("error_500", on="search", count=1)
    desk.fault("rate_limit_429", on="search", count=1, after=1, retry_after=40)
    pages = list(connect().changes(now(desk), cursor=cursor))
    assert newest(pages).keys() == ids(changed)
    assert desk.counters().calls["search"] == {"500": 1, "429": 1, "200": 1}
    assert slept[1] == 40.5


@pytest.mark.parametrize("seconds_ago", [59, 0, -3600])
def test_a_start_in_the_last_minute_is_moved_back(
    desk: SimulatedHelpdesk, connect: Connect, seconds_ago: int
) -> None:
    desk.change(3)
    desk.advance(60)
    pages = list(connect().changes(now(desk) - timedelta(seconds=seconds_ago)))
    assert len(newest(pages)) == 3
    assert desk.counters().calls["search"] == {"400": 1, "200": 1}


def test_a_window_without_a_cursor_reaches_back_behind_what_is_held_back(connect: Connect) -> None:
    """Else one that begins at the newest ticket of an adopted table would end before it begins."""
    capabilities = connect().capabilities
    assert capabilities.minimum_overlap > capabilities.held_back > MINUTE


def test_a_start_before_1970_is_the_beginning(desk: SimulatedHelpdesk, connect: Connect) -> None:
    pages = list(connect().changes(datetime(1900, 1, 1, tzinfo=UTC)))
    assert contents(newest(pages)) == truth(desk)


def test_ten_exports_a_minute_unless_more_are_bought(
    desk: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    list(connect(helpdesk_page_size=10, zendesk_exports_per_minute=30).changes(None))
    assert slept == []
    helpdesk = connect(helpdesk_page_size=10, zendesk_exports_per_minute=10)
    pages = list(helpdesk.changes(None))
    assert len(pages) == 12
    assert slept == [60.0]
    assert helpdesk.use.seconds_waited == 60.0


def test_a_page_is_as_large_as_can_be_unless_set() -> None:
    default, smaller = settings(), settings(helpdesk_page_size=100)
    assert from_settings(default).capabilities.page_size == 1000
    assert from_settings(smaller).capabilities.page_size == 100


@pytest.mark.parametrize("user", [USER, f"{USER}/token", ""])
def test_both_logins(desk: SimulatedHelpdesk, connect: Connect, user: str) -> None:
    assert list(connect(helpdesk_user=user).changes(None))


@pytest.mark.parametrize("user", [USER, ""])
@pytest.mark.parametrize(("token", "status"), [("wrong", 401), (TOKEN_WITHOUT_RIGHTS, 403)])
def test_refused_credentials_are_never_tried_again(
    desk: SimulatedHelpdesk, connect: Connect, user: str, token: str, status: int
) -> None:
    helpdesk = connect(helpdesk_user=user, helpdesk_api_token=token)
    with pytest.raises(CredentialsRefused, match=f"{status} to GET .*HELPDESK_API_TOKEN"):
        list(helpdesk.changes(None))
    assert desk.counters().total == 1


@pytest.mark.parametrize("user", ["ann", "ann@example.com:secret", "ann@exa\nmple.com"])
def test_a_user_that_is_no_address(user: str) -> None:
    wrong = settings(helpdesk_user=user)
    with pytest.raises(SettingsError, match="HELPDESK_USER"):
        from_settings(wrong)
    with pytest.raises(SettingsError, match="HELPDESK_USER") as caught:
        looks(wrong)["helpdesk_user"]()
    assert "secret" not in str(caught.value)


def test_what_the_doctor_says() -> None:
    said = {name: look() for name, look in looks(settings()).items()}
    assert said == {
        "helpdesk_user": USER,
        "helpdesk_page_size": "1000",
        "helpdesk_concurrency": "1 (the export has one cursor)",
        "zendesk_exports_per_minute": "10",
    }
    assert "OAuth" in looks(settings(helpdesk_user=""))["helpdesk_user"]()


def test_one_ticket(desk: SimulatedHelpdesk, connect: Connect) -> None:
    (living,), (deleted,) = desk.archive(1), desk.delete(1)
    ticket = connect().ticket(living)
    assert ticket is not None
    whole = truth(desk)[living]
    # Only exports tell this one.
    del whole["generated_timestamp"]
    assert json.loads(ticket.raw_json) == whole
    assert connect().ticket(deleted) is None
    assert connect().ticket("no such/../ticket?") is None


@pytest.mark.parametrize("fault", ["error_500", "truncated_json", "drop_connection"])
def test_one_ticket_is_tried_again(desk: SimulatedHelpdesk, connect: Connect, fault: str) -> None:
    desk.fault(fault, on="ticket", count=2)
    (one, *_) = desk.truth()
    assert connect().ticket(one.ticket_id) is not None


def test_another_ticket_than_the_one_asked_for_is_an_error(connect: Connect) -> None:
    with loopback(answering({"ticket": ROW})) as server:
        assert connect(helpdesk_base_url=server.url).ticket("7") is not None
        with pytest.raises(EndpointFailed, match="answered with ticket 7"):
            connect(helpdesk_base_url=server.url).ticket("8")


def test_numbers_that_are_kept_as_text_are_counted(connect: Connect) -> None:
    body = json.dumps(exported([{**ROW, "external": "?"}])).replace('"?"', "0.12345678901234567891")
    with loopback(lambda _: Said(body.encode())) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        (page,) = helpdesk.changes(None)
    assert json.loads(page.tickets[0].raw_json)["external"] == "0.12345678901234567891"
    assert helpdesk.use.numbers_as_text == 1


def test_a_deleted_ticket_may_also_be_shown(connect: Connect) -> None:
    row = {key: value for key, value in ROW.items() if key != "generated_timestamp"}
    with loopback(answering({"ticket": {**row, "status": "deleted"}})) as server:
        ticket = connect(helpdesk_base_url=server.url).ticket("7")
    assert ticket is not None
    assert ticket.deleted_time == ticket.modified_time


def test_the_cursor_stays_where_an_answer_has_none(connect: Connect) -> None:
    with loopback(answering(exported([], after=None))) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        assert [page.cursor for page in helpdesk.changes(START, cursor="c1")] == ["c1"]
        assert [page.cursor for page in helpdesk.changes(START)] == [None]


@pytest.mark.parametrize(
    "body",
    [
        {"tickets": [], "after_cursor": "c2"},
        {"tickets": [], "after_cursor": None, "end_of_stream": False},
        {"tickets": [], "after_cursor": 7, "end_of_stream": False},
        {"after_cursor": "c2", "end_of_stream": True},
        [],
    ],
)
def test_a_page_that_does_not_say_how_it_goes_on(connect: Connect, body: Any) -> None:
    with (
        loopback(answering(body)) as server,
        pytest.raises(EndpointFailed, match=r"incremental/tickets/cursor\.json"),
    ):
        list(connect(helpdesk_base_url=server.url).changes(None))


def test_a_start_that_is_refused_for_another_reason(connect: Connect) -> None:
    refusing = Said(b'{"error":"InvalidValue","description":"per_page"}', status=422)
    with loopback(lambda _: refusing) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        with pytest.raises(EndpointFailed, match=r"answered 422: .*InvalidValue"):
            list(helpdesk.changes(START - timedelta(days=1), cursor="c1"))
    asked = [one.params.get("cursor") or one.params["start_time"] for one in sent(server.seen)]
    assert asked == ["c1", "1795341600", "1795341600"]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, ()),
        (
            {"X-Rate-Limit": "700", "X-Rate-Limit-Remaining": "699"},
            (Left(699, 700),),
        ),
        (
            {
                "x-rate-limit": "700",
                "x-rate-limit-remaining": "699",
                "ratelimit-limit": "700",
                "ratelimit-remaining": "12",
                "ratelimit-reset": "41",
                "zendesk-ratelimit-incremental-exports": "total=10; remaining=3; resets=40",
                "zendesk-ratelimit-tickets-index": "total=100; remaining=0; resets=41",
            },
            (Left(12, 700, 41), Left(3, 10, 40, "export")),
        ),
        ({"ratelimit-remaining": "many", "zendesk-ratelimit-incremental": "soon"}, ()),
    ],
)
def test_what_headers_tell_of_the_limits(headers: dict[str, str], left: tuple[Left, ...]) -> None:
    assert read_left(CaseInsensitiveDict(headers)) == left


def test_exports_slow_down_when_little_is_left(
    desk: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    desk.fault("rate_limit", on="search", calls=2, window_seconds=60)
    pages = list(connect(helpdesk_page_size=30).changes(None))
    assert desk.counters().calls["search"] == {"200": len(pages)} == {"200": 4}
    assert sum(slept) >= 60


# --- what is sent, beside what the vendor's pages say --------------------------------------------

BASIC = {
    # "API token": the e-mail address with /token, a colon, and the token, in Base64.
    "Authorization": f"Basic {b64encode(b'ann@example.com/token:t0ken').decode()}",
    "Accept": "application/json",
    "User-Agent": "helpdesk-assets",
}
BEARER = {**BASIC, "Authorization": "Bearer t0ken"}

ROW: dict[str, Any] = {
    "id": 7,
    "subject": "s",
    "status": "open",
    "created_at": "2026-11-01T08:00:00Z",
    "updated_at": "2026-11-23T09:00:00Z",
    "generated_timestamp": 1_795_424_405,
}


def settings(**more: Any) -> Settings:
    given = {"helpdesk_api_token": "t0ken", "helpdesk_user": USER}
    return Settings.model_validate({**given, **more})


def exported(rows: list[Any], after: str | None = "c2", is_last: bool = True) -> dict[str, Any]:
    return {"tickets": rows, "after_cursor": after, "end_of_stream": is_last}


def answering(*bodies: Any) -> Callable[[Seen], Said]:
    """One body after the other, the last one for ever."""
    left = list(bodies)
    return lambda _: Said(json.dumps(left.pop(0) if len(left) > 1 else left[0]).encode())


def test_the_first_export_request(connect: Connect) -> None:
    """Incremental Exports, cursor based: `start_time` in Unix seconds on the first request alone,
    `cursor` on all others; `per_page` is at most 1000."""
    pages = exported([ROW], is_last=False), exported([])
    with loopback(answering(*pages)) as server:
        helpdesk = connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken")
        list(helpdesk.changes(datetime(2026, 11, 22, 10, 0, 0, 900, tzinfo=UTC)))
    assert sent(server.seen) == [
        Sent("GET", EXPORT, {"start_time": "1795341600", "per_page": "1000"}, BASIC),
        Sent("GET", EXPORT, {"cursor": "c2", "per_page": "1000"}, BASIC),
    ]


def test_the_export_from_its_beginning(connect: Connect) -> None:
    with loopback(answering(exported([]))) as server:
        list(connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken").listing())
    assert sent(server.seen) == [
        Sent("GET", EXPORT, {"start_time": "0", "per_page": "1000"}, BASIC)
    ]


def test_the_export_of_an_inventory(connect: Connect, slept: list[float]) -> None:
    """To its end, and on from there once the last minute is out of the way: what changed then, and
    had not been read of yet, would be in neither."""
    late = {**ROW, "id": 8, "status": "deleted"}
    pages = exported([ROW], "c2", is_last=False), exported([], "c3"), exported([late], "c4")
    with loopback(answering(*pages)) as server:
        helpdesk = connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken")
        told = [line for page in helpdesk.inventory() for line in page.lines]
    assert sent(server.seen) == [
        Sent("GET", EXPORT, {"start_time": "0", "per_page": "1000"}, BASIC),
        Sent("GET", EXPORT, {"cursor": "c2", "per_page": "1000"}, BASIC),
        Sent("GET", EXPORT, {"cursor": "c3", "per_page": "1000"}, BASIC),
    ]
    assert slept == [61.0]
    assert helpdesk.use.seconds_waited == 61.0
    modified = datetime.fromisoformat(ROW["updated_at"])
    assert told == [InventoryLine("7", modified), InventoryLine("8", modified, gone=True)]


def test_the_export_of_a_later_run(connect: Connect) -> None:
    """Cursors are Base64, which has signs that mean something in a query."""
    cursor = "MTc5MzYxMzYwNS4wfHwxMDF8+/=="
    with loopback(answering(exported([]))) as server:
        helpdesk = connect(
            helpdesk_base_url=server.url, helpdesk_api_token="t0ken", helpdesk_user=""
        )
        list(helpdesk.changes(START, cursor=cursor))
    assert sent(server.seen) == [
        Sent("GET", EXPORT, {"cursor": cursor, "per_page": "1000"}, BEARER)
    ]


def test_a_start_is_moved_behind_the_last_minute(connect: Connect) -> None:
    """`start_time` must be more than a minute ago, by Zendesk's clock."""
    assert DATE == "Mon, 23 Nov 2026 10:00:00 GMT"

    def respond(seen: Seen) -> Said:
        is_early = "start_time=1795427939&" in seen.path
        return Said(json.dumps(exported([])).encode()) if is_early else Said(status=400)

    with loopback(respond) as server:
        list(connect(helpdesk_base_url=server.url).changes(START + timedelta(hours=1)))
    asked = [
        datetime.fromtimestamp(int(one.params["start_time"]), UTC) for one in sent(server.seen)
    ]
    assert asked == [START + timedelta(hours=1), START - MINUTE - SECOND]


def test_the_request_for_one_ticket(connect: Connect) -> None:
    with loopback(answering({"ticket": ROW})) as server:
        connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken").ticket("7")
    assert sent(server.seen) == [Sent("GET", "/api/v2/tickets/7.json", {}, BASIC)]
