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
from helpdesk_assets.receiver.stats import ReceiverStats

# Half of what a statement may carry: a body grows a little when it becomes a row.
MAX_GROUP_BYTES = 4_000_000
# Finds one bad row among five hundred, and does not hammer a warehouse that refuses them all.
MAX_SPLITS = 24


class DeliverySink(Protocol):
    """Where groups are written; called in threads."""

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None: ...

    def write_events(
        self, deliveries: Sequence[Delivery], run_id: str, committed_at: datetime
    ) -> int: ...

    def refresh_schemas(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """A group is written with `events` in it, `seconds` after its first came, or when no other is
    being written and none came for `quiet_seconds` seconds, whichever is first."""

    events: int
    seconds: float
    quiet_seconds: float


@dataclass(slots=True)
class _PendingDelivery:
    delivery: Delivery
    since: float
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Splits:
    remaining: int = MAX_SPLITS


class GroupCommit:
    """Use `run` as a task. Made for one event loop."""

    def __init__(
        self,
        store: DeliverySink,
        batching: BatchingPolicy,
        stats: ReceiverStats,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._batching = batching
        self._stats = stats
        self._now = now
        self._pending: deque[_PendingDelivery] = deque()
        self._bytes = 0
        # When somebody last came, or was answered and may come again.
        self._last_activity_at = 0.0
        self._activity = asyncio.Event()
        self._has_pending = asyncio.Event()
        self._in_flight = 0
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
        pending = _PendingDelivery(delivery, loop.time(), loop.create_future())
        self._pending.append(pending)
        self._bytes += delivery.size
        self._has_pending.set()
        self._record_activity()
        await pending.done

    async def run(self) -> None:
        """Write groups until cancelled."""
        while True:
            await self._has_pending.wait()
            await self._tickets.acquire()
            await self._collect()
            commit = asyncio.create_task(self._write_group(self._next_group()))
            self._in_flight += 1
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)

    def close(self) -> None:
        """Start no further write. One under way goes on in its thread, which ends with it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _collect(self) -> None:
        loop = asyncio.get_running_loop()
        batching = self._batching
        # Whoever waited for their turn longer than that still lets those in who were just answered.
        min_wait = min(batching.quiet_seconds, batching.seconds)
        latest = max(self._pending[0].since + batching.seconds, loop.time() + min_wait)
        while not self._is_full():
            end = (
                latest
                if self._in_flight
                else min(latest, self._last_activity_at + batching.quiet_seconds)
            )
            remaining = end - loop.time()
            if remaining <= 0:
                return
            self._activity.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._activity.wait(), remaining)

    def _record_activity(self) -> None:
        self._last_activity_at = asyncio.get_running_loop().time()
        self._activity.set()

    def _is_full(self) -> bool:
        return len(self._pending) >= self._batching.events or self._bytes >= MAX_GROUP_BYTES

    def _next_group(self) -> list[_PendingDelivery]:
        group: list[_PendingDelivery] = []
        size = 0
        while self._pending and len(group) < self._batching.events:
            size += self._pending[0].delivery.size
            if group and size > MAX_GROUP_BYTES:
                break
            group.append(self._pending.popleft())
        self._bytes -= sum(pending.delivery.size for pending in group)
        if not self._pending:
            self._has_pending.clear()
        return group

    async def _write_group(self, group: list[_PendingDelivery]) -> None:
        try:
            await self._commit(group, _Splits())
        finally:
            self._in_flight -= 1
            self._record_activity()

    async def _commit(self, group: list[_PendingDelivery], splits: _Splits) -> None:
        """Write a group, whose turn at the tickets has come, and tell everybody in it."""
        try:
            await self._write([pending.delivery for pending in group])
        except (DataRefused, WarehouseRefused) as error:
            await self._write_split(group, splits, error)
        except HelpdeskAssetsError as error:
            self._fail(group, error)
        except BaseException as error:
            self._fail(group, error)
            raise
        else:
            for pending in group:
                if not pending.done.done():
                    pending.done.set_result(None)

    async def _write(self, deliveries: Sequence[Delivery]) -> None:
        run_id = uuid.uuid4().hex
        loop = asyncio.get_running_loop()
        store, threads = self._store, self._threads
        try:
            await loop.run_in_executor(threads, store.write_tickets, deliveries, run_id)
        finally:
            self._tickets.release()
        committed_at = self._now()
        async with self._events:
            new = await loop.run_in_executor(
                threads, store.write_events, deliveries, run_id, committed_at
            )
        self._stats.record_commit(len(deliveries), new)

    async def _write_split(
        self, group: list[_PendingDelivery], splits: _Splits, error: HelpdeskAssetsError
    ) -> None:
        """One bad row refuses the whole statement. The others shall not be refused with it for as
        long as their vendors send them again."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._store.refresh_schemas)
        half = len(group) // 2
        for part in (group[:half], group[half:]):
            if len(group) == 1 or splits.remaining <= 0:
                self._fail(part, error)
                continue
            splits.remaining -= 1
            await self._tickets.acquire()
            await self._commit(part, splits)

    def _fail(self, group: list[_PendingDelivery], error: BaseException) -> None:
        self._stats.record_failure(error)
        for pending in group:
            # Whoever waited may have been cancelled, when all is stopped.
            if not pending.done.done():
                pending.done.set_exception(error)
