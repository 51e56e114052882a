"""Behavior specific to Zoho Desk, against the simulated Zoho Desk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    RateLimitExhausted,
    WindowTooDense,
)
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.dialects.zoho_desk_tokens import (
    CLIENT_ID,
    CLIENT_SECRET,
    ORG_ID,
)
from helpdesk_assets.local.simulator.fact_switches import facts_of
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.zoho_desk.adapter import ZohoDeskAdapter, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.pages import contents, newest

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICK = timedelta(milliseconds=1)

Connect = Callable[..., ZohoDeskAdapter]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """Its clock is an hour ahead, so changes by a test are later than all others."""
    friendly = [fact.key for fact in facts_of("zoho_desk")]
    with SimulatedHelpdesk(
        tickets=130, start=START, frozen=True, dialect="zoho_desk", friendly=friendly
    ) as simulator:
        simulator.advance(3600)
        yield simulator


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connect(slept: list[float], request: pytest.FixtureRequest) -> Iterator[Connect]:
    """An adapter whose waits advance the helpdesk's clock."""
    made: list[ZohoDeskAdapter] = []

    def make(simulator: SimulatedHelpdesk | None = None, **more: Any) -> ZohoDeskAdapter:
        simulator = simulator or request.getfixturevalue("simulator")
        given = {
            "helpdesk_base_url": simulator.base_url,
            "zoho_accounts_url": simulator.base_url,
            "zoho_org_id": ORG_ID,
            "zoho_client_id": CLIENT_ID,
            "zoho_client_secret": CLIENT_SECRET,
            "zoho_refresh_token": simulator.token,
            "zoho_token_cache": "off",
        }
        settings = Settings.model_validate({**given, **more})

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            simulator.advance(seconds)

        world = Runtime(
            now=lambda: simulator.clock().now,
            monotonic=lambda: sum(slept),
            sleep=sleep,
            rng=lambda: 0.5,
        )
        made.append(from_settings(settings, world))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


def truth(simulator: SimulatedHelpdesk) -> dict[str, Any]:
    return {
        one.ticket_id: one.raw_ticket
        for one in simulator.truth(raw_ticket=True, include_removed=True)
    }


def ids(changed: Iterable[TrueTicket]) -> set[str]:
    return {one.ticket_id for one in changed}


def now(simulator: SimulatedHelpdesk) -> datetime:
    return simulator.clock().now


WAYS: dict[str, Callable[[ZohoDeskAdapter], Any]] = {
    "changes": lambda helpdesk: helpdesk.changes(None),
    "listing": lambda helpdesk: helpdesk.listing(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_newest_first", [True, False])
def test_full_read_includes_deleted_tickets(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    way: str,
    is_newest_first: bool,
) -> None:
    simulator.switch("zoho_desk.bin_is_newest_first", friendly=is_newest_first)
    spam, deleted = simulator.mark_spam(2), simulator.delete(3)
    merged = [one.ticket_id for one in simulator.truth()][:2]
    simulator.merge(
        merged, into=next(t.ticket_id for t in simulator.truth() if t.ticket_id not in merged)
    )
    ended = {
        one.ticket_id: one.removed_at
        for one in simulator.truth(include_removed=True)
        if one.removal_kind
    }
    simulator.advance(10)
    pages = list(WAYS[way](connect(helpdesk_page_size=20)))
    got = newest(pages)
    assert contents(got) == truth(simulator)
    assert {key: one.deleted_time for key, one in got.items() if one.deleted_time} == ended
    assert {*spam, *deleted, *merged} <= ended.keys()
    assert {page.until for page in pages} == {now(simulator) - TICK}


def test_listing_is_ordered_by_created_time(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    """It leaves no position from which a read of changes could resume."""
    helpdesk = connect(helpdesk_page_size=20, helpdesk_concurrency=1)
    pages = list(helpdesk.listing())
    assert {page.resume for page in pages} == {None}
    rows = [ticket for page in pages for ticket in page.tickets if not ticket.deleted_time]
    created = [ticket.created_time for ticket in rows if ticket.created_time]
    assert len(created) == len(rows)
    assert created == sorted(created)
    counters = simulator.counters()
    assert (counters.of("search"), counters.of("listing") > 5) == (0, True)
    assert helpdesk.capabilities.listing_is_stable


def test_no_changes_cost_few_calls(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    pages = list(connect().changes(now(simulator) - timedelta(minutes=5)))
    assert [page.tickets for page in pages] == [()]
    assert pages[-1].until == now(simulator) - TICK
    assert simulator.counters().of("search") == simulator.counters().of("login") == 1


@pytest.mark.parametrize("are_inclusive", [True, False])
def test_both_ends_of_a_window_are_included(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    are_inclusive: bool,
) -> None:
    simulator.switch("zoho_desk.range_includes_its_ends", friendly=are_inclusive)
    earlier = simulator.change(3, same_second=True)
    simulator.advance(1)
    first, since = simulator.change(25, same_second=True), now(simulator)
    simulator.advance(5)
    last, until = simulator.change(25, same_second=True), now(simulator)
    simulator.advance(1)
    later = simulator.change(3, same_second=True)
    inside = {*ids(first), *ids(last)} - ids(later)
    for size in (10, 100):
        got = newest(connect(helpdesk_page_size=size).changes(since, until))
        assert got.keys() == inside
    assert not (ids(earlier) - inside) & got.keys()


def test_dense_moment_is_read_once(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(simulator)
    simulator.advance(5)
    simulator.change(95, same_second=True)
    simulator.advance(5)
    after = simulator.change(3, spread_seconds=3)
    simulator.advance(5)
    pages = list(connect(helpdesk_page_size=10, helpdesk_concurrency=1).changes(since))
    assert ids(after) <= newest(pages).keys()
    # One to get there, twice ten within it, a look back that shows that ranges are inclusive, and
    # what follows.
    assert simulator.counters().of("search") <= 25


@pytest.mark.parametrize("are_inclusive", [True, False])
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("way", WAYS)
def test_changes_while_paging_lose_nothing(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    are_inclusive: bool,
    concurrency: int,
    way: str,
) -> None:
    simulator.switch("zoho_desk.range_includes_its_ends", friendly=are_inclusive)
    endpoint = {"changes": "search", "listing": "listing"}[way]
    simulator.fault("changes_while_paging", on=endpoint, changes=5, advance_seconds=10, count=15)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_concurrency=concurrency)
    pages = list(WAYS[way](helpdesk))
    simulator.clear_faults()
    simulator.advance(5)
    rest = list(helpdesk.changes(pages[-1].until))
    assert contents(newest([*pages, *rest])) == truth(simulator)


def test_deletions_during_a_read_belong_to_the_next_window(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    since = now(simulator)
    (earlier,) = simulator.delete(1)
    helpdesk = connect()
    walk = helpdesk.changes(since)
    first = next(walk)
    assert newest([first]).keys() == {earlier}
    simulator.advance(60)
    (deleted,) = simulator.delete(1)
    pages = [first, *walk]
    assert {page.until for page in pages} == {first.until}
    assert newest(helpdesk.changes(first.until))[deleted].deleted_time == now(simulator)


def test_interrupted_read_resumes_and_rereads_the_bin(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.delete(1)
    helpdesk = connect(helpdesk_page_size=20, helpdesk_concurrency=1)
    read = []
    for page in helpdesk.changes(None):
        read.append(page)
        if page.resume and (page.share or 0.0) > 0.5:
            break
    of_gone = [page for page in read if page.tickets and "isTrashed" in page.tickets[0].raw_json]
    assert {(page.resume, page.share) for page in of_gone} == {(None, None)}
    (deleted,) = simulator.delete(1)
    simulator.advance(10)
    rest = list(helpdesk.changes(None, resume=read[-1].resume))
    assert contents(newest([*read, *rest])) == truth(simulator)
    assert newest(rest)[deleted].deleted_time
    again = {key for key, one in newest(rest).items() if not one.deleted_time} & newest(read).keys()
    assert len(again) <= 2


@pytest.mark.parametrize("fault", ["empty_page", "page_cut_short", "repeated_rows"])
@pytest.mark.parametrize("endpoint", ["search", "gone"])
def test_odd_pages_lose_nothing(
    simulator: SimulatedHelpdesk, connect: Connect, fault: str, endpoint: str
) -> None:
    simulator.delete(5)
    simulator.advance(10)
    simulator.fault(fault, on=endpoint, count=2)
    assert contents(newest(connect().changes(None))) == truth(simulator)


@pytest.mark.parametrize("way", WAYS)
def test_failed_call_is_retried(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float], way: str
) -> None:
    simulator.fault("error_500", on="gone", count=1)
    simulator.fault("rate_limit_429", on="search", count=1, retry_after=40)
    simulator.fault("not_json", on="listing", count=1)
    assert contents(newest(WAYS[way](connect()))) == truth(simulator)
    assert len(slept) == 2
    if way == "changes":
        assert slept[-1] == 40.5


def test_row_dated_2099_does_not_advance_the_window(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.fault("future_row", on="search")
    pages = list(connect(helpdesk_page_size=20).changes(None))
    assert {page.until for page in pages} == {now(simulator) - TICK}
    assert max(one.modified_time for one in newest(pages).values()).year == 2099


# --- caps -----------------------------------------------------------------------------------------


@pytest.fixture
def capped() -> Iterator[SimulatedHelpdesk]:
    """One query gives at most 60 rows, six pages of ten."""
    with SimulatedHelpdesk(
        tickets=100, start=START, frozen=True, dialect="zoho_desk", cap=60
    ) as simulator:
        yield simulator


SMALL: dict[str, Any] = {"helpdesk_page_size": 10, "helpdesk_result_cap": 60}


@pytest.mark.parametrize("way", WAYS)
def test_result_cap_is_worked_around(capped: SimulatedHelpdesk, connect: Connect, way: str) -> None:
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
def test_one_moment_beyond_the_cap_is_an_error(
    capped: SimulatedHelpdesk, connect: Connect, is_known: bool
) -> None:
    """Also if the cap is lower than documented, which a 422 shows."""
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
    # A page known to be refused is not requested.
    assert ("422" in capped.counters().calls["search"]) is not is_known
    assert helpdesk.use.calls < 40
    capped.change(61, spread_seconds=61)


def test_created_times_beyond_the_cap_fail_only_the_listing(
    connect: Connect,
) -> None:
    with SimulatedHelpdesk(
        tickets=10, start=START, frozen=True, dialect="zoho_desk", cap=60
    ) as simulator:
        made = simulator.create(61)
        simulator.change(ids=[one.ticket_id for one in made], spread_seconds=61)
        simulator.advance(10)
        helpdesk = connect(simulator, **SMALL)
        with pytest.raises(WindowTooDense, match="At least 60 tickets have the createdTime 2026"):
            list(helpdesk.listing())
        assert contents(newest(helpdesk.changes(None))) == truth(simulator)


# --- gone -----------------------------------------------------------------------------------------


def test_unreadable_ticket_in_the_bin_becomes_a_tombstone(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.switch("zoho_desk.trashed_are_readable", friendly=False)
    since = now(simulator)
    (deleted,), at = simulator.delete(1), now(simulator)
    simulator.advance(10)
    gone = newest(connect().changes(since))[deleted]
    assert (gone.tombstone, gone.deleted_time, gone.subject) == (True, at, None)
    # Later than everything else in that second.
    assert gone.modified_time == at + timedelta(milliseconds=999)
    assert json.loads(gone.raw_json)["type"] == "Tickets"


def test_missing_merged_ticket_is_not_an_error(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.switch("zoho_desk.merged_are_in_the_bin", friendly=False)
    since = now(simulator)
    into, merged = [one.ticket_id for one in simulator.change(2)]
    simulator.merge([merged], into)
    simulator.advance(10)
    helpdesk = connect()
    assert newest(helpdesk.changes(since)).keys() == {into}
    assert helpdesk.ticket(merged) is None


def test_only_deletions_within_the_window_are_read_again(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.delete(3)
    simulator.advance(10)
    since = now(simulator)
    (inside,) = simulator.delete(1)
    until = now(simulator)
    simulator.advance(10)
    simulator.delete(2)
    assert newest(connect().changes(since, until)).keys() == {inside}
    assert simulator.counters().of("ticket") == 1


def test_bin_with_many_pages(connect: Connect) -> None:
    """Of its records, only tickets become tickets."""
    with SimulatedHelpdesk(tickets=130, start=START, frozen=True, dialect="zoho_desk") as simulator:
        deleted = simulator.delete(120)
        simulator.advance(10)
        got = newest(connect(simulator).changes(START))
        assert got.keys() == set(deleted)
        # 160 rows, each page beginning with the last row of the one before.
        assert simulator.counters().of("gone") == 5
        assert simulator.counters().of("ticket") == 120


def test_spam_stays_listed_and_counts_as_deleted(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    since = now(simulator)
    (spam,), at = simulator.mark_spam(1), now(simulator)
    simulator.advance(10)
    helpdesk = connect()
    assert newest(helpdesk.changes(since))[spam].deleted_time == at
    one = helpdesk.ticket(spam)
    assert one is not None
    assert one.deleted_time == at


def test_without_the_bin_deletions_are_unknown(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    since = now(simulator)
    simulator.delete(1)
    simulator.advance(10)
    assert newest(connect(zoho_recycle_bin=False).changes(since)) == {}
    assert simulator.counters().of("gone") == 0


def test_missing_bin_scope_gives_an_error_with_a_fix(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, deleted tickets would silently stay live in the table."""
    scopes = frozenset({"Desk.tickets.READ", "Desk.search.READ"})
    target = "helpdesk_assets.local.simulator.dialects.zoho_desk_tokens.SCOPES"
    monkeypatch.setattr(target, scopes)
    with SimulatedHelpdesk(tickets=10, start=START, frozen=True, dialect="zoho_desk") as simulator:
        with pytest.raises(CredentialsRefused, match=r"Desk\.settings\.READ.*ZOHO_RECYCLE_BIN="):
            list(connect(simulator).changes(None))
        assert len(newest(connect(simulator, zoho_recycle_bin=False).changes(None))) == 10


# --- archived, one ticket, details ----------------------------------------------------------------


@pytest.mark.parametrize("are_found", [True, False])
def test_archived_tickets_are_not_deleted(connect: Connect, are_found: bool) -> None:
    with SimulatedHelpdesk(tickets=20, start=START, frozen=True, dialect="zoho_desk") as simulator:
        simulator.switch("zoho_desk.archived_are_found", friendly=are_found)
        archived = simulator.archive(3)
        simulator.advance(10)
        got = newest(connect(simulator).changes(None))
    assert [each in got for each in archived] == [are_found] * 3
    assert not any(one.deleted_time for one in got.values())


def test_one_ticket(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    living, (deleted,) = next(simulator.truth(raw_ticket=True)), simulator.delete(1)
    helpdesk = connect()
    ticket = helpdesk.ticket(living.ticket_id)
    assert ticket is not None
    assert living.raw_ticket is not None
    assert json.loads(ticket.raw_json) == {**living.raw_ticket, "isTrashed": False}
    assert ticket.assignee == living.raw_ticket["assigneeId"]
    gone = helpdesk.ticket(deleted)
    assert gone is not None
    assert gone.deleted_time
    assert helpdesk.ticket("123") is None
    calls = simulator.counters().total
    assert helpdesk.ticket("../recycleBin?limit=1") is None
    assert simulator.counters().total == calls


def test_details_are_fetched_by_id(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(simulator)
    simulator.advance(10)
    (deleted,), changed = simulator.delete(1), simulator.change(12, spread_seconds=12)
    simulator.advance(10)
    helpdesk = connect(helpdesk_fetch_details=True)
    got = newest(helpdesk.changes(since))
    assert got.keys() == {deleted, *ids(changed)}
    assert all("isTrashed" in ticket for ticket in contents(got).values())
    assert simulator.counters().of("ticket") == len(got)
    assert not helpdesk.capabilities.list_rows_are_complete


# --- tokens and limits ----------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 8])
def test_token_expiring_during_a_run_is_renewed_once(
    simulator: SimulatedHelpdesk, connect: Connect, concurrency: int
) -> None:
    simulator.fault("token_ends", on="search", after=3, count=1)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_concurrency=concurrency)
    assert contents(newest(helpdesk.changes(None))) == truth(simulator)
    assert simulator.counters().calls["login"] == {"200": 2}
    assert simulator.counters().calls["search"]["401"] >= 1


def test_token_is_cached_between_runs(
    simulator: SimulatedHelpdesk, connect: Connect, tmp_path: Path
) -> None:
    for _ in range(3):
        list(connect(zoho_token_cache=str(tmp_path)).changes(now(simulator)))
    assert simulator.counters().of("login") == 1
    simulator.advance(3600)
    list(connect(zoho_token_cache=str(tmp_path)).changes(now(simulator)))
    assert simulator.counters().of("login") == 2


def test_token_calls_are_counted(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    helpdesk = connect()
    list(helpdesk.changes(now(simulator)))
    assert helpdesk.use.calls == simulator.counters().total


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"zoho_refresh_token": "wrong"}, "ZOHO_REFRESH_TOKEN is not valid"),
        ({"zoho_client_id": "wrong"}, "ZOHO_CLIENT_ID is not valid"),
        ({"zoho_client_secret": "wrong"}, "ZOHO_CLIENT_SECRET is not valid"),
        ({"zoho_org_id": "17"}, "another organisation than ZOHO_ORG_ID"),
        ({"zoho_refresh_token": TOKEN_WITHOUT_RIGHTS}, "SCOPE_MISMATCH"),
    ],
)
@pytest.mark.parametrize("way", ["changes", "listing", "ticket"])
def test_rejected_credentials_are_not_retried(
    simulator: SimulatedHelpdesk, connect: Connect, wrong: dict[str, str], message: str, way: str
) -> None:
    helpdesk = connect(**wrong)
    ways: dict[str, Callable[[], object]] = {
        "changes": lambda: list(helpdesk.changes(None)),
        "listing": lambda: list(helpdesk.listing()),
        "ticket": lambda: helpdesk.ticket("1"),
    }
    with pytest.raises(CredentialsRefused, match=message):
        ways[way]()
    assert simulator.counters().of("login") == 1
    assert simulator.counters().total <= 2


def test_eleventh_token_request_fails_without_sending_or_waiting(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float], tmp_path: Path
) -> None:
    simulator.fault("token_ends", on="gone")
    for _ in range(12):
        with pytest.raises((CredentialsRefused, RateLimitExhausted)) as caught:
            list(connect(zoho_token_cache=str(tmp_path)).changes(now(simulator)))
    assert "Run again in" in str(caught.value)
    assert simulator.counters().calls["login"] == {"200": 10}
    assert slept == []


def test_exhausted_credits_end_the_run_at_once(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    simulator.fault("rate_limit_429", on="search", retry_after=43_200)
    with pytest.raises(RateLimitExhausted, match="Run again in 720 minutes"):
        list(connect().changes(None))
    assert slept == []
    assert simulator.counters().of("search") == 1


def test_concurrency_limit_response_is_retried(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    simulator.fault("rate_limit_429", on="search", count=2, retry_after=None)
    assert contents(newest(connect().changes(None))) == truth(simulator)
    assert len(slept) == 2


def test_default_concurrency_is_the_smallest_plans(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.fault("latency", seconds=0.005)
    list(connect(helpdesk_page_size=2).changes(None))
    assert 1 < simulator.counters().max_concurrent <= 5


def test_permanently_failing_endpoint_is_given_up(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.fault("error_500", on="search")
    with pytest.raises(EndpointFailed, match=r"INTERNAL_SERVER_ERROR.*Given up after 8 attempts"):
        list(connect().changes(None))
