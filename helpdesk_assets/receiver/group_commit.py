"""Writes deliveries that arrive together in one group, and completes each once it is durable.

A MERGE takes about as long for one row as for hundreds, so one per event would limit throughput to
the warehouse's latency. While a group is being written, the next one collects for at least a
second. If no commit is running, a group is written after 20 ms without a new event instead of
the full second. The 20 ms let clients that were just answered join; otherwise every second MERGE
would carry one row. A steady stream never pauses, so the full second ends its group.

Tickets and events are two tables. So if a MERGE takes longer than the second, the events of one
group are written in parallel with the tickets of the next. The tickets of two groups never are:
MERGEs that update rows conflict, and those that only insert may insert the same ticket twice.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError, WarehouseRefused
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.stats import ReceiverStats

# Half of what a statement may carry: a body grows when it becomes a row.
MAX_GROUP_BYTES = 4_000_000
# Enough to isolate one bad row among five hundred, without flooding a warehouse that rejects all.
MAX_SPLITS = 24


class DeliverySink(Protocol):
    """Where groups are written; its methods are called in threads."""

    def find_known(self, ticket_ids: Collection[str]) -> frozenset[str]:
        """Return those of the tickets that have a row."""
        ...

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        """Write the tickets' versions unless the table has newer ones."""
        ...

    def write_events(
        self, deliveries: Sequence[Delivery], run_id: str, committed_at: datetime
    ) -> int:
        """Record the events and return how many are new.

        Args:
            deliveries: the group.
            run_id: the group's id.
            committed_at: when its tickets became durable.
        """
        ...

    def refresh_schemas(self) -> None:
        """Read the tables' schemas again before the next write."""
        ...


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """When a group is written; the first condition counts.

    Attributes:
        events: the group has this many events.
        seconds: this long after its first event.
        quiet_seconds: this long after the latest event, if no other group is being written.
    """

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
    """Collects deliveries into groups; for one event loop, with `run` as a task."""

    def __init__(
        self,
        store: DeliverySink,
        batching: BatchingPolicy,
        stats: ReceiverStats,
        *,
        now: Callable[[], datetime],
    ) -> None:
        """Start empty.

        Args:
            store: writes the groups.
            batching: when a group is written.
            stats: counts commits and failures.
            now: the current time, aware.
        """
        self._store = store
        self._batching = batching
        self._stats = stats
        self._now = now
        self._pending: deque[_PendingDelivery] = deque()
        self._bytes = 0
        # When a delivery last arrived, or a client was answered and may send again.
        self._last_activity_at = 0.0
        self._activity = asyncio.Event()
        self._has_pending = asyncio.Event()
        self._in_flight = 0
        self._tickets = asyncio.Lock()
        self._events = asyncio.Lock()
        self._commits: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(2, "webhook-commit")

    async def add(self, delivery: Delivery) -> None:
        """Add a delivery, and return once it is durable.

        Raises:
            HelpdeskAssetsError: it was not written, or it is unknown whether it was.
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
        """Start no further write; a running one finishes in its thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _collect(self) -> None:
        loop = asyncio.get_running_loop()
        batching = self._batching
        # A group that has waited longer still lets in clients that were just answered.
        min_wait = min(batching.quiet_seconds, batching.seconds)
        latest = max(self._pending[0].since + batching.seconds, loop.time() + min_wait)
        while not self._is_full():
            pause_ends = self._last_activity_at + batching.quiet_seconds
            end = latest if self._in_flight else min(latest, pause_ends)
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
        """Write a group that holds the lock on tickets, and complete its deliveries."""
        try:
            await self._write([pending.delivery for pending in group])
        except (DataRefused, WarehouseRefused) as error:
            await self._write_split(group, splits, error)
        except asyncio.CancelledError as error:
            self._stats.record_stop(len(group))
            _complete(group, error)
            raise
        except HelpdeskAssetsError as error:
            self._fail(group, error)
        except BaseException as error:
            self._fail(group, error)
            raise
        else:
            _complete(group, None)

    async def _write(self, deliveries: Sequence[Delivery]) -> None:
        run_id, count = uuid.uuid4().hex, len(deliveries)
        loop = asyncio.get_running_loop()
        store, threads = self._store, self._threads
        try:
            # Here no other group is written, so a ticket of the group before is known.
            deliveries = await loop.run_in_executor(threads, _only_known, store, deliveries)
            if deliveries:
                await loop.run_in_executor(threads, store.write_tickets, deliveries, run_id)
        finally:
            self._tickets.release()
        self._stats.ignored += count - len(deliveries)
        if not deliveries:
            return
        committed_at = self._now()
        async with self._events:
            new = await loop.run_in_executor(
                threads, store.write_events, deliveries, run_id, committed_at
            )
        self._stats.record_commit(len(deliveries), new)

    async def _write_split(
        self, group: list[_PendingDelivery], splits: _Splits, error: HelpdeskAssetsError
    ) -> None:
        """Write the halves of a rejected group.

        One bad row fails the whole statement. Without the split, the other rows would fail with it
        on each resend.
        """
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
        _complete(group, error)


def _complete(group: list[_PendingDelivery], error: BaseException | None) -> None:
    for pending in group:
        # The waiting task may have been cancelled by a stop.
        if pending.done.done():
            continue
        if error is None:
            pending.done.set_result(None)
        else:
            pending.done.set_exception(error)


def _only_known(store: DeliverySink, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
    """Leave out deletions of tickets that neither the table nor the group knows."""
    proven = {each.ticket.ticket_id for each in deliveries if not each.only_told}
    told = {each.ticket.ticket_id for each in deliveries} - proven
    if not told:
        return deliveries
    known = proven | store.find_known(told)
    return [each for each in deliveries if each.ticket.ticket_id in known]
