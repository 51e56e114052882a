"""Which events are appended together, and what happens if an append fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import (
    DataRefused,
    HelpdeskAssetsError,
    WarehouseRefused,
    WarehouseUnavailable,
)
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.receiver import append_queue
from helpdesk_assets.receiver.append_queue import MAX_IN_FLIGHT, AppendQueue
from helpdesk_assets.receiver.stats import ReceiverStats
from helpdesk_assets_tests.receiver.webhook_posts import START

NOW = START + timedelta(minutes=1)
Scenario = Callable[[AppendQueue], Coroutine[Any, Any, Any]]


def event(number: int, size: int = 0) -> WebhookEvent:
    ticket = tombstone(str(number), START, {"filler": "x" * size}) if size else None
    kind = EventKind.TICKET if size else EventKind.HINT
    return WebhookEvent(str(number), str(number), "t", kind, "rest", START, ticket=ticket)


class FakeSink:
    """Records what was appended, in which groups; `fail` selects what fails."""

    def __init__(self, fail: Callable[[Sequence[str]], Exception | None] = lambda _: None) -> None:
        self._fail = fail
        self.groups: list[list[WebhookEvent]] = []
        self.bad: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.at_once = 0
        self._lock = threading.Lock()

    @property
    def ids(self) -> list[list[str]]:
        return [[each.event_id for each in group] for group in self.groups]

    def append_events(self, events: Sequence[WebhookEvent]) -> Mapping[int, HelpdeskAssetsError]:
        with self._lock:
            self.at_once += 1
        assert self.gate.wait(60)
        with self._lock:
            self.at_once -= 1
            if error := self._fail([each.event_id for each in events]):
                raise error
            self.groups.append(list(events))
        found = enumerate(events)
        return {place: DataRefused("no") for place, each in found if each.event_id in self.bad}


def run_scenario(sink: FakeSink, scenario: Scenario) -> ReceiverStats:
    async def run() -> ReceiverStats:
        stats = ReceiverStats(lambda: NOW)
        queue = AppendQueue(sink, stats, now=lambda: NOW)
        running = asyncio.create_task(queue.run())
        try:
            await asyncio.wait_for(scenario(queue), 60)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            queue.close()
        return stats

    return asyncio.run(run())


async def outcomes(queue: AppendQueue, count: int) -> list[BaseException | None]:
    added = (queue.add(event(number)) for number in range(count))
    return await asyncio.gather(*added, return_exceptions=True)


def test_events_that_come_together_are_one_append() -> None:
    sink = FakeSink()
    stats = run_scenario(sink, lambda queue: outcomes(queue, 64))

    assert [len(group) for group in sink.groups] == [64]
    assert (stats.accepted, stats.appends) == (64, 1)
    assert {each.committed_at for each in sink.groups[0]} == {NOW}


def test_event_waits_for_no_other() -> None:
    sink = FakeSink()
    run_scenario(sink, lambda queue: queue.add(event(1)))
    assert sink.ids == [["1"]]


def test_events_gather_while_all_appends_are_in_flight() -> None:
    sink = FakeSink()
    sink.gate.clear()

    async def scenario(queue: AppendQueue) -> None:
        added = []
        for number in range(MAX_IN_FLIGHT):
            added.append(asyncio.ensure_future(queue.add(event(number))))
            while sink.at_once <= number:
                await asyncio.sleep(0.001)
        for number in range(MAX_IN_FLIGHT, 40):
            added.append(asyncio.ensure_future(queue.add(event(number))))
            await asyncio.sleep(0)
        assert sink.at_once == MAX_IN_FLIGHT
        sink.gate.set()
        await asyncio.gather(*added)

    run_scenario(sink, scenario)
    sizes = sorted(len(group) for group in sink.groups)
    assert sizes[:MAX_IN_FLIGHT] == [1] * MAX_IN_FLIGHT
    assert sum(sizes) == 40
    assert len(sizes) == MAX_IN_FLIGHT + 1


def test_append_is_limited_in_events_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_queue, "MAX_GROUP_EVENTS", 3)
    monkeypatch.setattr(append_queue, "MAX_GROUP_BYTES", 5000)
    sink = FakeSink()

    async def scenario(queue: AppendQueue) -> None:
        await asyncio.gather(*(queue.add(event(n)) for n in range(7)))
        sizes = (1000, 1000, 1000, 9000, 10)
        await asyncio.gather(*(queue.add(event(n, size)) for n, size in enumerate(sizes)))

    run_scenario(sink, scenario)
    assert sorted(len(group) for group in sink.groups) == [1, 1, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("kind", [WarehouseUnavailable, WarehouseRefused])
def test_failed_append_fails_its_events_once(kind: type[Exception]) -> None:
    tried: list[Sequence[str]] = []

    def fail(ids: Sequence[str]) -> Exception:
        tried.append(ids)
        return kind("gone")

    found: list[BaseException | None] = []

    async def scenario(queue: AppendQueue) -> None:
        found.extend(await outcomes(queue, 8))

    stats = run_scenario(FakeSink(fail), scenario)
    assert len(tried) == 1
    assert [type(each) for each in found] == [kind] * 8
    assert stats.describe()["failing_since"]


def test_bad_event_blocks_no_other() -> None:
    sink = FakeSink()
    sink.bad = {"137"}
    found: list[BaseException | None] = []

    async def scenario(queue: AppendQueue) -> None:
        found.extend(await outcomes(queue, 500))

    stats = run_scenario(sink, scenario)
    assert [number for number, each in enumerate(found) if each] == [137]
    assert stats.accepted == 499


def test_slow_append_delays_no_other() -> None:
    """One connection may hang while others answer."""
    blocked = threading.Event()

    class Slow(FakeSink):
        def append_events(
            self, events: Sequence[WebhookEvent]
        ) -> Mapping[int, HelpdeskAssetsError]:
            if events[0].event_id == "0":
                assert blocked.wait(60)
            return super().append_events(events)

    async def scenario(queue: AppendQueue) -> None:
        slow = asyncio.ensure_future(queue.add(event(0)))
        await asyncio.sleep(0.01)
        for number in range(1, 20):
            await queue.add(event(number))
        assert not slow.done()
        blocked.set()
        await slow

    run_scenario(Slow(), scenario)


def test_unexpected_error_answers_every_event() -> None:
    sink = FakeSink(lambda _: KeyError("bug"))
    found: list[BaseException | None] = []

    async def scenario(queue: AppendQueue) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        found.extend(await outcomes(queue, 2))
        # It continues with the next one.
        assert isinstance((await outcomes(queue, 1))[0], KeyError)

    run_scenario(sink, scenario)
    assert [type(each) for each in found] == [KeyError] * 2


def test_stop_during_an_append_says_so(caplog: pytest.LogCaptureFixture) -> None:
    sink = FakeSink()
    sink.gate.clear()

    async def scenario(queue: AppendQueue) -> None:
        waiting = asyncio.ensure_future(queue.add(event(0)))
        while not sink.at_once:
            await asyncio.sleep(0.001)
        for task in queue._appends:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        sink.gate.set()

    stats = run_scenario(sink, scenario)
    assert [record.getMessage() for record in caplog.records] == [
        "The receiver stops with 1 events not written; vendors are asked to send them again."
    ]
    assert stats.describe()["failing_since"] is None


def test_committed_at_is_the_time_of_the_append() -> None:
    sink = FakeSink()
    clock = iter(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in range(60))

    async def run() -> None:
        queue = AppendQueue(sink, ReceiverStats(lambda: NOW), now=lambda: next(clock))
        running = asyncio.create_task(queue.run())
        for number in range(3):
            await queue.add(event(number))
        running.cancel()
        queue.close()

    asyncio.run(run())
    assert [group[0].committed_at.second for group in sink.groups if group[0].committed_at] == [
        0, 1, 2,
    ]  # fmt: skip
