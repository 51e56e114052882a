"""Behavior specific to Zendesk, against the simulated Zendesk."""

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
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import InventoryEntry, Page, Ticket
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.client.rate_limit import RateLimitState
from helpdesk_assets.providers.zendesk.account import parse_rate_limit
from helpdesk_assets.providers.zendesk.adapter import (
    ZendeskAdapter,
    describe_settings,
    from_settings,
)
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import DATE, CannedResponse, ReceivedRequest, loopback
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
USER = "ann@example.com"
EXPORT = "/api/v2/incremental/tickets/cursor.json"

Connect = Callable[..., ZendeskAdapter]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """Its clock is an hour ahead, so changes by a test are later than all others."""
    with SimulatedHelpdesk(tickets=120, start=START, frozen=True, dialect="zendesk") as simulator:
        simulator.advance(3600)
        yield simulator


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connect(simulator: SimulatedHelpdesk, slept: list[float]) -> Iterator[Connect]:
    """An adapter whose waits advance the helpdesk's clock."""
    made: list[ZendeskAdapter] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        simulator.advance(seconds)

    def make(**more: Any) -> ZendeskAdapter:
        given = {
            "helpdesk_base_url": simulator.base_url,
            "helpdesk_api_token": simulator.token,
            "helpdesk_user": USER,
            "zendesk_exports_per_minute": 1000,
        }
        settings = Settings.model_validate({**given, **more})
        world = Runtime(
            now=lambda: START,
            monotonic=lambda: sum(slept),
            sleep=sleep,
            rng=lambda: 0.5,
        )
        made.append(from_settings(settings, world))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def newest(pages: Iterable[Page]) -> dict[str, Ticket]:
    """Return by id the last version: only order distinguishes two with one modified time."""
    return {ticket.ticket_id: ticket for page in pages for ticket in page.tickets}


def contents(tickets: dict[str, Ticket]) -> dict[str, Any]:
    return {ticket_id: json.loads(ticket.raw_json) for ticket_id, ticket in tickets.items()}


def truth(simulator: SimulatedHelpdesk) -> dict[str, Any]:
    return {
        one.ticket_id: one.raw_ticket
        for one in simulator.truth(raw_ticket=True, include_removed=True)
    }


def ids(changed: Iterable[TrueTicket]) -> set[str]:
    return {one.ticket_id for one in changed}


def now(simulator: SimulatedHelpdesk) -> datetime:
    return simulator.clock().now


def caught_up(simulator: SimulatedHelpdesk, connect: Connect) -> str:
    """The cursor of a run that has read everything."""
    simulator.advance(61)
    *_, last = connect().changes(None)
    assert last.cursor is not None
    simulator.reset_counters()
    return last.cursor


def test_full_read_includes_tickets_the_list_omits(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    archived, spam, deleted = simulator.archive(3), simulator.mark_spam(2), simulator.delete(2)
    living = [one.ticket_id for one in simulator.truth() if one.ticket_id not in archived]
    merged = simulator.merge(living[:2], into=living[2])
    ended = {
        one.ticket_id: one.removed_at
        for one in simulator.truth(include_removed=True)
        if one.removal_kind
    }
    simulator.advance(61)
    pages = list(connect(helpdesk_page_size=50).changes(None))
    got = newest(pages)
    assert contents(got) == truth(simulator)
    assert set(archived) < got.keys()
    deleted_times = {key: one.deleted_time for key, one in got.items() if one.deleted_time}
    assert deleted_times.items() >= {key: ended[key] for key in [*spam, *deleted]}.items()
    assert not deleted_times.keys() & {*merged, *archived}
    assert {got[each].status for each in merged} == {"closed"}
    assert {got[each].status for each in [*spam, *deleted]} == {"deleted"}
    assert len(pages) == simulator.counters().of("search") == 3


def test_listing_is_the_export_from_its_start(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    helpdesk = connect()
    pages = list(helpdesk.listing())
    assert contents(newest(pages)) == truth(simulator)
    assert pages[-1].cursor
    assert helpdesk.capabilities.listing_is_stable
    assert simulator.counters().calls == {"search": {"200": 1}}


def test_run_continues_at_the_cursor_ignoring_the_window(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    cursor = caught_up(simulator, connect)
    changed = simulator.change(5, spread_seconds=50)
    simulator.advance(3600)
    pages = list(connect().changes(now(simulator) - 5 * MINUTE, cursor=cursor))
    assert newest(pages).keys() == ids(changed)
    again = list(connect().changes(now(simulator), cursor=pages[-1].cursor))
    assert [page.tickets for page in again] == [()]
    assert again[-1].cursor == pages[-1].cursor
    assert simulator.counters().total == 2


def test_last_minute_is_read_by_the_next_run(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    cursor = caught_up(simulator, connect)
    changed = simulator.change(5)
    (page,) = connect().changes(None, cursor=cursor)
    assert page.tickets == ()
    assert (
        page.until == now(simulator) - MINUTE - SECOND == changed[0].modified_time - MINUTE - SECOND
    )
    simulator.advance(61)
    (page,) = connect().changes(None, cursor=page.cursor)
    assert newest([page]).keys() == ids(changed)
    assert page.until == changed[0].modified_time


def test_silent_change_keeps_its_old_modified_time(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    cursor = caught_up(simulator, connect)
    (before,) = simulator.change(1)
    simulator.advance(3600)
    simulator.change(ids=[before.ticket_id], fields={"priority": "urgent"}, silent=True)
    simulator.advance(61)
    (ticket,) = newest(connect().changes(None, cursor=cursor)).values()
    assert (ticket.priority, ticket.modified_time) == ("urgent", before.modified_time)
    assert json.loads(ticket.raw_json) == truth(simulator)[before.ticket_id]


def test_deletion_without_a_new_modified_time(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    row = {**ROW, "status": "deleted", "updated_at": "2026-11-02T10:00:05Z"}
    with loopback(answering(exported([row]))) as server:
        (page,) = connect(helpdesk_base_url=server.url).changes(None)
    (ticket,) = page.tickets
    assert ticket.modified_time == datetime(2026, 11, 2, 10, 0, 5, tzinfo=UTC)
    assert ticket.deleted_time == datetime.fromtimestamp(ROW["generated_timestamp"], UTC)
    assert ticket.subject == "s"


def test_changes_while_paging_lose_nothing(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    simulator.fault("changes_while_paging", on="search", changes=7, advance_seconds=70, count=20)
    pages = list(connect(helpdesk_page_size=20).changes(None))
    simulator.clear_faults()
    assert pages[-1].until > pages[0].until
    simulator.advance(61)
    later = list(connect().changes(None, cursor=pages[-1].cursor))
    assert contents(newest([*pages, *later])) == truth(simulator)


def test_bulk_change_within_one_second(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    cursor = caught_up(simulator, connect)
    changed = simulator.change(45, same_second=True)
    simulator.advance(61)
    pages = list(connect(helpdesk_page_size=10).changes(None, cursor=cursor))
    assert [len(page.tickets) for page in pages] == [10, 10, 10, 10, 5]
    assert newest(pages).keys() == ids(changed)


@pytest.mark.parametrize("fault", ["empty_page", "page_cut_short", "repeated_rows"])
def test_odd_pages_lose_nothing(simulator: SimulatedHelpdesk, connect: Connect, fault: str) -> None:
    simulator.fault(fault, on="search", count=2, after=1)
    pages = list(connect(helpdesk_page_size=50).changes(None))
    assert contents(newest(pages)) == truth(simulator)


def test_repeated_cursor_is_an_error(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    simulator.fault("repeated_token", on="search")
    with pytest.raises(EndpointFailed, match="twice"):
        list(connect(helpdesk_page_size=50).changes(None))


def test_range_ends_once_rows_are_past_it(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(simulator)
    changed = sorted(simulator.change(60, spread_seconds=600), key=lambda one: one.modified_time)
    simulator.advance(3600)
    until = changed[14].modified_time
    pages = list(connect(helpdesk_page_size=10).changes(since, until))
    assert newest(pages).keys() == ids(changed[:15])
    assert {page.until for page in pages} == {until}
    assert pages[-1].share == 1.0
    assert simulator.counters().of("search") == 2


def test_range_ending_in_the_last_minute_reports_its_coverage(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    (page,) = connect().changes(now(simulator) - 5 * MINUTE, now(simulator))
    assert page.until == now(simulator) - MINUTE - SECOND


def test_interrupted_read_resumes(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    helpdesk = connect(helpdesk_page_size=30)
    walk = helpdesk.changes(None)
    read = [next(walk) for _ in range(2)]
    simulator.change(4, spread_seconds=40)
    simulator.advance(61)
    simulator.reset_counters()
    rest = list(helpdesk.changes(None, resume=read[-1].resume))
    assert contents(newest([*read, *rest])) == truth(simulator)
    shares = [page.share or 0.0 for page in [*read, *rest]]
    assert shares == sorted(shares)
    assert 0.0 < shares[0] < shares[-1] == 1.0
    assert simulator.counters().of("search") == len(rest) == 3


def test_rejected_cursor_falls_back_to_the_window(
    simulator: SimulatedHelpdesk, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    cursor = caught_up(simulator, connect)
    since = now(simulator)
    changed = simulator.change(5, spread_seconds=50)
    simulator.advance(61)
    with caplog.at_level(logging.WARNING):
        pages = list(connect().changes(since, cursor="bm9uc2Vuc2U="))
    assert newest(pages).keys() == ids(changed)
    assert pages[-1].cursor not in (None, cursor)
    assert simulator.counters().calls["search"] == {"400": 1, "200": 1}
    (line,) = caplog.messages
    assert "rejects the cursor" in line
    assert since.isoformat() in line


def test_rejected_cursor_is_dropped(connect: Connect) -> None:
    def respond(seen: ReceivedRequest) -> CannedResponse:
        if "cursor=c1" in seen.path:
            return CannedResponse(status=422)
        return CannedResponse(json.dumps(exported([], after=None)).encode())

    with loopback(respond) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        assert [page.cursor for page in helpdesk.changes(START - MINUTE, cursor="c1")] == [None]


def test_other_errors_keep_the_cursor(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    cursor = caught_up(simulator, connect)
    changed = simulator.change(5, spread_seconds=50)
    simulator.advance(3600)
    simulator.fault("error_500", on="search", count=1)
    simulator.fault("rate_limit_429", on="search", count=1, after=1, retry_after=40)
    pages = list(connect().changes(now(simulator), cursor=cursor))
    assert newest(pages).keys() == ids(changed)
    assert simulator.counters().calls["search"] == {"500": 1, "429": 1, "200": 1}
    assert slept[1] == 40.5


@pytest.mark.parametrize("seconds_ago", [59, 0, -3600])
def test_start_in_the_last_minute_is_moved_back(
    simulator: SimulatedHelpdesk, connect: Connect, seconds_ago: int
) -> None:
    simulator.change(3)
    simulator.advance(60)
    pages = list(connect().changes(now(simulator) - timedelta(seconds=seconds_ago)))
    assert len(newest(pages)) == 3
    assert simulator.counters().calls["search"] == {"400": 1, "200": 1}


def test_minimum_overlap_exceeds_the_settle_delay(connect: Connect) -> None:
    """Otherwise, a window from the newest ticket of an adopted table would end before it starts."""
    capabilities = connect().capabilities
    assert capabilities.minimum_overlap > capabilities.settle_delay > MINUTE


def test_start_before_1970_is_clamped(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    pages = list(connect().changes(datetime(1900, 1, 1, tzinfo=UTC)))
    assert contents(newest(pages)) == truth(simulator)


def test_default_is_ten_exports_a_minute(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    list(connect(helpdesk_page_size=10, zendesk_exports_per_minute=30).changes(None))
    assert slept == []
    helpdesk = connect(helpdesk_page_size=10, zendesk_exports_per_minute=10)
    pages = list(helpdesk.changes(None))
    assert len(pages) == 12
    assert slept == [60.0]
    assert helpdesk.use.seconds_waited == 60.0


def test_default_page_size_is_the_maximum() -> None:
    default, smaller = settings(), settings(helpdesk_page_size=100)
    assert from_settings(default).capabilities.page_size == 1000
    assert from_settings(smaller).capabilities.page_size == 100


@pytest.mark.parametrize("user", [USER, f"{USER}/token", ""])
def test_both_auth_methods(simulator: SimulatedHelpdesk, connect: Connect, user: str) -> None:
    assert list(connect(helpdesk_user=user).changes(None))


@pytest.mark.parametrize("user", [USER, ""])
@pytest.mark.parametrize(("token", "status"), [("wrong", 401), (TOKEN_WITHOUT_RIGHTS, 403)])
def test_rejected_credentials_are_not_retried(
    simulator: SimulatedHelpdesk, connect: Connect, user: str, token: str, status: int
) -> None:
    helpdesk = connect(helpdesk_user=user, helpdesk_api_token=token)
    with pytest.raises(CredentialsRefused, match=f"{status} to GET .*HELPDESK_API_TOKEN"):
        list(helpdesk.changes(None))
    assert simulator.counters().total == 1


@pytest.mark.parametrize("user", ["ann", "ann@example.com:secret", "ann@exa\nmple.com"])
def test_user_that_is_no_email_address(user: str) -> None:
    wrong = settings(helpdesk_user=user)
    with pytest.raises(SettingsError, match="HELPDESK_USER"):
        from_settings(wrong)
    with pytest.raises(SettingsError, match="HELPDESK_USER") as caught:
        describe_settings(wrong)["helpdesk_user"]()
    assert "secret" not in str(caught.value)


def test_doctor_settings_report() -> None:
    said = {name: look() for name, look in describe_settings(settings()).items()}
    assert said == {
        "helpdesk_user": USER,
        "helpdesk_page_size": "1000",
        "helpdesk_concurrency": "1 (the export has one cursor)",
        "zendesk_exports_per_minute": "10",
    }
    assert "OAuth" in describe_settings(settings(helpdesk_user=""))["helpdesk_user"]()


@pytest.mark.asks_wrongly("no such endpoint")
def test_one_ticket(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    (living,), (deleted,) = simulator.archive(1), simulator.delete(1)
    ticket = connect().ticket(living)
    assert ticket is not None
    raw_ticket = truth(simulator)[living]
    # Only exports have this field.
    del raw_ticket["generated_timestamp"]
    assert json.loads(ticket.raw_json) == raw_ticket
    assert connect().ticket(deleted) is None
    assert connect().ticket("no such/../ticket?") is None


@pytest.mark.parametrize("fault", ["error_500", "truncated_json", "drop_connection"])
def test_single_ticket_is_retried(
    simulator: SimulatedHelpdesk, connect: Connect, fault: str
) -> None:
    simulator.fault(fault, on="ticket", count=2)
    (one, *_) = simulator.truth()
    assert connect().ticket(one.ticket_id) is not None


def test_wrong_ticket_in_the_response_is_an_error(connect: Connect) -> None:
    with loopback(answering({"ticket": ROW})) as server:
        assert connect(helpdesk_base_url=server.url).ticket("7") is not None
        with pytest.raises(EndpointFailed, match="answered with ticket 7"):
            connect(helpdesk_base_url=server.url).ticket("8")


def test_numbers_kept_as_text_are_counted(connect: Connect) -> None:
    body = json.dumps(exported([{**ROW, "external": "?"}])).replace('"?"', "0.12345678901234567891")
    with loopback(lambda _: CannedResponse(body.encode())) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        (page,) = helpdesk.changes(None)
    assert json.loads(page.tickets[0].raw_json)["external"] == "0.12345678901234567891"
    assert helpdesk.use.numbers_as_text == 1


def test_deleted_ticket_may_still_be_returned(connect: Connect) -> None:
    row = {key: value for key, value in ROW.items() if key != "generated_timestamp"}
    with loopback(answering({"ticket": {**row, "status": "deleted"}})) as server:
        ticket = connect(helpdesk_base_url=server.url).ticket("7")
    assert ticket is not None
    assert ticket.deleted_time == ticket.modified_time


def test_response_without_a_cursor_keeps_the_old_one(connect: Connect) -> None:
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
def test_page_without_continuation_is_an_error(connect: Connect, body: Any) -> None:
    with (
        loopback(answering(body)) as server,
        pytest.raises(EndpointFailed, match=r"incremental/tickets/cursor\.json"),
    ):
        list(connect(helpdesk_base_url=server.url).changes(None))


def test_start_rejected_for_another_reason(connect: Connect) -> None:
    refusing = CannedResponse(b'{"error":"InvalidValue","description":"per_page"}', status=422)
    with loopback(lambda _: refusing) as server:
        helpdesk = connect(helpdesk_base_url=server.url)
        with pytest.raises(EndpointFailed, match=r"answered 422: .*InvalidValue"):
            list(helpdesk.changes(START - timedelta(days=1), cursor="c1"))
    asked = [
        one.params.get("cursor") or one.params["start_time"] for one in sent_requests(server.seen)
    ]
    assert asked == ["c1", "1795341600", "1795341600"]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, ()),
        (
            {"X-Rate-Limit": "700", "X-Rate-Limit-Remaining": "699"},
            (RateLimitState(699, 700),),
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
            (RateLimitState(12, 700, 41), RateLimitState(3, 10, 40, "export")),
        ),
        ({"ratelimit-remaining": "many", "zendesk-ratelimit-incremental": "soon"}, ()),
    ],
)
def test_rate_limit_headers(headers: dict[str, str], left: tuple[RateLimitState, ...]) -> None:
    assert parse_rate_limit(CaseInsensitiveDict(headers)) == left


def test_exports_throttle_near_the_limit(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    simulator.fault("rate_limit", on="search", calls=2, window_seconds=60)
    pages = list(connect(helpdesk_page_size=30).changes(None))
    assert simulator.counters().calls["search"] == {"200": len(pages)} == {"200": 4}
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


def answering(*bodies: Any) -> Callable[[ReceivedRequest], CannedResponse]:
    """A server with these bodies in turn, repeating the last one."""
    left = list(bodies)
    return lambda _: CannedResponse(json.dumps(left.pop(0) if len(left) > 1 else left[0]).encode())


def test_first_export_request(connect: Connect) -> None:
    """Incremental exports, cursor based: `start_time` only in the first request.

    It is in Unix seconds. All other requests have a `cursor`; `per_page` is at most 1000.
    """
    pages = exported([ROW], is_last=False), exported([])
    with loopback(answering(*pages)) as server:
        helpdesk = connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken")
        list(helpdesk.changes(datetime(2026, 11, 22, 10, 0, 0, 900, tzinfo=UTC)))
    assert sent_requests(server.seen) == [
        SentRequest("GET", EXPORT, {"start_time": "1795341600", "per_page": "1000"}, BASIC),
        SentRequest("GET", EXPORT, {"cursor": "c2", "per_page": "1000"}, BASIC),
    ]


def test_export_request_from_the_beginning(connect: Connect) -> None:
    with loopback(answering(exported([]))) as server:
        list(connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken").listing())
    assert sent_requests(server.seen) == [
        SentRequest("GET", EXPORT, {"start_time": "0", "per_page": "1000"}, BASIC)
    ]


def test_export_request_of_an_inventory(connect: Connect, slept: list[float]) -> None:
    """To its end, and again from there after the last minute has passed.

    Otherwise, changes of that minute which were not read yet would be missing.
    """
    late = {**ROW, "id": 8, "status": "deleted"}
    pages = exported([ROW], "c2", is_last=False), exported([], "c3"), exported([late], "c4")
    with loopback(answering(*pages)) as server:
        helpdesk = connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken")
        listed = [line for page in helpdesk.inventory() for line in page.entries]
    assert sent_requests(server.seen) == [
        SentRequest("GET", EXPORT, {"start_time": "0", "per_page": "1000"}, BASIC),
        SentRequest("GET", EXPORT, {"cursor": "c2", "per_page": "1000"}, BASIC),
        SentRequest("GET", EXPORT, {"cursor": "c3", "per_page": "1000"}, BASIC),
    ]
    assert slept == [61.0]
    assert helpdesk.use.seconds_waited == 61.0
    modified = datetime.fromisoformat(ROW["updated_at"])
    assert listed == [InventoryEntry("7", modified), InventoryEntry("8", modified, gone=True)]


def test_export_request_of_a_later_run(connect: Connect) -> None:
    """Cursors are Base64, which has characters that are special in a query."""
    cursor = "MTc5MzYxMzYwNS4wfHwxMDF8+/=="
    with loopback(answering(exported([]))) as server:
        helpdesk = connect(
            helpdesk_base_url=server.url, helpdesk_api_token="t0ken", helpdesk_user=""
        )
        list(helpdesk.changes(START, cursor=cursor))
    assert sent_requests(server.seen) == [
        SentRequest("GET", EXPORT, {"cursor": cursor, "per_page": "1000"}, BEARER)
    ]


def test_export_start_is_moved_out_of_the_last_minute(connect: Connect) -> None:
    """`start_time` must be more than a minute ago, by Zendesk's clock."""
    assert DATE == "Mon, 23 Nov 2026 10:00:00 GMT"

    def respond(seen: ReceivedRequest) -> CannedResponse:
        is_early = "start_time=1795427939&" in seen.path
        return (
            CannedResponse(json.dumps(exported([])).encode())
            if is_early
            else CannedResponse(status=400)
        )

    with loopback(respond) as server:
        list(connect(helpdesk_base_url=server.url).changes(START + timedelta(hours=1)))
    asked = [
        datetime.fromtimestamp(int(one.params["start_time"]), UTC)
        for one in sent_requests(server.seen)
    ]
    assert asked == [START + timedelta(hours=1), START - MINUTE - SECOND]


def test_request_for_one_ticket(connect: Connect) -> None:
    with loopback(answering({"ticket": ROW})) as server:
        connect(helpdesk_base_url=server.url, helpdesk_api_token="t0ken").ticket("7")
    assert sent_requests(server.seen) == [SentRequest("GET", "/api/v2/tickets/7.json", {}, BASIC)]
