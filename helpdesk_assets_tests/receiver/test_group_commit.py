"""Which deliveries are written together, and what becomes of them when they cannot be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import DataRefused, WarehouseRefused, WarehouseUnavailable
from helpdesk_assets.providers.parsing.tickets import tombstone
from helpdesk_assets.receiver import group_commit
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.group_commit import GroupCommit, Pace
from helpdesk_assets.receiver.stats import Counters
from helpdesk_assets_tests.receiver.webhook_posts import START

EAGER = Pace(events=500, seconds=1.0, quiet=0.01)


def delivery(number: int, size: int = 0) -> Delivery:
    ticket = tombstone(str(number), START, {"filler": "x" * size})
    return Delivery(str(number), "ticket.deleted", "rest", START, ticket)


class PaperStore:
    """Remembers what was written, in which groups; `refuse` says what cannot be."""

    def __init__(
        self, refuse: Callable[[Sequence[str]], Exception | None] = lambda _: None
    ) -> None:
        self._refuse = refuse
        self.tried: list[list[str]] = []
        self.tickets: list[list[str]] = []
        self.events: list[list[str]] = []
        self.run_ids: list[str] = []
        self.gate, self.events_gate = threading.Event(), threading.Event()
        self.gate.set()
        self.events_gate.set()
        self.at_once = 0
        self.most_at_once = 0

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.gate.wait(60)
        self.at_once -= 1
        ids = [each.event_id for each in deliveries]
        self.tried.append(ids)
        if error := self._refuse(ids):
            raise error
        self.tickets.append(ids)
        self.run_ids.append(run_id)

    def write_events(
        self, deliveries: Sequence[Delivery], run_id: str, committed_at: datetime
    ) -> int:
        assert self.events_gate.wait(60)
        self.events.append([each.event_id for each in deliveries])
        return len(deliveries)

    def look_again(self) -> None: ...


Story = Callable[[GroupCommit], Coroutine[Any, Any, Any]]


def play(store: PaperStore, story: Story, pace: Pace = EAGER) -> Counters:
    def clock() -> datetime:
        return datetime.now(UTC)

    async def run() -> Counters:
        counters = Counters(clock)
        commits = GroupCommit(store, pace, counters, clock=clock)
        writing = asyncio.create_task(commits.run())
        try:
            await asyncio.wait_for(story(commits), 60)
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            commits.close()
        return counters

    return asyncio.run(run())


async def _outcomes(commits: GroupCommit, count: int) -> list[BaseException | None]:
    added = (commits.add(delivery(number)) for number in range(count))
    return await asyncio.gather(*added, return_exceptions=True)


def test_those_that_come_together_are_one_group() -> None:
    store = PaperStore()
    counters = play(store, lambda commits: _outcomes(commits, 64))

    assert [len(group) for group in store.tickets] == [64]
    assert store.events == store.tickets
    assert (counters.accepted, counters.commits) == (64, 1)


def test_a_group_has_so_many_events_at_most() -> None:
    store = PaperStore()
    play(store, lambda commits: _outcomes(commits, 7), Pace(events=3, seconds=1.0, quiet=0.01))

    assert [len(group) for group in store.tickets] == [3, 3, 1]
    assert len(set(store.run_ids)) == 3


def test_a_group_fits_into_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_BYTES", 5000)
    store = PaperStore()

    async def story(commits: GroupCommit) -> None:
        sizes = (2000, 2000, 2000, 9000, 10)
        await asyncio.gather(*(commits.add(delivery(n, size)) for n, size in enumerate(sizes)))

    play(store, story)
    assert store.tickets == [["0"], ["1"], ["2"], ["3"], ["4"]] or store.tickets == [
        ["0", "1"], ["2"], ["3"], ["4"],
    ]  # fmt: skip


def test_one_alone_waits_for_no_second() -> None:
    store = PaperStore()

    async def story(commits: GroupCommit) -> None:
        await asyncio.wait_for(commits.add(delivery(1)), 30)

    play(store, story, Pace(events=500, seconds=60.0, quiet=0.01))
    assert store.tickets == [["1"]]


def test_a_steady_stream_is_cut_by_the_second() -> None:
    """None of them ever finds quiet, and the first is answered all the same."""
    store = PaperStore()

    async def story(commits: GroupCommit) -> None:
        first = asyncio.ensure_future(commits.add(delivery(0)))
        others: list[asyncio.Future[None]] = []
        while not first.done():
            others.append(asyncio.ensure_future(commits.add(delivery(len(others) + 1))))
            await asyncio.sleep(0.005)
        await asyncio.gather(*others)

    play(store, story, Pace(events=10_000, seconds=0.1, quiet=600.0))
    assert len(store.tickets[0]) > 1


def test_while_one_is_written_the_next_gathers() -> None:
    store = PaperStore()
    store.gate.clear()

    async def story(commits: GroupCommit) -> None:
        first = asyncio.ensure_future(commits.add(delivery(0)))
        while not store.at_once:
            await asyncio.sleep(0.001)
        others = []
        for number in range(1, 20):
            others.append(asyncio.ensure_future(commits.add(delivery(number))))
            await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, *others)

    play(store, story)
    assert [len(group) for group in store.tickets] == [1, 19]
    assert store.most_at_once == 1


@pytest.mark.parametrize(("seconds", "beside"), [(0.02, True), (60.0, False)])
def test_tickets_are_written_beside_events_that_take_long(seconds: float, beside: bool) -> None:
    store = PaperStore()
    store.events_gate.clear()

    async def story(commits: GroupCommit) -> None:
        first = asyncio.ensure_future(commits.add(delivery(0)))
        while not store.tickets:
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(commits.add(delivery(1)))
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert (len(store.tickets) == 2) is beside
        assert store.events == []
        store.events_gate.set()
        await asyncio.gather(first, second)

    play(store, story, Pace(events=500, seconds=seconds, quiet=0.01))
    assert store.events == [["0"], ["1"]]


def test_a_warehouse_that_is_down_fails_the_group_once() -> None:
    store = PaperStore(lambda _: WarehouseUnavailable("gone"))
    outcomes: list[BaseException | None] = []

    async def story(commits: GroupCommit) -> None:
        outcomes.extend(await _outcomes(commits, 8))

    counters = play(store, story)
    assert len(store.tried) == 1
    assert [type(outcome) for outcome in outcomes] == [WarehouseUnavailable] * 8
    assert store.events == []
    assert counters.describe()["failing_since"]


@pytest.mark.parametrize("kind", [DataRefused, WarehouseRefused])
def test_one_bad_row_keeps_no_other_out(kind: type[Exception]) -> None:
    store = PaperStore(lambda ids: kind("no") if "137" in ids else None)
    outcomes: list[BaseException | None] = []

    async def story(commits: GroupCommit) -> None:
        outcomes.extend(await _outcomes(commits, 500))

    play(store, story)
    assert [number for number, outcome in enumerate(outcomes) if outcome] == [137]
    assert sum(len(group) for group in store.events) == 499


def test_a_warehouse_that_refuses_all_is_not_asked_for_each() -> None:
    store = PaperStore(lambda _: WarehouseRefused("no"))
    outcomes: list[BaseException | None] = []

    async def story(commits: GroupCommit) -> None:
        outcomes.extend(await _outcomes(commits, 500))

    play(store, story)
    assert all(outcomes)
    assert len(store.tried) <= group_commit.MOST_PARTS + 1


def test_a_bug_leaves_nobody_waiting() -> None:
    store = PaperStore(lambda _: KeyError("bug"))
    outcomes: list[BaseException | None] = []

    async def story(commits: GroupCommit) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        outcomes.extend(await _outcomes(commits, 2))
        # And it goes on with the next.
        assert isinstance((await _outcomes(commits, 1))[0], KeyError)

    play(store, story)
    assert [type(outcome) for outcome in outcomes] == [KeyError] * 2
