"""Appends events in groups, and completes each once the warehouse has acknowledged it.

An append takes about as long for one event as for hundreds. So an event is sent at once while few
appends are in flight; otherwise it waits, and what has gathered goes together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.model.webhook_events import WebhookEvent
from helpdesk_assets.receiver.stats import ReceiverStats

MAX_GROUP_EVENTS = 500
MAX_GROUP_BYTES = 4_000_000
MAX_IN_FLIGHT = 4
# An event without its ticket, about.
_BARE_BYTES = 300


class EventSink(Protocol):
    """Where events are appended; called in several threads."""

    def append_events(self, events: Sequence[WebhookEvent]) -> Mapping[int, HelpdeskAssetsError]:
        """Append events, and return once they are durable.

        Returns:
            Why events were refused, by their place; the others are durable.

        Raises:
            HelpdeskAssetsError: none is known to be durable.
        """
        ...


@dataclass(slots=True)
class _Pending:
    event: WebhookEvent
    size: int
    done: asyncio.Future[None]


class AppendQueue:
    """Collects events and appends them; for one event loop, with `run` as a task."""

    def __init__(
        self, sink: EventSink, stats: ReceiverStats, *, now: Callable[[], datetime]
    ) -> None:
        """Start empty.

        Args:
            sink: appends the groups.
            stats: counts appends and failures.
            now: the current time, aware.
        """
        self._sink = sink
        self._stats = stats
        self._now = now
        self._pending: deque[_Pending] = deque()
        self._has_pending = asyncio.Event()
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._appends: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(MAX_IN_FLIGHT, "webhook-append")

    async def add(self, event: WebhookEvent) -> None:
        """Add an event, and return once it is durable.

        Raises:
            HelpdeskAssetsError: it was not appended, or it is unknown whether it was.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(event, _size(event), done))
        self._has_pending.set()
        await done

    async def run(self) -> None:
        """Append groups until cancelled."""
        while True:
            await self._has_pending.wait()
            await self._slots.acquire()
            task = asyncio.create_task(self._append(self._next_group()))
            self._appends.add(task)
            task.add_done_callback(self._ended)

    def close(self) -> None:
        """Start no further append; a running one finishes in its thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._appends.discard(task)
        self._slots.release()

    def _next_group(self) -> list[_Pending]:
        group: list[_Pending] = []
        size = 0
        while self._pending and len(group) < MAX_GROUP_EVENTS:
            size += self._pending[0].size
            if group and size > MAX_GROUP_BYTES:
                break
            group.append(self._pending.popleft())
        if not self._pending:
            self._has_pending.clear()
        return group

    async def _append(self, group: list[_Pending]) -> None:
        """Append a group, and complete its events."""
        loop = asyncio.get_running_loop()
        began, committed_at = loop.time(), self._now()
        events = [replace(each.event, committed_at=committed_at) for each in group]
        try:
            refused = await loop.run_in_executor(self._threads, self._sink.append_events, events)
        except asyncio.CancelledError as error:
            self._stats.record_stop(len(group))
            _complete(group, error)
            raise
        except HelpdeskAssetsError as error:
            self._stats.record_failure(error)
            _complete(group, error)
        except BaseException as error:
            self._stats.record_failure(error)
            _complete(group, error)
            raise
        else:
            self._stats.record_append(len(group) - len(refused), loop.time() - began)
            for place, pending in enumerate(group):
                _complete([pending], refused.get(place))


def _size(event: WebhookEvent) -> int:
    # A character of raw_json takes up to six bytes as JSON in JSON, and two as a rule.
    return _BARE_BYTES + (2 * len(event.ticket.raw_json) if event.ticket else 0)


def _complete(group: Sequence[_Pending], error: BaseException | None) -> None:
    for pending in group:
        # The waiting task may have been cancelled by a stop.
        if pending.done.done():
            continue
        if error is None:
            pending.done.set_result(None)
        else:
            pending.done.set_exception(error)
