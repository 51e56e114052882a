"""The walk by time loses nothing, whatever changes while it walks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import Page, Ticket
from helpdesk_assets.providers.paging.by_time import END_OF_TIME, EPOCH, TimeWalk, floor
from helpdesk_assets.providers.paging.by_token import Answer
from helpdesk_assets_tests.providers.shifting_helpdesk import SECOND, MovingDesk, at, ticket

NOW = 1000.0


def desk(*tickets: tuple[str, float], **more: object) -> MovingDesk:
    made = MovingDesk({name: ticket(name, when) for name, when in tickets}, NOW)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def walk(
    desk: MovingDesk,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    at_once: int = 1,
    resume: str | None = None,
) -> list[Page]:
    return list(walker(desk, at_once).pages(since, until, resume))


def walker(desk: MovingDesk, at_once: int = 1, settled_after: timedelta = timedelta(0)) -> TimeWalk:
    return TimeWalk(
        desk.fetch, tick=SECOND, held_back=SECOND, at_once=at_once, settled_after=settled_after
    )


def ids(pages: list[Page]) -> list[str]:
    return [row.ticket_id for page in pages for row in page.tickets]


def test_nothing_changed_costs_one_call_and_gives_one_page() -> None:
    quiet = desk(("a", 5))
    pages = walk(quiet, since=at(500))
    assert [page.tickets for page in pages] == [()]
    assert len(quiet.asked) == 1


def test_a_page_that_holds_all_costs_one_call() -> None:
    small = desk(("a", 510), ("b", 520), ("c", 530))
    assert ids(walk(small, since=at(500))) == ["a", "b", "c"]
    assert len(small.asked) == 1


def test_from_the_beginning_means_1970() -> None:
    full = desk(("a", 0), ("b", 1))
    assert ids(walk(full)) == ["a", "b"]
    assert full.asked[0][0] == EPOCH


def test_the_next_request_starts_at_the_last_time_without_a_token() -> None:
    long = desk(*((f"{n}", 10.0 * n) for n in range(1, 8)))
    assert ids(walk(long)) == [str(n) for n in range(1, 8)]
    assert [(start, token) for start, _, token in long.asked] == [
        (at(0), None),
        (at(30), None),
        (at(50), None),
    ]


def test_both_ends_of_a_window_belong_to_it() -> None:
    edges = desk(("a", 9), ("b", 10), ("c", 20), ("d", 21))
    assert ids(walk(edges, at(10), at(20))) == ["b", "c"]
    assert edges.asked == [(at(10), at(20), None)]


def test_a_walk_may_go_by_another_time() -> None:
    """Here by one that ascends while the modified time descends."""
    made = desk(*((f"{n}", 10.0 * n) for n in range(1, 8)))

    def fetch(start: datetime, end: datetime, token: str | None) -> Answer[Ticket]:
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

    by_creation = TimeWalk(
        fetch, tick=SECOND, held_back=SECOND, settled_after=0 * SECOND, time_of=created
    )
    pages = list(by_creation.pages(None, None))
    assert ids(pages) == [str(n) for n in range(1, 8)]
    assert [page.share for page in pages][-1] == 1.0
    with pytest.raises(EndpointFailed, match="does not keep to the window and the order"):
        list(
            TimeWalk(fetch, tick=SECOND, held_back=SECOND, settled_after=0 * SECOND).pages(
                None, None
            )
        )


def test_a_start_within_a_tick_reaches_back_to_the_tick() -> None:
    assert ids(walk(desk(("a", 10)), at(10.7))) == ["a"]


def test_until_is_the_clock_of_the_first_answer_less_what_is_held_back() -> None:
    def later(desk: MovingDesk) -> None:
        desk.now += 60

    pages = walk(desk(*((f"{n}", 10.0 * n) for n in range(1, 8)), between=later))
    assert {page.until for page in pages} == {at(NOW) - SECOND}
    assert [page.served_at for page in pages] == [at(NOW), at(NOW + 60), at(NOW + 120)]


def test_an_asked_until_is_not_exceeded_nor_believed_beyond_the_clock() -> None:
    assert walk(desk(), until=at(300))[0].until == at(300)
    assert walk(desk(), until=at(9000))[0].until == at(NOW) - SECOND


def test_an_open_window_ends_by_no_clock() -> None:
    tickets = desk()
    walk(tickets, since=at(5))
    assert tickets.asked == [(at(5), END_OF_TIME, None)]


def test_a_start_at_the_end_of_time_is_no_overflow() -> None:
    assert ids(walk(desk(("a", 5)), since=datetime(9999, 6, 1, tzinfo=UTC))) == []


def test_one_tick_that_fills_pages_is_read_by_tokens_until_two_passes_agree() -> None:
    dense = desk(("a", 5), *((f"t{n}", 10.0) for n in range(8)), ("z", 11), ("zz", 12))
    pages = walk(dense)
    assert ids(pages) == ["a", *(f"t{n}" for n in range(8)), "z", "zz"]
    with_token = [(start, end) for start, end, token in dense.asked if token is not None]
    assert set(with_token) == {(at(10), at(11))}
    assert dense.asked[-1][0] == at(11)


def test_a_tick_that_is_left_meanwhile_is_read_again() -> None:
    leaving = iter(["t0", "t1"])

    def leave(desk: MovingDesk) -> None:
        # Into the shift between two token pages of the first pass.
        if desk.asked[-1][2] is not None and (name := next(leaving, None)):
            desk.change(name)

    dense = desk(*((f"t{n}", 10.0) for n in range(9)), between=leave)
    got = ids(walk(dense))
    # The two that left come a second time, as what they have become.
    assert sorted(got) == sorted([*(f"t{n}" for n in range(9)), "t0", "t1"])


def test_a_tick_that_never_holds_still_is_an_error() -> None:
    def churn(desk: MovingDesk) -> None:
        first = min(t for t in desk.tickets if desk.tickets[t].modified_time == at(10))
        desk.change(first)

    dense = desk(*((f"t{n:03}", 10.0) for n in range(200)), between=churn)
    with pytest.raises(EndpointFailed, match="kept changing through 10 passes"):
        walk(dense)


def test_times_finer_than_the_tick_are_not_lost_in_a_full_tick() -> None:
    fine = desk(*((f"t{n}", 10.0) for n in range(6)), ("u", 10.5), ("v", 10.9), ("w", 11.2))
    assert ids(walk(fine)) == [*(f"t{n}" for n in range(6)), "u", "v", "w"]


def test_a_full_tick_at_the_end_of_an_asked_window() -> None:
    dense = desk(*((f"t{n}", 10.0) for n in range(8)), ("z", 11))
    assert ids(walk(dense, at(10), at(10))) == [f"t{n}" for n in range(8)]


def test_an_empty_page_with_a_token_is_not_the_end() -> None:
    names = [f"h{n}" for n in range(4)]
    hiding = desk(*((n, 10.0) for n in names), ("a", 20), ("b", 30), hidden=frozenset(names))
    assert ids(walk(hiding)) == ["a", "b"]


def test_a_window_of_hidden_rows_ends() -> None:
    names = [f"h{n}" for n in range(5)]
    assert ids(walk(desk(*((n, 10.0) for n in names), hidden=frozenset(names)))) == []


def test_bad_rows_do_not_stop_the_walk_and_are_told_once() -> None:
    tickets = [(f"t{n}", 10.0 * n) for n in range(1, 12)]
    broken = desk(*tickets, untimed=frozenset({"t1", "t2", "t3", "t4", "t8"}))
    pages = walk(broken)
    assert ids(pages) == ["t5", "t6", "t7", "t9", "t10", "t11"]
    assert [bad.ticket_id for page in pages for bad in page.bad] == ["t1", "t2", "t3", "t4", "t8"]


def test_rows_of_2099_are_given_however_many_and_move_nothing() -> None:
    future = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    odd = desk(("a", 5), ("b", 6), *((f"odd{n}", future + n) for n in range(9)))
    pages = walk(odd)
    assert ids(pages) == ["a", "b", *(f"odd{n}" for n in range(9))]
    assert {page.until for page in pages} == {at(NOW) - SECOND}


def test_changes_made_while_paging_are_not_chased() -> None:
    def change_all(desk: MovingDesk) -> None:
        desk.now += 10
        for n in range(8):
            desk.change(f"t{n}")

    busy = desk(*((f"t{n}", 10.0 + n) for n in range(8)), between=change_all)
    walk(busy)
    assert len(busy.asked) < 5


def test_changes_of_the_opening_second_are_read_to_the_end() -> None:
    fresh = desk(*((f"t{n}", NOW) for n in range(8)))
    assert set(ids(walk(fresh))) == {f"t{n}" for n in range(8)}


@pytest.mark.parametrize("times", [(20.0, 10.0), (10.0, 30.0, 20.0), (3.0, 10.0)])
def test_rows_out_of_order_or_before_the_window_are_an_error(times: tuple[float, ...]) -> None:
    rows = tuple(ticket(str(n), when) for n, when in enumerate(times))

    def fetch(start: datetime, end: datetime, token: str | None) -> Answer[Ticket]:
        return Answer(rows, (), None, at(NOW))

    with pytest.raises(EndpointFailed, match="the order that it was asked for"):
        list(
            TimeWalk(fetch, tick=SECOND, held_back=SECOND, settled_after=0 * SECOND).pages(
                at(5), None
            )
        )


@pytest.mark.parametrize("chases", [True, False])
def test_changes_made_meanwhile_are_chased_where_that_is_asked_for(chases: bool) -> None:
    """Before each of a few calls, more changes than a page holds; else they end the walk."""
    names = "abcdefghijklmno"

    def bulk(desk: MovingDesk) -> None:
        desk.now += 5
        if len(desk.asked) <= 5:
            for name in names[3 * len(desk.asked) - 3 :][:3]:
                desk.change(name)
                desk.now += 1

    old = {"w": 985.0, "x": 988.0, "y": 990.0, "z": 995.0}
    busy = desk(*((name, 10.0) for name in names), *old.items(), between=bulk)
    walk = TimeWalk(
        busy.fetch, tick=SECOND, held_back=SECOND, settled_after=0 * SECOND, chases=chases
    )
    found = set(ids(list(walk.pages(at(980), None))))
    assert old.keys() <= found
    assert (found == {*names, *old}) is chases


def test_a_row_repeated_within_a_page_comes_once() -> None:
    twice = ticket("a", 10)

    def fetch(start: datetime, end: datetime, token: str | None) -> Answer[Ticket]:
        return Answer((twice, twice), (), None, at(NOW))

    walk = TimeWalk(fetch, tick=SECOND, held_back=SECOND, settled_after=0 * SECOND)
    assert ids(list(walk.pages(None, None))) == ["a"]


def test_a_long_window_is_read_side_by_side() -> None:
    long = desk(*((f"{n}", float(n)) for n in range(900)), page_size=10)
    pages = walk(long, at_once=4)
    assert set(ids(pages)) == {str(n) for n in range(900)}
    # Sharing costs a few calls, not many: 90 full pages, each beginning with its edge.
    assert len(long.asked) <= 130
    begun = {start for start, _, _ in long.asked}
    assert len([start for start in begun if start > at(450)]) > 20
    assert pages[-1].share == 1.0


def test_a_window_of_a_few_pages_is_not_shared() -> None:
    short = desk(*((f"{n}", 900.0 + 10 * n) for n in range(6)))
    alone = desk(*((f"{n}", 900.0 + 10 * n) for n in range(6)))
    walk(short, since=at(890), at_once=8)
    walk(alone, since=at(890))
    assert short.asked == alone.asked


def test_the_share_grows_from_the_oldest_ticket_to_now() -> None:
    late = desk(*((f"{n}", 900.0 + n) for n in range(90)))
    shares = [page.share or 0.0 for page in walk(late)]
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] == 1.0


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("read", [1, 40, 89])
def test_an_interrupted_walk_goes_on_where_it_was(read: int, at_once: int) -> None:
    long = desk(*((f"{n}", float(n)) for n in range(900)), page_size=10)
    pages = iter(walker(long, at_once).pages(None, None))
    first = [next(pages) for _ in range(read)]
    pages.close()  # type: ignore[attr-defined]
    long.now += 100
    long.change("5")
    long.now += 10
    before = len(long.asked)
    second = walk(long, at_once=at_once, resume=first[-1].resume)
    assert set(ids(first)) | set(ids(second)) == {str(n) for n in range(900)}
    # What had changed before the second walk is in it, wherever it had been.
    assert "5/1" in {row.content_hash for page in second for row in page.tickets}
    assert second[-1].until == at(NOW + 110) - SECOND
    assert len(long.asked) - before <= 91 - read + 12 * at_once


def test_what_an_index_had_not_seen_yet_is_read_by_the_walk_that_goes_on() -> None:
    """The index lags by a minute: a ticket changed half a minute before the window was opened is
    in no answer of the first walk, and behind the stretch that it has read."""
    lagging = desk(*((f"{n}", 10.0 * n) for n in range(90)), page_size=10)
    hidden = {"late": ticket("late", NOW - 30)}
    first = list(walker(lagging, settled_after=timedelta(seconds=60)).pages(None, None))
    lagging.tickets.update(hidden)
    lagging.now += 100
    second = walker(lagging).pages(None, None, first[-1].resume)
    assert "late" in ids(list(second))


@settings(max_examples=400, deadline=None)
@given(
    at_once=st.sampled_from([1, 1, 3]),
    interrupted=st.none() | st.integers(1, 8),
    times=st.lists(st.integers(0, 12), min_size=1, max_size=25),
    page_size=st.integers(1, 5),
    changes=st.lists(st.lists(st.integers(0, 24), max_size=3), max_size=30),
    steps=st.lists(st.sampled_from([0.0, 0.4, 1.0, 3.0]), min_size=1, max_size=5),
    hidden=st.frozensets(st.integers(0, 24), max_size=4),
    since=st.none() | st.integers(0, 14),
    until=st.none() | st.integers(14, 30),
)
def test_no_ticket_is_absent_whose_last_change_is_in_the_window(
    times: list[int],
    page_size: int,
    changes: list[list[int]],
    steps: list[float],
    hidden: frozenset[int],
    since: int | None,
    until: int | None,
    at_once: int,
    interrupted: int | None,
) -> None:
    waiting = iter(changes)

    def between(desk: MovingDesk) -> None:
        desk.now += steps[len(desk.asked) % len(steps)]
        for number in next(waiting, []):
            if str(number) in desk.tickets:
                desk.change(str(number))

    moving = MovingDesk(
        {str(n): ticket(str(n), when) for n, when in enumerate(times)},
        now=13.0,
        page_size=page_size,
        between=between,
        # Hidden ones rest: what a hidden ticket shifts when it moves, no walk can see.
        hidden=frozenset(str(n) for n in hidden if not any(n in some for some in changes)),
    )
    start = None if since is None else at(since)
    end = None if until is None else at(until)
    walks = walker(moving, at_once)
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
