"""Behavior specific to Freshdesk, against the simulated Freshdesk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused, WindowTooDense
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.local.simulator.dialects.freshdesk import FreshdeskDialect
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.freshdesk.adapter import FreshdeskAdapter, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.pages import contents, newest

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)

Connect = Callable[..., FreshdeskAdapter]


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    """Its clock is an hour ahead, so changes by a test are later than all others."""
    with SimulatedHelpdesk(tickets=130, start=START, frozen=True, dialect="freshdesk") as simulator:
        simulator.advance(3600)
        yield simulator


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connect(slept: list[float], request: pytest.FixtureRequest) -> Iterator[Connect]:
    """An adapter whose waits advance the helpdesk's clock."""
    made: list[FreshdeskAdapter] = []

    def make(simulator: SimulatedHelpdesk | None = None, **more: Any) -> FreshdeskAdapter:
        simulator = simulator or request.getfixturevalue("simulator")
        given = {"helpdesk_base_url": simulator.base_url, "helpdesk_api_token": simulator.token}
        settings = Settings.model_validate({**given, **more})

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            simulator.advance(seconds)

        world = Runtime(
            now=lambda: START, monotonic=lambda: sum(slept), sleep=sleep, rng=lambda: 0.5
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


def test_full_read_includes_deleted_tickets(simulator: SimulatedHelpdesk, connect: Connect) -> None:
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
    pages = list(connect().changes(None))
    got = newest(pages)
    assert contents(got) == truth(simulator)
    removed = {key: one.deleted_time for key, one in got.items() if one.deleted_time}
    assert removed == {key: ended[key] for key in ended if key not in merged}
    assert {*spam, *deleted} <= removed.keys()
    assert {got[each].status for each in merged} == {"Closed"}
    assert {page.until for page in pages} == {now(simulator) - SECOND}


def test_listing_is_the_same_list_from_its_start(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    helpdesk = connect()
    assert contents(newest(helpdesk.listing())) == truth(simulator)
    assert helpdesk.capabilities.listing_is_stable


def test_no_changes_cost_three_calls(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    pages = list(connect().changes(now(simulator) - timedelta(minutes=5)))
    assert [page.tickets for page in pages] == [(), (), ()]
    assert {page.until for page in pages} == {now(simulator) - SECOND}
    counters = simulator.counters()
    assert (counters.of("gone"), counters.of("search"), counters.total) == (2, 1, 3)


@pytest.mark.parametrize("is_inclusive", [True, False])
def test_first_second_of_a_window_is_included(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    is_inclusive: bool,
) -> None:
    monkeypatch.setattr(FreshdeskDialect, "since_is_inclusive", is_inclusive)
    earlier = simulator.change(3, same_second=True)
    simulator.advance(1)
    changed, (deleted,) = simulator.change(25, same_second=True), simulator.delete(1)
    since = now(simulator)
    simulator.advance(5)
    after = simulator.change(20, spread_seconds=40)
    for size in (10, 100):
        got = newest(connect(helpdesk_page_size=size).changes(since))
        assert got.keys() == {*ids(changed), *ids(after), deleted}
    assert not (ids(earlier) - ids(changed) - ids(after) - {deleted}) & got.keys()


def test_dense_second_is_read_once(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(simulator)
    simulator.advance(5)
    simulator.change(95, same_second=True)
    simulator.advance(5)
    after = simulator.change(3, spread_seconds=3)
    simulator.advance(5)
    pages = list(connect(helpdesk_page_size=10, helpdesk_concurrency=1).changes(since))
    assert ids(after) <= newest(pages).keys()
    # One to get there, twice ten within that second, and what follows; a first look at the bound.
    assert simulator.counters().of("search") <= 26


@pytest.mark.parametrize("is_inclusive", [True, False])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_changes_while_paging_lose_nothing(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    is_inclusive: bool,
    concurrency: int,
) -> None:
    monkeypatch.setattr(FreshdeskDialect, "since_is_inclusive", is_inclusive)
    simulator.fault("changes_while_paging", on="search", changes=5, advance_seconds=10, count=15)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_concurrency=concurrency)
    pages = list(helpdesk.changes(None))
    simulator.clear_faults()
    simulator.advance(5)
    rest = list(helpdesk.changes(pages[-1].until))
    assert contents(newest([*pages, *rest])) == truth(simulator)


def test_closed_window(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    since = now(simulator)
    changed = sorted(simulator.change(40, spread_seconds=400), key=lambda one: one.modified_time)
    simulator.advance(10)
    (late,) = simulator.delete(1)
    until = changed[19].modified_time
    pages = list(connect(helpdesk_page_size=10).changes(since, until))
    assert newest(pages).keys() == ids(changed[:20]) - {late}
    assert {page.until for page in pages} == {until}


def test_deletions_during_a_read_belong_to_the_next_window(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    """Each list is opened at another time; the window ends with the first."""
    since = now(simulator)
    helpdesk = connect()
    walk = helpdesk.changes(since)
    first = next(walk)
    simulator.advance(60)
    (deleted,) = simulator.delete(1)
    simulator.advance(60)
    pages = [first, *walk]
    assert pages[-1].served_at == first.served_at + timedelta(seconds=120)
    assert {page.until for page in pages} == {first.until}
    assert deleted not in newest(pages) or newest(pages)[deleted].deleted_time
    assert (
        newest(helpdesk.changes(pages[-1].until))[deleted].deleted_time
        == now(simulator) - 60 * SECOND
    )


def test_interrupted_read_resumes_and_rereads_the_trash(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.delete(1)
    helpdesk = connect(helpdesk_page_size=20, helpdesk_concurrency=1)
    walk = helpdesk.changes(None)
    read = []
    for page in walk:
        read.append(page)
        if page.resume and (page.share or 0.0) > 0.5:
            break
    of_gone = [page for page in read if page.tickets and page.tickets[0].deleted_time]
    assert {(page.resume, page.share) for page in of_gone} == {(None, None)}
    (deleted,) = simulator.delete(1)
    simulator.advance(10)
    simulator.reset_counters()
    rest = list(helpdesk.changes(None, resume=read[-1].resume))
    assert contents(newest([*read, *rest])) == truth(simulator)
    assert newest(rest)[deleted].deleted_time
    again = {key for key, one in newest(rest).items() if not one.deleted_time} & newest(read).keys()
    # The last second may have been read incompletely.
    assert again <= {ticket.ticket_id for ticket in read[-1].tickets}
    assert len(again) <= 2


def test_resumed_read_includes_the_whole_trash(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    (deleted,) = simulator.delete(1)
    simulator.advance(10)
    helpdesk = connect()
    *_, last = helpdesk.changes(None)
    rest = newest(helpdesk.changes(None, resume=last.resume))
    assert deleted in rest
    assert all(ticket.deleted_time for ticket in rest.values())


@pytest.mark.parametrize("fault", ["empty_page", "page_cut_short", "repeated_rows"])
def test_odd_pages_lose_nothing(simulator: SimulatedHelpdesk, connect: Connect, fault: str) -> None:
    simulator.delete(5)
    simulator.advance(10)
    for endpoint in ("search", "gone"):
        simulator.fault(fault, on=endpoint, count=2)
        assert contents(newest(connect().changes(None))) == truth(simulator)


def test_failed_call_is_retried(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    """There is no other endpoint to fall back on: the listing uses the same one."""
    simulator.fault("error_500", on="gone", count=1)
    simulator.fault("not_json", on="search", count=1)
    simulator.fault("rate_limit_429", on="search", count=1, after=1, retry_after=40)
    assert contents(newest(connect().changes(None))) == truth(simulator)
    assert slept[-1] == 40.5
    assert len(slept) == 3


def test_row_dated_2099_does_not_advance_the_window(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.fault("future_row", on="search")
    pages = list(connect(helpdesk_page_size=20).changes(None))
    assert {page.until for page in pages} == {now(simulator) - SECOND}
    assert max(one.modified_time for one in newest(pages).values()).year == 2099


def test_times_with_offsets(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    simulator.advance(10)
    at = now(simulator).astimezone(UTC)
    east = (at + timedelta(hours=5, minutes=30)).replace(tzinfo=None).isoformat() + "+05:30"
    (changed,) = simulator.change(1, fields={"updated_at": east})
    simulator.advance(10)
    ticket = newest(connect().changes(at))[changed.ticket_id]
    assert ticket.modified_time == at
    assert json.loads(ticket.raw_json)["updated_at"] == east


@pytest.fixture
def capped() -> Iterator[SimulatedHelpdesk]:
    """One query gives at most 60 rows, six pages of ten."""
    with SimulatedHelpdesk(
        tickets=100, start=START, frozen=True, dialect="freshdesk", cap=60
    ) as simulator:
        yield simulator


SMALL: dict[str, Any] = {"helpdesk_page_size": 10, "helpdesk_result_cap": 60}


def test_result_cap_is_worked_around(capped: SimulatedHelpdesk, connect: Connect) -> None:
    capped.advance(3600)
    assert contents(newest(connect(capped, **SMALL).changes(None))) == truth(capped)
    since = now(capped)
    capped.advance(10)
    dense = [capped.change(ids=some, same_second=True) for some in halves(capped, 55)]
    # Two seconds in a row, each with less than the cap and together with more.
    assert {len(each) for each in dense} == {55, 45}
    capped.advance(10)
    after = capped.change(3, spread_seconds=3)
    capped.advance(10)
    got = newest(connect(capped, **SMALL).changes(since))
    assert contents(got) == truth(capped)
    assert ids(after) <= got.keys()


def halves(simulator: SimulatedHelpdesk, first: int) -> Iterator[list[str]]:
    """Two halves of tickets, changed a second apart."""
    every = [one.ticket_id for one in simulator.truth()]
    yield every[:first]
    simulator.advance(1)
    yield every[first:]


@pytest.mark.parametrize("removed", [False, True])
def test_one_second_beyond_the_cap_is_an_error(
    capped: SimulatedHelpdesk, connect: Connect, removed: bool
) -> None:
    capped.create(100)
    capped.advance(3600)
    since = now(capped)
    capped.advance(10)
    if removed:
        capped.delete(61)
    else:
        capped.change(61, same_second=True)
    at = now(capped)
    capped.advance(10)
    helpdesk = connect(capped, **SMALL)
    with pytest.raises(WindowTooDense) as caught:
        list(helpdesk.changes(since))
    assert str(caught.value) == (
        f"At least 60 tickets were modified within one second, at {at.isoformat()}, and Freshdesk "
        "gives no more in one query. Change some of them again there (a bulk action on a part of "
        "them), which moves these to another second; then run again."
    )
    assert helpdesk.use.calls < 20


def test_cap_below_the_documented_one_is_an_error(
    capped: SimulatedHelpdesk, connect: Connect
) -> None:
    """Without HELPDESK_RESULT_CAP, the page behind the last one is requested and refused."""
    capped.create(100)
    since = now(capped)
    capped.advance(10)
    capped.change(61, same_second=True)
    capped.advance(10)
    with pytest.raises(WindowTooDense, match="At least 60 tickets were modified within one second"):
        list(connect(capped, helpdesk_page_size=10).changes(since))


@pytest.mark.parametrize("are_listed", [True, False])
def test_archived_tickets_are_not_deleted(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, are_listed: bool
) -> None:
    """It is not documented whether the list has them. No row may say that they were deleted."""
    monkeypatch.setattr(FreshdeskDialect, "lists_archived", are_listed)
    with SimulatedHelpdesk(tickets=20, start=START, frozen=True, dialect="freshdesk") as simulator:
        archived = simulator.archive(3)
        simulator.advance(10)
        got = newest(connect(simulator).changes(None))
    assert [each in got for each in archived] == [are_listed] * 3
    assert not any(got[each].deleted_time for each in archived if each in got)


def test_one_ticket(simulator: SimulatedHelpdesk, connect: Connect) -> None:
    living, (deleted,) = next(simulator.truth(raw_ticket=True)), simulator.delete(1)
    helpdesk = connect()
    ticket = helpdesk.ticket(living.ticket_id)
    assert ticket is not None
    assert living.raw_ticket is not None
    assert living.raw_ticket.items() <= json.loads(ticket.raw_json).items()
    assert "description" in json.loads(ticket.raw_json)
    removed = helpdesk.ticket(deleted)
    assert removed is not None
    assert removed.deleted_time
    assert helpdesk.ticket("no such/../ticket?") is None


def test_includes_are_requested_with_the_list(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    simulator.delete(1)
    simulator.advance(10)
    helpdesk = connect(freshdesk_include="description, stats")
    for ticket in contents(newest(helpdesk.changes(None))).values():
        assert {"description", "description_text", "stats"} <= ticket.keys()
        assert "requester" not in ticket
    assert simulator.counters().of("ticket") == 0


def test_details_are_fetched_by_id_with_tombstones_for_deleted_tickets(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    since = now(simulator)
    simulator.advance(10)
    (deleted,), changed = simulator.delete(1), simulator.change(12, spread_seconds=12)
    simulator.advance(10)
    helpdesk = connect(helpdesk_fetch_details=True, helpdesk_concurrency=4)
    got = newest(helpdesk.changes(since))
    assert got.keys() == {deleted, *ids(changed)}
    assert all("description" in ticket for ticket in contents(got).values())
    assert got[deleted].deleted_time
    assert simulator.counters().of("ticket") == len(ids(changed))
    assert not helpdesk.capabilities.list_rows_are_complete


@pytest.mark.parametrize(("key", "status"), [("wrong", 401), (TOKEN_WITHOUT_RIGHTS, 403)])
@pytest.mark.parametrize("way", ["changes", "listing", "ticket"])
def test_rejected_credentials_are_not_retried(
    simulator: SimulatedHelpdesk, connect: Connect, key: str, status: int, way: str
) -> None:
    helpdesk = connect(helpdesk_api_token=key)
    ways: dict[str, Callable[[], object]] = {
        "changes": lambda: list(helpdesk.changes(None)),
        "listing": lambda: list(helpdesk.listing()),
        "ticket": lambda: helpdesk.ticket("1"),
    }
    with pytest.raises(CredentialsRefused, match=f"{status} to GET /tickets.*HELPDESK_API_TOKEN"):
        ways[way]()
    # A 403 to one ticket is believed to be the account's only after a list was refused as well.
    assert simulator.counters().total == (2 if (way, status) == ("ticket", 403) else 1)


def test_throttles_before_the_rate_limit(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    simulator.fault("rate_limit", calls=12, window_seconds=60)
    helpdesk = connect(helpdesk_page_size=10, helpdesk_concurrency=1)
    assert contents(newest(helpdesk.changes(None))) == truth(simulator)
    assert "429" not in simulator.counters().calls["search"]
    assert helpdesk.use.seconds_waited >= 60


def test_list_limit_is_separate_from_the_account_limit(
    simulator: SimulatedHelpdesk, connect: Connect, slept: list[float]
) -> None:
    helpdesk = connect(
        helpdesk_page_size=10,
        helpdesk_concurrency=1,
        freshdesk_lists_per_minute=5,
        helpdesk_fetch_details=True,
    )
    list(helpdesk.changes(now(simulator) - timedelta(days=30)))
    counters = simulator.counters()
    lists = counters.of("search") + counters.of("gone")
    assert counters.of("ticket") > lists
    assert slept == [60.0] * ((lists - 1) // 5)
