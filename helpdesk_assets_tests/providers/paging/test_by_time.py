"""Paging by time loses nothing, whatever changes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import Page, Ticket
from helpdesk_assets.providers.paging.by_time import END_OF_TIME, EPOCH, TimePager, floor
from helpdesk_assets.providers.paging.by_token import ListPage
from helpdesk_assets_tests.providers.shifting_helpdesk import SECOND, ShiftingHelpdesk, at, ticket

NOW = 1000.0


def helpdesk(*tickets: tuple[str, float], **more: object) -> ShiftingHelpdesk:
    made = ShiftingHelpdesk({name: ticket(name, when) for name, when in tickets}, NOW)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def read_pages(
    helpdesk: ShiftingHelpdesk,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    concurrency: int = 1,
    resume: str | None = None,
) -> list[Page]:
    return list(pager(helpdesk, concurrency).pages(since, until, resume))


def pager(
    helpdesk: ShiftingHelpdesk, concurrency: int = 1, listing_delay: timedelta = timedelta(0)
) -> TimePager:
    return TimePager(
        helpdesk.fetch,
        tick=SECOND,
        settle_delay=SECOND,
        concurrency=concurrency,
        listing_delay=listing_delay,
    )


def ids(pages: list[Page]) -> list[str]:
    return [row.ticket_id for page in pages for row in page.tickets]


def test_no_changes_cost_one_call_and_one_page() -> None:
    quiet = helpdesk(("a", 5))
    pages = read_pages(quiet, since=at(500))
    assert [page.tickets for page in pages] == [()]
    assert len(quiet.calls) == 1


def test_single_page_costs_one_call() -> None:
    small = helpdesk(("a", 510), ("b", 520), ("c", 530))
    assert ids(read_pages(small, since=at(500))) == ["a", "b", "c"]
    assert len(small.calls) == 1


def test_default_start_is_1970() -> None:
    full = helpdesk(("a", 0), ("b", 1))
    assert ids(read_pages(full)) == ["a", "b"]
    assert full.calls[0][0] == EPOCH


def test_next_request_starts_at_the_last_time_without_a_token() -> None:
    long = helpdesk(*((f"{n}", 10.0 * n) for n in range(1, 8)))
    assert ids(read_pages(long)) == [str(n) for n in range(1, 8)]
    assert [(start, token) for start, _, token in long.calls] == [
        (at(0), None),
        (at(30), None),
        (at(50), None),
    ]


def test_both_ends_of_a_window_are_included() -> None:
    edges = helpdesk(("a", 9), ("b", 10), ("c", 20), ("d", 21))
    assert ids(read_pages(edges, at(10), at(20))) == ["b", "c"]
    assert edges.calls == [(at(10), at(20), None)]


def test_another_sort_time_is_supported() -> None:
    """Here by a time that ascends while the modified time descends."""
    made = helpdesk(*((f"{n}", 10.0 * n) for n in range(1, 8)))

    def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        answer = made.fetch(start, end, token)
        rows = (
            replace(
                row,
                created_time=row.modified_time,
                modified_time=at(NOW) - (row.modified_time - EPOCH),
            )
            for row in answer.rows
        )
        return replace(answer, rows=tuple(rows))

    def created(row: Ticket) -> datetime:
        assert row.created_time
        return row.created_time

    by_creation = TimePager(
        fetch, tick=SECOND, settle_delay=SECOND, listing_delay=0 * SECOND, time_of=created
    )
    pages = list(by_creation.pages(None, None))
    assert ids(pages) == [str(n) for n in range(1, 8)]
    assert [page.share for page in pages][-1] == 1.0
    with pytest.raises(EndpointFailed, match="does not keep to the window and the order"):
        list(
            TimePager(fetch, tick=SECOND, settle_delay=SECOND, listing_delay=0 * SECOND).pages(
                None, None
            )
        )


def test_start_is_rounded_down_to_the_tick() -> None:
    assert ids(read_pages(helpdesk(("a", 10)), at(10.7))) == ["a"]


def test_until_is_the_first_response_time_less_the_delay() -> None:
    def later(helpdesk: ShiftingHelpdesk) -> None:
        helpdesk.now += 60

    pages = read_pages(helpdesk(*((f"{n}", 10.0 * n) for n in range(1, 8)), between=later))
    assert {page.until for page in pages} == {at(NOW) - SECOND}
    assert [page.served_at for page in pages] == [at(NOW), at(NOW + 60), at(NOW + 120)]


def test_requested_until_is_capped_at_the_clock() -> None:
    assert read_pages(helpdesk(), until=at(300))[0].until == at(300)
    assert read_pages(helpdesk(), until=at(9000))[0].until == at(NOW) - SECOND


def test_open_window_has_no_end() -> None:
    tickets = helpdesk()
    read_pages(tickets, since=at(5))
    assert tickets.calls == [(at(5), END_OF_TIME, None)]


def test_start_at_the_maximum_time_does_not_overflow() -> None:
    assert ids(read_pages(helpdesk(("a", 5)), since=datetime(9999, 6, 1, tzinfo=UTC))) == []


def test_full_tick_is_read_by_tokens_until_two_passes_agree() -> None:
    dense = helpdesk(("a", 5), *((f"t{n}", 10.0) for n in range(8)), ("z", 11), ("zz", 12))
    pages = read_pages(dense)
    assert ids(pages) == ["a", *(f"t{n}" for n in range(8)), "z", "zz"]
    with_token = [(start, end) for start, end, token in dense.calls if token is not None]
    assert set(with_token) == {(at(10), at(11))}
    assert dense.calls[-1][0] == at(11)


def test_tick_that_loses_tickets_is_read_again() -> None:
    leaving = iter(["t0", "t1"])

    def leave(helpdesk: ShiftingHelpdesk) -> None:
        # During the shift between two token pages of the first pass.
        if helpdesk.calls[-1][2] is not None and (name := next(leaving, None)):
            helpdesk.change(name)

    dense = helpdesk(*((f"t{n}", 10.0) for n in range(9)), between=leave)
    got = ids(read_pages(dense))
    # The two that moved appear again, in their new versions.
    assert sorted(got) == sorted([*(f"t{n}" for n in range(9)), "t0", "t1"])


def test_unstable_tick_is_an_error() -> None:
    def churn(helpdesk: ShiftingHelpdesk) -> None:
        first = min(t for t in helpdesk.tickets if helpdesk.tickets[t].modified_time == at(10))
        helpdesk.change(first)

    dense = helpdesk(*((f"t{n:03}", 10.0) for n in range(200)), between=churn)
    with pytest.raises(EndpointFailed, match="kept changing through 10 passes"):
        read_pages(dense)


def test_times_finer_than_a_full_tick_are_kept() -> None:
    fine = helpdesk(*((f"t{n}", 10.0) for n in range(6)), ("u", 10.5), ("v", 10.9), ("w", 11.2))
    assert ids(read_pages(fine)) == [*(f"t{n}" for n in range(6)), "u", "v", "w"]


def test_full_tick_at_the_end_of_a_requested_window() -> None:
    dense = helpdesk(*((f"t{n}", 10.0) for n in range(8)), ("z", 11))
    assert ids(read_pages(dense, at(10), at(10))) == [f"t{n}" for n in range(8)]


def test_empty_page_with_a_token_is_not_the_end() -> None:
    names = [f"h{n}" for n in range(4)]
    hiding = helpdesk(*((n, 10.0) for n in names), ("a", 20), ("b", 30), hidden=frozenset(names))
    assert ids(read_pages(hiding)) == ["a", "b"]


def test_window_of_hidden_rows_ends() -> None:
    names = [f"h{n}" for n in range(5)]
    assert ids(read_pages(helpdesk(*((n, 10.0) for n in names), hidden=frozenset(names)))) == []


def test_bad_rows_are_reported_once_and_do_not_stop_paging() -> None:
    tickets = [(f"t{n}", 10.0 * n) for n in range(1, 12)]
    broken = helpdesk(*tickets, untimed=frozenset({"t1", "t2", "t3", "t4", "t8"}))
    pages = read_pages(broken)
    assert ids(pages) == ["t5", "t6", "t7", "t9", "t10", "t11"]
    assert [bad.ticket_id for page in pages for bad in page.bad] == ["t1", "t2", "t3", "t4", "t8"]


def test_rows_dated_2099_are_returned_without_advancing() -> None:
    future = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    odd = helpdesk(("a", 5), ("b", 6), *((f"odd{n}", future + n) for n in range(9)))
    pages = read_pages(odd)
    assert ids(pages) == ["a", "b", *(f"odd{n}" for n in range(9))]
    assert {page.until for page in pages} == {at(NOW) - SECOND}


def test_changes_while_paging_are_not_followed() -> None:
    def change_all(helpdesk: ShiftingHelpdesk) -> None:
        helpdesk.now += 10
        for n in range(8):
            helpdesk.change(f"t{n}")

    busy = helpdesk(*((f"t{n}", 10.0 + n) for n in range(8)), between=change_all)
    read_pages(busy)
    assert len(busy.calls) < 5


def test_changes_of_the_first_second_are_read_completely() -> None:
    fresh = helpdesk(*((f"t{n}", NOW) for n in range(8)))
    assert set(ids(read_pages(fresh))) == {f"t{n}" for n in range(8)}


@pytest.mark.parametrize("times", [(20.0, 10.0), (10.0, 30.0, 20.0), (3.0, 10.0)])
def test_rows_out_of_order_or_range_are_an_error(times: tuple[float, ...]) -> None:
    rows = tuple(ticket(str(n), when) for n, when in enumerate(times))

    def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        return ListPage(rows, (), None, at(NOW))

    with pytest.raises(EndpointFailed, match="the order of the request"):
        list(
            TimePager(fetch, tick=SECOND, settle_delay=SECOND, listing_delay=0 * SECOND).pages(
                at(5), None
            )
        )


@pytest.mark.parametrize("follow_new", [True, False])
def test_follow_new_reads_changes_made_while_paging(follow_new: bool) -> None:
    """More changes than a page holds before each of a few calls; then paging ends."""
    names = "abcdefghijklmno"

    def bulk(helpdesk: ShiftingHelpdesk) -> None:
        helpdesk.now += 5
        if len(helpdesk.calls) <= 5:
            for name in names[3 * len(helpdesk.calls) - 3 :][:3]:
                helpdesk.change(name)
                helpdesk.now += 1

    old = {"w": 985.0, "x": 988.0, "y": 990.0, "z": 995.0}
    busy = helpdesk(*((name, 10.0) for name in names), *old.items(), between=bulk)
    read_pages = TimePager(
        busy.fetch,
        tick=SECOND,
        settle_delay=SECOND,
        listing_delay=0 * SECOND,
        follow_new=follow_new,
    )
    found = set(ids(list(read_pages.pages(at(980), None))))
    assert old.keys() <= found
    assert (found == {*names, *old}) is follow_new


def test_row_repeated_within_a_page_is_returned_once() -> None:
    twice = ticket("a", 10)

    def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        return ListPage((twice, twice), (), None, at(NOW))

    read_pages = TimePager(fetch, tick=SECOND, settle_delay=SECOND, listing_delay=0 * SECOND)
    assert ids(list(read_pages.pages(None, None))) == ["a"]


def test_long_window_is_read_in_parallel() -> None:
    long = helpdesk(*((f"{n}", float(n)) for n in range(900)), page_size=10)
    pages = read_pages(long, concurrency=4)
    assert set(ids(pages)) == {str(n) for n in range(900)}
    # Splitting costs only a few calls: 90 full pages, each starting with an overlap.
    assert len(long.calls) <= 130
    begun = {start for start, _, _ in long.calls}
    assert len([start for start in begun if start > at(450)]) > 20
    assert pages[-1].share == 1.0


def test_short_window_is_not_split() -> None:
    short = helpdesk(*((f"{n}", 900.0 + 10 * n) for n in range(6)))
    alone = helpdesk(*((f"{n}", 900.0 + 10 * n) for n in range(6)))
    read_pages(short, since=at(890), concurrency=8)
    read_pages(alone, since=at(890))
    assert short.calls == alone.calls


def test_share_grows_from_the_oldest_ticket_to_now() -> None:
    late = helpdesk(*((f"{n}", 900.0 + n) for n in range(90)))
    shares = [page.share or 0.0 for page in read_pages(late)]
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] == 1.0


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("read", [1, 40, 89])
def test_interrupted_paging_resumes(read: int, concurrency: int) -> None:
    long = helpdesk(*((f"{n}", float(n)) for n in range(900)), page_size=10)
    pages = iter(pager(long, concurrency).pages(None, None))
    first = [next(pages) for _ in range(read)]
    pages.close()  # type: ignore[attr-defined]
    long.now += 100
    long.change("5")
    long.now += 10
    before = len(long.calls)
    second = read_pages(long, concurrency=concurrency, resume=first[-1].resume)
    assert set(ids(first)) | set(ids(second)) == {str(n) for n in range(900)}
    # The second pass contains all earlier changes, wherever the tickets were.
    assert "5/1" in {row.content_hash for page in second for row in page.tickets}
    assert second[-1].until == at(NOW + 110) - SECOND
    assert len(long.calls) - before <= 91 - read + 12 * concurrency


def test_resumed_paging_reads_changes_indexed_late() -> None:
    """The index lags by a minute.

    A ticket changed half a minute before the window was opened is missing in the first attempt, and
    its time lies in the part already read.
    """
    lagging = helpdesk(*((f"{n}", 10.0 * n) for n in range(90)), page_size=10)
    hidden = {"late": ticket("late", NOW - 30)}
    first = list(pager(lagging, listing_delay=timedelta(seconds=60)).pages(None, None))
    lagging.tickets.update(hidden)
    lagging.now += 100
    second = pager(lagging).pages(None, None, first[-1].resume)
    assert "late" in ids(list(second))


def test_resumed_paging_reads_what_a_clock_ahead_hid() -> None:
    """The first attempt's clock was an hour ahead, so it did not read all up to its `until`."""
    early = helpdesk(*((f"{n}", 10.0 * n) for n in range(90)), page_size=10)
    early.now = NOW + 3600
    hour = timedelta(hours=1)
    ahead = TimePager(
        early.fetch, tick=SECOND, settle_delay=SECOND, listing_delay=0 * SECOND,
        clock_lead=lambda: hour,
    )  # fmt: skip
    first = list(ahead.pages(None, None))
    early.now = NOW + 1800
    early.change("7")
    early.now = NOW + 7200
    assert "7" in ids(read_pages(early, resume=first[-1].resume))


@settings(max_examples=400, deadline=None)
@given(
    concurrency=st.sampled_from([1, 1, 3]),
    interrupted=st.none() | st.integers(1, 8),
    times=st.lists(st.integers(0, 12), min_size=1, max_size=25),
    page_size=st.integers(1, 5),
    changes=st.lists(st.lists(st.integers(0, 24), max_size=3), max_size=30),
    steps=st.lists(st.sampled_from([0.0, 0.4, 1.0, 3.0]), min_size=1, max_size=5),
    hidden=st.frozensets(st.integers(0, 24), max_size=4),
    since=st.none() | st.integers(0, 14),
    until=st.none() | st.integers(14, 30),
)
def test_no_ticket_changed_in_the_window_is_lost(
    times: list[int],
    page_size: int,
    changes: list[list[int]],
    steps: list[float],
    hidden: frozenset[int],
    since: int | None,
    until: int | None,
    concurrency: int,
    interrupted: int | None,
) -> None:
    waiting = iter(changes)

    def between(helpdesk: ShiftingHelpdesk) -> None:
        helpdesk.now += steps[len(helpdesk.calls) % len(steps)]
        for number in next(waiting, []):
            if str(number) in helpdesk.tickets:
                helpdesk.change(str(number))

    moving = ShiftingHelpdesk(
        {str(n): ticket(str(n), when) for n, when in enumerate(times)},
        now=13.0,
        page_size=page_size,
        between=between,
        # Hidden tickets do not change: paging cannot notice what their moves shift.
        hidden=frozenset(str(n) for n in hidden if not any(n in some for some in changes)),
    )
    start = None if since is None else at(since)
    end = None if until is None else at(until)
    walks = pager(moving, concurrency)
    try:
        pages: list[Page] = []
        if interrupted is not None:
            begun = walks.pages(start, end)
            pages = list(islice(begun, interrupted))
            begun.close()  # type: ignore[attr-defined]
        pages += walks.pages(start, end, pages[-1].resume if pages else None)
    except EndpointFailed:
        return
    got = {(row.ticket_id, row.content_hash) for page in pages for row in page.tickets}
    awaited = {
        (t.ticket_id, t.content_hash)
        for t in moving.tickets.values()
        if (start or EPOCH) <= t.modified_time <= pages[-1].until
        and t.ticket_id not in moving.hidden
    }
    assert awaited <= got


def test_floor() -> None:
    assert floor(at(10.999), SECOND) == at(10)
    assert floor(at(-0.5), SECOND) == at(-1)
