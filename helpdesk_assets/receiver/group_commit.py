"""Deliveries that arrive together are written together, and each is answered when that is durable.

A MERGE takes about as long for one row as for hundreds, so one per event would be as slow as the
warehouse. While a group is being written the next one gathers, for a second at least. One that
nothing is ahead of waits only until nobody has followed it for a moment (20 ms), not the whole
second: without that moment those who were just answered, and send again, would find a group of one
under way, and every other MERGE would carry one row. A steady stream never pauses; the second cuts
it.

Tickets and events are two tables, so where a MERGE takes longer than that second, the events of one
group are written beside the tickets of the next. The tickets of two groups never are, since MERGEs
into one table conflict.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError, WarehouseRefused
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.stats import Counters

# Half of what a statement may carry: a body grows a little when it becomes a row.
MOST_BYTES = 4_000_000
# Finds one bad row among five hundred, and does not hammer a warehouse that refuses them all.
MOST_PARTS = 24


class Store(Protocol):
    """Where groups are written; called in threads."""

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None: ...

    def write_events(
        self, deliveries: Sequence[Delivery], run_id: str, committed_at: datetime
    ) -> int: ...

    def look_again(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """A group is written with `events` in it, `seconds` after its first came, or when no other is
    being written and none came for `quiet` seconds, whichever is first."""

    events: int
    seconds: float
    quiet: float


@dataclass(slots=True)
class _Waiting:
    delivery: Delivery
    since: float
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Tries:
    left: int = MOST_PARTS


class GroupCommit:
    """Use `run` as a task. Made for one event loop."""

    def __init__(
        self, store: Store, pace: Pace, counters: Counters, *, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._pace = pace
        self._counters = counters
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        # When somebody last came, or was answered and may come again.
        self._moved_at = 0.0
        self._moved = asyncio.Event()
        self._came = asyncio.Event()
        self._under_way = 0
        self._tickets = asyncio.Lock()
        self._events = asyncio.Lock()
        self._commits: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(2, "webhook-commit")

    async def add(self, delivery: Delivery) -> None:
        """Return when the delivery is durable.

        Raises:
            HelpdeskAssetsError: it was not written, or it is not known whether it was.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(delivery, loop.time(), loop.create_future())
        self._waiting.append(waiting)
        self._bytes += delivery.size
        self._came.set()
        self._move()
        await waiting.done

    async def run(self) -> None:
        """Write groups until cancelled."""
        while True:
            await self._came.wait()
            await self._tickets.acquire()
            await self._gather()
            commit = asyncio.create_task(self._write_group(self._cut()))
            self._under_way += 1
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)

    def close(self) -> None:
        """Start no further write. One under way goes on in its thread, which ends with it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        pace = self._pace
        # Whoever waited for their turn longer than that still lets those in who were just answered.
        moment = min(pace.quiet, pace.seconds)
        latest = max(self._waiting[0].since + pace.seconds, loop.time() + moment)
        while not self._is_full():
            end = latest if self._under_way else min(latest, self._moved_at + pace.quiet)
            left = end - loop.time()
            if left <= 0:
                return
            self._moved.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)

    def _move(self) -> None:
        self._moved_at = asyncio.get_running_loop().time()
        self._moved.set()

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._pace.events or self._bytes >= MOST_BYTES

    def _cut(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < self._pace.events:
            size += self._waiting[0].delivery.size
            if group and size > MOST_BYTES:
                break
            group.append(self._waiting.popleft())
        self._bytes -= sum(waiting.delivery.size for waiting in group)
        if not self._waiting:
            self._came.clear()
        return group

    async def _write_group(self, group: list[_Waiting]) -> None:
        try:
            await self._commit(group, _Tries())
        finally:
            self._under_way -= 1
            self._move()

    async def _commit(self, group: list[_Waiting], tries: _Tries) -> None:
        """Write a group, whose turn at the tickets has come, and tell everybody in it."""
        try:
            await self._write([waiting.delivery for waiting in group])
        except (DataRefused, WarehouseRefused) as error:
            await self._write_in_parts(group, tries, error)
        except HelpdeskAssetsError as error:
            self._fail(group, error)
        except BaseException as error:
            self._fail(group, error)
            raise
        else:
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_result(None)

    async def _write(self, deliveries: Sequence[Delivery]) -> None:
        run_id = uuid.uuid4().hex
        loop = asyncio.get_running_loop()
        store, threads = self._store, self._threads
        try:
            await loop.run_in_executor(threads, store.write_tickets, deliveries, run_id)
        finally:
            self._tickets.release()
        committed_at = self._clock()
        async with self._events:
            new = await loop.run_in_executor(
                threads, store.write_events, deliveries, run_id, committed_at
            )
        self._counters.committed(len(deliveries), new)

    async def _write_in_parts(
        self, group: list[_Waiting], tries: _Tries, error: HelpdeskAssetsError
    ) -> None:
        """One bad row refuses the whole statement. The others shall not be refused with it for as
        long as their vendors send them again."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._store.look_again)
        half = len(group) // 2
        for part in (group[:half], group[half:]):
            if len(group) == 1 or tries.left <= 0:
                self._fail(part, error)
                continue
            tries.left -= 1
            await self._tickets.acquire()
            await self._commit(part, tries)

    def _fail(self, group: list[_Waiting], error: BaseException) -> None:
        self._counters.failed(error)
        for waiting in group:
            # Whoever waited may have been cancelled, when all is stopped.
            if not waiting.done.done():
                waiting.done.set_exception(error)
