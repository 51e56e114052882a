"""Takes the events of a post from verification until all of them are durable.

Nothing else stands before the answer: no ticket is fetched, and none is merged. A post is answered
at the latest when its vendor's timeout passes, but its events are still appended: if the vendor
sends them again, their ids identify them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from helpdesk_assets.errors import HelpdeskAssetsError, TicketUnreadable
from helpdesk_assets.providers.parsing.exact_json import storable_text
from helpdesk_assets.providers.webhooks.events import Event
from helpdesk_assets.receiver.admission import Reservation
from helpdesk_assets.receiver.append_queue import AppendQueue
from helpdesk_assets.receiver.drain_timer import DrainTimer
from helpdesk_assets.receiver.refusals import MAX_REASON_CHARS, Refusal, RefusalLog
from helpdesk_assets.receiver.rejections import ReceiverStopping, Rejection, rejection_for
from helpdesk_assets.receiver.stats import ReceiverStats
from helpdesk_assets.receiver.stored_events import as_stored
from helpdesk_assets.receiver.wiring import Dependencies


class Intake:
    """Accepts events between `start` and `stop`; for one event loop."""

    def __init__(
        self,
        helpdesk: str,
        dependencies: Dependencies,
        *,
        stats: ReceiverStats,
        now: Callable[[], datetime],
    ) -> None:
        """Set up the intake.

        Args:
            helpdesk: the provider's name.
            dependencies: what appends events, and what merges them.
            stats: counts appends and failures.
            now: the current time, aware.
        """
        self._helpdesk = helpdesk
        self._queue = AppendQueue(dependencies.store, stats, now=now)
        self._drain = DrainTimer(dependencies.drain, dependencies.drain_seconds, now=now)
        self.refusals = RefusalLog(dependencies.store)
        self._running: tuple[asyncio.Task[None], ...] = ()
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether events are accepted."""
        return bool(self._running)

    def describe_drain(self) -> dict[str, Any]:
        """Return for `/healthz` what becomes of the events."""
        return self._drain.describe()

    def start(self) -> None:
        """Start to accept events."""
        self._running = (
            asyncio.create_task(self._queue.run()),
            asyncio.create_task(self.refusals.run()),
        )
        self._drain.start()

    async def stop(self, timeout: float) -> None:
        """Accept no more events, and wait up to `timeout` seconds for pending ones."""
        running, self._running = self._running, ()
        self._drain.stop()
        if self._pending:
            await asyncio.wait(self._pending, timeout=timeout)
        for task in (*self._pending, *running):
            task.cancel()
        await self.refusals.stop()
        self._queue.close()

    def accept(
        self, events: Sequence[Event], received_at: datetime, reservation: Reservation
    ) -> asyncio.Task[None]:
        """Accept a post's events.

        Args:
            events: the events.
            received_at: when the post arrived.
            reservation: what the post holds; released when the events are written or failed.

        Returns:
            A task that ends once all events are durable.

        Raises:
            Rejection: too much is held, or the receiver is stopping.
        """
        if not self.is_open:
            raise ReceiverStopping
        reservation.reserve_events(len(events))
        task = asyncio.create_task(self._process(events, received_at, reservation))
        self._pending.add(task)
        task.add_done_callback(self._discard)
        return task

    async def _process(
        self, events: Sequence[Event], received_at: datetime, reservation: Reservation
    ) -> None:
        """Write the events of one post.

        Raises:
            HelpdeskAssetsError: the error of the first event that was not written; others may have
                been.
        """
        try:
            adding = [self._append(event, received_at) for event in events]
            outcomes = await asyncio.gather(*adding, return_exceptions=True)
        finally:
            reservation.release()
        for event, outcome in zip(events, outcomes, strict=True):
            if isinstance(outcome, HelpdeskAssetsError | Rejection):
                self.record_refusal(outcome, received_at, event)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def record_refusal(
        self,
        error: HelpdeskAssetsError | Rejection,
        received_at: datetime,
        event: Event | None = None,
    ) -> None:
        """Keep the name of an event that is not stored.

        Args:
            error: why it is not stored.
            received_at: when its post arrived.
            event: the event, None if its post could not be read.
        """
        rejection = error if isinstance(error, Rejection) else rejection_for(error)
        named = error.ticket_id if isinstance(error, TicketUnreadable) else None
        self.refusals.add(
            Refusal(
                received_at,
                self._helpdesk,
                rejection.status,
                storable_text(str(error))[:MAX_REASON_CHARS],
                *((event.ticket_id, event.event_id, event.type) if event else (named,)),
            )
        )

    async def _append(self, event: Event, received_at: datetime) -> None:
        await self._queue.add(as_stored(event, self._helpdesk, received_at))
        self._drain.appended()

    def _discard(self, task: asyncio.Task[None]) -> None:
        """Forget a finished task, and its error: its post may have been answered already."""
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()
