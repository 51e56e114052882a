"""Which deliveries are written together, and what happens if a write fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import DataRefused, WarehouseRefused, WarehouseUnavailable
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.receiver import group_commit
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.group_commit import BatchingPolicy, GroupCommit
from helpdesk_assets.receiver.stats import ReceiverStats
from helpdesk_assets_tests.receiver.webhook_posts import START

EAGER = BatchingPolicy(events=500, seconds=1.0, quiet_seconds=0.01)


def delivery(number: int, size: int = 0) -> Delivery:
    ticket = tombstone(str(number), START, {"filler": "x" * size})
    return Delivery(str(number), "ticket.deleted", "rest", START, ticket)


class FakeStore:
    """Records what was written, in which groups; `refuse` selects what fails."""

    def __init__(
        self, refuse: Callable[[Sequence[str]], Exception | None] = lambda _: None
    ) -> None:
        self._refuse = refuse
        self.tried: list[list[str]] = []
        self.tickets: list[list[str]] = []
        self.events: list[list[str]] = []
        self.run_ids: list[str] = []
        self.known: frozenset[str] = frozenset()
        self.asked: list[set[str]] = []
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

    def find_known(self, ticket_ids: Collection[str]) -> frozenset[str]:
        self.asked.append(set(ticket_ids))
        return frozenset(ticket_ids) & self.known

    def refresh_schemas(self) -> None: ...


Scenario = Callable[[GroupCommit], Coroutine[Any, Any, Any]]


def run_scenario(
    store: FakeStore, scenario: Scenario, pace: BatchingPolicy = EAGER
) -> ReceiverStats:
    def now() -> datetime:
        return datetime.now(UTC)

    async def run() -> ReceiverStats:
        counters = ReceiverStats(now)
        commits = GroupCommit(store, pace, counters, now=now)
        writing = asyncio.create_task(commits.run())
        try:
            await asyncio.wait_for(scenario(commits), 60)
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


def test_concurrent_deliveries_form_one_group() -> None:
    store = FakeStore()
    counters = run_scenario(store, lambda commits: _outcomes(commits, 64))

    assert [len(group) for group in store.tickets] == [64]
    assert store.events == store.tickets
    assert (counters.accepted, counters.commits) == (64, 1)


def test_group_size_is_limited() -> None:
    store = FakeStore()
    run_scenario(
        store,
        lambda commits: _outcomes(commits, 7),
        BatchingPolicy(events=3, seconds=1.0, quiet_seconds=0.01),
    )

    assert [len(group) for group in store.tickets] == [3, 3, 1]
    assert len(set(store.run_ids)) == 3


def test_group_fits_into_one_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES", 5000)
    store = FakeStore()

    async def scenario(commits: GroupCommit) -> None:
        sizes = (2000, 2000, 2000, 9000, 10)
        await asyncio.gather(*(commits.add(delivery(n, size)) for n, size in enumerate(sizes)))

    run_scenario(store, scenario)
    assert store.tickets == [["0"], ["1"], ["2"], ["3"], ["4"]] or store.tickets == [
        ["0", "1"], ["2"], ["3"], ["4"],
    ]  # fmt: skip


def test_single_delivery_waits_for_no_other() -> None:
    store = FakeStore()

    async def scenario(commits: GroupCommit) -> None:
        await asyncio.wait_for(commits.add(delivery(1)), 30)

    run_scenario(store, scenario, BatchingPolicy(events=500, seconds=60.0, quiet_seconds=0.01))
    assert store.tickets == [["1"]]


def test_steady_stream_is_committed_every_second() -> None:
    """There is no pause between them, and the first is answered all the same."""
    store = FakeStore()

    async def scenario(commits: GroupCommit) -> None:
        first = asyncio.ensure_future(commits.add(delivery(0)))
        others: list[asyncio.Future[None]] = []
        while not first.done():
            others.append(asyncio.ensure_future(commits.add(delivery(len(others) + 1))))
            await asyncio.sleep(0.005)
        await asyncio.gather(*others)

    run_scenario(store, scenario, BatchingPolicy(events=10_000, seconds=0.1, quiet_seconds=600.0))
    assert len(store.tickets[0]) > 1


def test_next_group_gathers_during_a_commit() -> None:
    store = FakeStore()
    store.gate.clear()

    async def scenario(commits: GroupCommit) -> None:
        first = asyncio.ensure_future(commits.add(delivery(0)))
        while not store.at_once:
            await asyncio.sleep(0.001)
        others = []
        for number in range(1, 20):
            others.append(asyncio.ensure_future(commits.add(delivery(number))))
            await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, *others)

    run_scenario(store, scenario)
    assert [len(group) for group in store.tickets] == [1, 19]
    assert store.most_at_once == 1


@pytest.mark.parametrize(("seconds", "beside"), [(0.02, True), (60.0, False)])
def test_tickets_are_written_while_slow_events_are(seconds: float, beside: bool) -> None:
    store = FakeStore()
    store.events_gate.clear()

    async def scenario(commits: GroupCommit) -> None:
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

    run_scenario(store, scenario, BatchingPolicy(events=500, seconds=seconds, quiet_seconds=0.01))
    assert store.events == [["0"], ["1"]]


def test_unavailable_warehouse_fails_the_group_once() -> None:
    store = FakeStore(lambda _: WarehouseUnavailable("gone"))
    outcomes: list[BaseException | None] = []

    async def scenario(commits: GroupCommit) -> None:
        outcomes.extend(await _outcomes(commits, 8))

    counters = run_scenario(store, scenario)
    assert len(store.tried) == 1
    assert [type(outcome) for outcome in outcomes] == [WarehouseUnavailable] * 8
    assert store.events == []
    assert counters.describe()["failing_since"]


@pytest.mark.parametrize("kind", [DataRefused, WarehouseRefused])
def test_one_bad_row_blocks_no_other(kind: type[Exception]) -> None:
    store = FakeStore(lambda ids: kind("no") if "137" in ids else None)
    outcomes: list[BaseException | None] = []

    async def scenario(commits: GroupCommit) -> None:
        outcomes.extend(await _outcomes(commits, 500))

    run_scenario(store, scenario)
    assert [number for number, outcome in enumerate(outcomes) if outcome] == [137]
    assert sum(len(group) for group in store.events) == 499


def test_refusing_warehouse_is_not_retried_for_each_row() -> None:
    store = FakeStore(lambda _: WarehouseRefused("no"))
    outcomes: list[BaseException | None] = []

    async def scenario(commits: GroupCommit) -> None:
        outcomes.extend(await _outcomes(commits, 500))

    run_scenario(store, scenario)
    assert all(outcomes)
    assert len(store.tried) <= group_commit.MAX_SPLITS + 1


def test_unexpected_error_answers_every_delivery() -> None:
    store = FakeStore(lambda _: KeyError("bug"))
    outcomes: list[BaseException | None] = []

    async def scenario(commits: GroupCommit) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        outcomes.extend(await _outcomes(commits, 2))
        # It continues with the next one.
        assert isinstance((await _outcomes(commits, 1))[0], KeyError)

    run_scenario(store, scenario)
    assert [type(outcome) for outcome in outcomes] == [KeyError] * 2


def told(number: int) -> Delivery:
    return replace(delivery(number), event_id=f"gone {number}", only_told=True)


def test_told_deletions_are_written_only_for_known_tickets() -> None:
    store = FakeStore()
    store.known = frozenset({"2"})

    async def scenario(commits: GroupCommit) -> None:
        added = [told(1), told(2), told(3), delivery(3)]
        await asyncio.gather(*(commits.add(each) for each in added))
        await commits.add(told(1))

    counters = run_scenario(store, scenario)
    assert store.asked == [{"1", "2"}, {"1"}]
    assert store.tickets == store.events == [["gone 2", "gone 3", "3"]]
    assert (counters.accepted, counters.ignored) == (3, 2)


def test_stop_during_a_write_says_so(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore()
    store.gate.clear()

    async def scenario(commits: GroupCommit) -> None:
        waiting = asyncio.ensure_future(commits.add(delivery(0)))
        while not store.at_once:
            await asyncio.sleep(0.001)
        for task in commits._commits:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        store.gate.set()

    counters = run_scenario(store, scenario)
    assert [record.getMessage() for record in caplog.records] == [
        "The receiver stops with 1 events not written; vendors are asked to send them again."
    ]
    assert counters.describe()["failing_since"] is None
