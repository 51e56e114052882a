"""What is Zoho Desk's own, against the simulated helpdesk that speaks its dialect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpdesk_assets.errors import (
    AllowanceSpent,
    CredentialsRefused,
    EndpointFailed,
    WindowTooDense,
)
from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.dialects.zoho_desk import ZohoDeskDialect
from helpdesk_assets.local.simulator.dialects.zoho_desk_tokens import (
    CLIENT_ID,
    CLIENT_SECRET,
    ORG_ID,
)
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client.connection import World
from helpdesk_assets.providers.zoho_desk.adapter import ZohoDeskHelpdesk, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.pages import contents, newest

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICK = timedelta(milliseconds=1)

Connect = Callable[..., ZohoDeskHelpdesk]


@pytest.fixture
def desk() -> Iterator[SimulatedHelpdesk]:
    """Its clock has moved on by an hour, so what a test changes is later than all before."""
    with SimulatedHelpdesk(tickets=130, start=START, frozen=True, dialect="zoho_desk") as desk:
        desk.advance(3600)
        yield desk


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connect(slept: list[float], request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Waiting moves the helpdesk's clock on."""
    made: list[ZohoDeskHelpdesk] = []

    def make(desk: SimulatedHelpdesk | None = None, **more: Any) -> ZohoDeskHelpdesk:
        desk = desk or request.getfixturevalue("desk")
        given = {
            "helpdesk_base_url": desk.base_url,
            "zoho_accounts_url": desk.base_url,
            "zoho_org_id": ORG_ID,
            "zoho_client_id": CLIENT_ID,
            "zoho_client_secret": CLIENT_SECRET,
            "zoho_refresh_token": desk.token,
            "zoho_token_cache": "off",
        }
        settings = Settings.model_validate({**given, **more})

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            desk.advance(seconds)

        world = World(
            clock=lambda: desk.clock().now,
            timer=lambda: sum(slept),
            sleep=sleep,
            chance=lambda: 0.5,
        )
        made.append(from_settings(settings, world))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def truth(desk: SimulatedHelpdesk) -> dict[str, Any]:
    return {one.ticket_id: one.whole for one in desk.truth(whole=True, gone=True)}


def ids(changed: Iterable[TrueTicket]) -> set[str]:
    return {one.ticket_id for one in changed}


def now(desk: SimulatedHelpdesk) -> datetime:
    return desk.clock().now


WAYS: dict[str, Callable[[ZohoDeskHelpdesk], Any]] = {
    "changes": lambda helpdesk: helpdesk.changes(None),
    "listing": lambda helpdesk: helpdesk.listing(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_newest_first", [True, False])
def test_everything_from_the_beginning_with_what_is_gone(
    desk: SimulatedHelpdesk,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    is_newest_first: bool,
) -> None:
    monkeypatch.setattr(ZohoDeskDialect, "bin_is_newest_first", is_newest_first)
    spam, deleted = desk.mark_spam(2), desk.delete(3)
    merged = [one.ticket_id for one in desk.truth()][:2]
    desk.merge(merged, into=next(t.ticket_id for t in desk.truth() if t.ticket_id not in merged))
    ended = {one.ticket_id: one.ended_at for one in desk.truth(gone=True) if one.end}
    desk.advance(10)
    pages = list(WAYS[way](connect(helpdesk_page_size=20)))
    got = newest(pages)
    assert contents(got) == truth(desk)
    assert {key: one.deleted_time for key, one in got.items() if one.deleted_time} == ended
    assert {*spam, *deleted, *merged} <= ended.keys()
    assert {page.until for page in pages} == {now(desk) - TICK}


def test_the_listing_goes_by_the_time_of_creation(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    """And leaves nothing that changes could go on from."""
    helpdesk = connect(helpdesk_page_size=20, helpdesk_concurrency=1)
    pages = list(helpdesk.listing())
    assert {page.resume for page in pages} == {None}
    rows = [ticket for page in pages for ticket in page.tickets if not ticket.deleted_time]
    created = [ticket.created_time for ticket in rows if ticket.created_time]
    assert len(created) == len(rows)
    assert created == sorted(created)
    counters = desk.counters()
    assert (counters.of("search"), counters.of("listing") > 5) == (0, True)
    assert helpdesk.capabilities.listing_is_stable


def test_few_calls_when_nothing_changed(desk: SimulatedHelpdesk, connect: Connect) -> None:
    pages = list(connect().changes(now(desk) - timedelta(minutes=5)))
    assert [page.tickets for page in pages] == [()]
    assert pages[-1].until == now(desk) - TICK
    assert desk.counters().of("search") == desk.counters().of("login") == 1


@pytest.mark.parametrize("are_inclusive", [True, False])
def test_both_ends_of_a_window_are_in_it_whatever_a_range_means(
    desk: SimulatedHelpdesk, connect: Connect, monkeypatch: pytest.MonkeyPatch, are_inclusive: bool
) -> None:
    monkeypatch.setattr(ZohoDeskDialect, "ends_are_inclusive", are_inclusive)
    earlier = desk.change(3, same_second=True)
    desk.advance(1)
    first, since = desk.change(25, same_second=True), now(desk)
    desk.advance(5)
    last, until = desk.change(25, same_second=True), now(desk)
    desk.advance(1)
    later = desk.change(3, same_second=True)
    inside = {*ids(first), *ids(last)} - ids(later)
    for size in (10, 100):
        got = newest(connect(helpdesk_page_size=size).changes(since, until))
        assert got.keys() == inside
    assert not (ids(earlier) - inside) & got.keys()


def test_a_dense_moment_is_not_read_again_to_get_past_it(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    since = now(desk)
    desk.advance(5)
    desk.change(95, same_second=True)
    desk.advance(5)
    after = desk.change(3, spread_seconds=3)
    desk.advance(5)
    pages = list(connect(helpdesk_page_size=10, helpdesk_concurrency=1).changes(since))
    assert ids(after) <= newest(pages).keys()
    # One to get there, twice ten within it, a look back that shows that ranges are inclusive, and
    # what follows.
    assert desk.counters().of("search") <= 25


@pytest.mark.parametrize("are_inclusive", [True, False])
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("way", WAYS)
def test_changes_while_paging_lose_nothing(
    desk: SimulatedHelpdesk,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    are_inclusive: bool,
    concurrency: int,
    way: str,
) -> None:
    monkeypatch.setattr(ZohoDeskDialect, "ends_are_inclusive", are_inclusive)
    endpoint = {"changes": "search", "listing": "listing"}[way]
    desk.fault("changes_while_paging", on=endpoint, changes=5, advance_seconds=10, count=15)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_concurrency=concurrency)
    pages = list(WAYS[way](helpdesk))
    desk.clear_faults()
    desk.advance(5)
    rest = list(helpdesk.changes(pages[-1].until))
    assert contents(newest([*pages, *rest])) == truth(desk)


def test_what_is_deleted_while_the_rest_is_read_is_the_next_windows(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    since = now(desk)
    (earlier,) = desk.delete(1)
    helpdesk = connect()
    walk = helpdesk.changes(since)
    first = next(walk)
    assert newest([first]).keys() == {earlier}
    desk.advance(60)
    (deleted,) = desk.delete(1)
    pages = [first, *walk]
    assert {page.until for page in pages} == {first.until}
    assert newest(helpdesk.changes(first.until))[deleted].deleted_time == now(desk)


def test_an_interrupted_reading_goes_on_and_looks_into_the_bin_again(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    desk.delete(1)
    helpdesk = connect(helpdesk_page_size=20, helpdesk_concurrency=1)
    read = []
    for page in helpdesk.changes(None):
        read.append(page)
        if page.resume and (page.share or 0.0) > 0.5:
            break
    of_gone = [page for page in read if page.tickets and "isTrashed" in page.tickets[0].raw_json]
    assert {(page.resume, page.share) for page in of_gone} == {(None, None)}
    (deleted,) = desk.delete(1)
    desk.advance(10)
    rest = list(helpdesk.changes(None, resume=read[-1].resume))
    assert contents(newest([*read, *rest])) == truth(desk)
    assert newest(rest)[deleted].deleted_time
    again = {key for key, one in newest(rest).items() if not one.deleted_time} & newest(read).keys()
    assert len(again) <= 2


@pytest.mark.parametrize("fault", ["empty_page", "page_cut_short", "repeated_rows"])
@pytest.mark.parametrize("endpoint", ["search", "gone"])
def test_odd_pages_lose_nothing(
    desk: SimulatedHelpdesk, connect: Connect, fault: str, endpoint: str
) -> None:
    desk.delete(5)
    desk.advance(10)
    desk.fault(fault, on=endpoint, count=2)
    assert contents(newest(connect().changes(None))) == truth(desk)


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_call_is_tried_again(
    desk: SimulatedHelpdesk, connect: Connect, slept: list[float], way: str
) -> None:
    desk.fault("error_500", on="gone", count=1)
    desk.fault("rate_limit_429", on="search", count=1, retry_after=40)
    desk.fault("not_json", on="listing", count=1)
    assert contents(newest(WAYS[way](connect()))) == truth(desk)
    assert len(slept) == 2
    if way == "changes":
        assert slept[-1] == 40.5


def test_a_row_of_2099_is_given_and_moves_nothing(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    desk.fault("future_row", on="search")
    pages = list(connect(helpdesk_page_size=20).changes(None))
    assert {page.until for page in pages} == {now(desk) - TICK}
    assert max(one.modified_time for one in newest(pages).values()).year == 2099


# --- caps -----------------------------------------------------------------------------------------


@pytest.fixture
def capped() -> Iterator[SimulatedHelpdesk]:
    """60 rows, six pages of ten, are all that one query gives."""
    with SimulatedHelpdesk(
        tickets=100, start=START, frozen=True, dialect="zoho_desk", cap=60
    ) as desk:
        yield desk


SMALL: dict[str, Any] = {"helpdesk_page_size": 10, "helpdesk_result_cap": 60}


@pytest.mark.parametrize("way", WAYS)
def test_a_cap_is_got_round(capped: SimulatedHelpdesk, connect: Connect, way: str) -> None:
    capped.advance(3600)
    capped.create(59)
    capped.advance(10)
    dense = capped.change(59, same_second=True)
    capped.advance(1)
    after = capped.change(3, spread_seconds=3)
    capped.advance(10)
    got = newest(WAYS[way](connect(capped, **SMALL)))
    assert contents(got) == truth(capped)
    assert {*ids(dense), *ids(after)} <= got.keys()


@pytest.mark.parametrize("is_known", [True, False])
def test_more_at_one_moment_than_the_cap_is_an_error(
    capped: SimulatedHelpdesk, connect: Connect, is_known: bool
) -> None:
    """Also where the cap turns out to be less than is documented: 422 tells of it."""
    capped.advance(3600)
    capped.reset_counters()
    since = now(capped)
    capped.advance(10)
    capped.change(61, same_second=True)
    at = now(capped)
    capped.advance(10)
    helpdesk = connect(capped, **SMALL if is_known else {"helpdesk_page_size": 10})
    with pytest.raises(WindowTooDense) as caught:
        list(helpdesk.changes(since))
    assert str(caught.value) == (
        f"At least 60 tickets have the modifiedTime {at.isoformat()}, to the millisecond, and Zoho "
        "Desk gives no more in one query. Change some of them again there (a bulk action on a part "
        "of them), which moves these to another time; then run again."
    )
    # What is known to be refused is not asked for.
    assert ("422" in capped.counters().calls["search"]) is not is_known
    assert helpdesk.use.calls < 40
    capped.change(61, spread_seconds=61)


def test_more_made_at_one_moment_than_the_cap_is_an_error_of_the_listing_alone(
    connect: Connect,
) -> None:
    with SimulatedHelpdesk(
        tickets=10, start=START, frozen=True, dialect="zoho_desk", cap=60
    ) as desk:
        made = desk.create(61)
        desk.change(ids=[one.ticket_id for one in made], spread_seconds=61)
        desk.advance(10)
        helpdesk = connect(desk, **SMALL)
        with pytest.raises(WindowTooDense, match="At least 60 tickets have the createdTime 2026"):
            list(helpdesk.listing())
        assert contents(newest(helpdesk.changes(None))) == truth(desk)


# --- gone -----------------------------------------------------------------------------------------


def test_a_ticket_in_the_bin_that_cannot_be_read_is_a_tombstone(
    desk: SimulatedHelpdesk, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ZohoDeskDialect, "shows_trashed", False)
    since = now(desk)
    (deleted,), at = desk.delete(1), now(desk)
    desk.advance(10)
    gone = newest(connect().changes(since))[deleted]
    assert (gone.tombstone, gone.deleted_time, gone.subject) == (True, at, None)
    # Later than whatever else happened in that second.
    assert gone.modified_time == at + timedelta(milliseconds=999)
    assert json.loads(gone.raw_json)["type"] == "Tickets"


def test_a_merged_ticket_that_is_nowhere_is_no_error(
    desk: SimulatedHelpdesk, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ZohoDeskDialect, "merged_are_in_the_bin", False)
    since = now(desk)
    into, merged = [one.ticket_id for one in desk.change(2)]
    desk.merge([merged], into)
    desk.advance(10)
    helpdesk = connect()
    assert newest(helpdesk.changes(since)).keys() == {into}
    assert helpdesk.ticket(merged) is None


def test_only_what_was_deleted_in_the_window_is_read_again(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    desk.delete(3)
    desk.advance(10)
    since = now(desk)
    (inside,) = desk.delete(1)
    until = now(desk)
    desk.advance(10)
    desk.delete(2)
    assert newest(connect().changes(since, until)).keys() == {inside}
    assert desk.counters().of("ticket") == 1


def test_a_bin_of_many_pages(connect: Connect) -> None:
    """And nothing that lies in it is a ticket of this helpdesk but the tickets."""
    with SimulatedHelpdesk(tickets=130, start=START, frozen=True, dialect="zoho_desk") as desk:
        deleted = desk.delete(120)
        desk.advance(10)
        got = newest(connect(desk).changes(START))
        assert got.keys() == set(deleted)
        # 160 rows, each page beginning with the last row of the one before.
        assert desk.counters().of("gone") == 5
        assert desk.counters().of("ticket") == 120


def test_spam_stays_and_is_gone(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(desk)
    (spam,), at = desk.mark_spam(1), now(desk)
    desk.advance(10)
    helpdesk = connect()
    assert newest(helpdesk.changes(since))[spam].deleted_time == at
    one = helpdesk.ticket(spam)
    assert one is not None
    assert one.deleted_time == at


def test_without_the_bin_nothing_tells_of_deleted_tickets(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    since = now(desk)
    desk.delete(1)
    desk.advance(10)
    assert newest(connect(zoho_recycle_bin=False).changes(since)) == {}
    assert desk.counters().of("gone") == 0


def test_a_token_without_the_scope_of_the_bin_is_an_error_that_says_what_to_do(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on would leave deleted tickets alive in the table, and nobody would know."""
    scopes = frozenset({"Desk.tickets.READ", "Desk.search.READ"})
    target = (
        "helpdesk_assets.local.simulator.dialects.zoho_desk_tokens"
        ".TokenServer.__init__.__defaults__"
    )
    monkeypatch.setattr(target, (scopes,))
    with SimulatedHelpdesk(tickets=10, start=START, frozen=True, dialect="zoho_desk") as desk:
        with pytest.raises(CredentialsRefused, match=r"Desk\.settings\.READ.*ZOHO_RECYCLE_BIN="):
            list(connect(desk).changes(None))
        assert len(newest(connect(desk, zoho_recycle_bin=False).changes(None))) == 10


# --- archived, one ticket, details ----------------------------------------------------------------


@pytest.mark.parametrize("are_found", [True, False])
def test_archived_tickets_are_not_gone(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, are_found: bool
) -> None:
    monkeypatch.setattr(ZohoDeskDialect, "finds_archived", are_found)
    with SimulatedHelpdesk(tickets=20, start=START, frozen=True, dialect="zoho_desk") as desk:
        archived = desk.archive(3)
        desk.advance(10)
        got = newest(connect(desk).changes(None))
    assert [each in got for each in archived] == [are_found] * 3
    assert not any(one.deleted_time for one in got.values())


def test_one_ticket(desk: SimulatedHelpdesk, connect: Connect) -> None:
    living, (deleted,) = next(desk.truth(whole=True)), desk.delete(1)
    helpdesk = connect()
    ticket = helpdesk.ticket(living.ticket_id)
    assert ticket is not None
    assert living.whole is not None
    assert json.loads(ticket.raw_json) == {**living.whole, "isTrashed": False}
    assert ticket.assignee == living.whole["assigneeId"]
    gone = helpdesk.ticket(deleted)
    assert gone is not None
    assert gone.deleted_time
    assert helpdesk.ticket("123") is None
    calls = desk.counters().total
    assert helpdesk.ticket("../recycleBin?limit=1") is None
    assert desk.counters().total == calls


def test_details_are_fetched_by_id(desk: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(desk)
    desk.advance(10)
    (deleted,), changed = desk.delete(1), desk.change(12, spread_seconds=12)
    desk.advance(10)
    helpdesk = connect(helpdesk_fetch_details=True)
    got = newest(helpdesk.changes(since))
    assert got.keys() == {deleted, *ids(changed)}
    assert all("isTrashed" in ticket for ticket in contents(got).values())
    assert desk.counters().of("ticket") == len(got)
    assert not helpdesk.capabilities.lists_are_whole


# --- tokens and limits ----------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_token_that_ends_in_mid_run_is_renewed_once(
    desk: SimulatedHelpdesk, connect: Connect, concurrency: int
) -> None:
    desk.fault("token_ends", on="search", after=3, count=1)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_concurrency=concurrency)
    assert contents(newest(helpdesk.changes(None))) == truth(desk)
    assert desk.counters().calls["login"] == {"200": 2}
    assert desk.counters().calls["search"]["401"] >= 1


def test_a_token_is_kept_between_runs(
    desk: SimulatedHelpdesk, connect: Connect, tmp_path: Path
) -> None:
    for _ in range(3):
        list(connect(zoho_token_cache=str(tmp_path)).changes(now(desk)))
    assert desk.counters().of("login") == 1
    desk.advance(3600)
    list(connect(zoho_token_cache=str(tmp_path)).changes(now(desk)))
    assert desk.counters().of("login") == 2


def test_its_calls_are_counted(desk: SimulatedHelpdesk, connect: Connect) -> None:
    helpdesk = connect()
    list(helpdesk.changes(now(desk)))
    assert helpdesk.use.calls == desk.counters().total


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"zoho_refresh_token": "wrong"}, "ZOHO_REFRESH_TOKEN is not valid"),
        ({"zoho_client_id": "wrong"}, "ZOHO_CLIENT_ID is not valid"),
        ({"zoho_client_secret": "wrong"}, "ZOHO_CLIENT_SECRET is not valid"),
        ({"zoho_org_id": "17"}, "another organisation than ZOHO_ORG_ID"),
        ({"zoho_refresh_token": TOKEN_WITHOUT_RIGHTS}, "SCOPE_MISMATCH"),
    ],
)
@pytest.mark.parametrize("way", ["changes", "listing", "ticket"])
def test_refused_credentials_are_never_tried_again(
    desk: SimulatedHelpdesk, connect: Connect, wrong: dict[str, str], told: str, way: str
) -> None:
    helpdesk = connect(**wrong)
    ways: dict[str, Callable[[], object]] = {
        "changes": lambda: list(helpdesk.changes(None)),
        "listing": lambda: list(helpdesk.listing()),
        "ticket": lambda: helpdesk.ticket("1"),
    }
    with pytest.raises(CredentialsRefused, match=told):
        ways[way]()
    assert desk.counters().of("login") == 1
    assert desk.counters().total <= 2


def test_the_eleventh_token_is_neither_sent_nor_waited_for(
    desk: SimulatedHelpdesk, connect: Connect, slept: list[float], tmp_path: Path
) -> None:
    desk.fault("token_ends", on="gone")
    for _ in range(12):
        with pytest.raises((CredentialsRefused, AllowanceSpent)) as caught:
            list(connect(zoho_token_cache=str(tmp_path)).changes(now(desk)))
    assert "Run again in" in str(caught.value)
    assert desk.counters().calls["login"] == {"200": 10}
    assert slept == []


def test_spent_credits_end_the_run_at_once(
    desk: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    desk.fault("rate_limit_429", on="search", retry_after=43_200)
    with pytest.raises(AllowanceSpent, match="Run again in 720 minutes"):
        list(connect().changes(None))
    assert slept == []
    assert desk.counters().of("search") == 1


def test_too_many_at_once_is_waited_out(
    desk: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    desk.fault("rate_limit_429", on="search", count=2, retry_after=None)
    assert contents(newest(connect().changes(None))) == truth(desk)
    assert len(slept) == 2


def test_as_many_at_once_as_the_smallest_plan_allows(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    desk.fault("latency", seconds=0.005)
    list(connect(helpdesk_page_size=2).changes(None))
    assert 1 < desk.counters().max_concurrent <= 5


def test_an_endpoint_that_stays_broken_is_given_up(
    desk: SimulatedHelpdesk, connect: Connect
) -> None:
    desk.fault("error_500", on="search")
    with pytest.raises(EndpointFailed, match=r"INTERNAL_SERVER_ERROR.*Given up after 8 tries"):
        list(connect().changes(None))
