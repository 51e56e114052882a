"""Takes the events of a post from verification until all of them are durable.

A post is answered at the latest when its vendor's timeout passes, but its events are still written:
if the vendor sends them again, their ids identify them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.providers.webhooks.events import Event, event_digest
from helpdesk_assets.receiver.admission import Reservation
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.group_commit import BatchingPolicy, DeliverySink, GroupCommit
from helpdesk_assets.receiver.rejections import ReceiverStopping
from helpdesk_assets.receiver.stats import ReceiverStats
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher


class Intake:
    """Accepts events between `start` and `stop`; for one event loop."""

    def __init__(
        self,
        helpdesk: str,
        fetcher: TicketFetcher,
        store: DeliverySink,
        batching: BatchingPolicy,
        *,
        stats: ReceiverStats,
        now: Callable[[], datetime],
    ) -> None:
        """Set up the intake.

        Args:
            helpdesk: the provider's name.
            fetcher: fetches tickets that events only name.
            store: writes deliveries.
            batching: when a group is written.
            stats: counts commits and failures.
            now: the current time, aware.
        """
        self._helpdesk = helpdesk
        self._fetcher = fetcher
        self._commits = GroupCommit(store, batching, stats, now=now)
        self._writing: asyncio.Task[None] | None = None
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether events are accepted."""
        return self._writing is not None

    def start(self) -> None:
        """Start to accept events."""
        self._writing = asyncio.create_task(self._commits.run())

    async def stop(self, timeout: float) -> None:
        """Accept no more events, and wait up to `timeout` seconds for pending ones."""
        writing, self._writing = self._writing, None
        if self._pending:
            await asyncio.wait(self._pending, timeout=timeout)
        for task in (*self._pending, *([writing] if writing else [])):
            task.cancel()
        self._commits.close()

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
            deliveries = [self._deliver(event, received_at) for event in events]
            outcomes = await asyncio.gather(*deliveries, return_exceptions=True)
        finally:
            reservation.release()
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _deliver(self, event: Event, received_at: datetime) -> None:
        ticket = event.ticket or await self._fetch(event, received_at)
        fetched_at = None if event.ticket else self._fetcher.served_at
        event_id = event.event_id or event_digest(event, ticket.modified_time)
        delivery = Delivery(event_id, event.type, self._helpdesk, received_at, ticket, fetched_at)
        await self._commits.add(delivery)

    async def _fetch(self, event: Event, received_at: datetime) -> Ticket:
        """Fetch the ticket that a hint names, or create a tombstone if it is deleted.

        A deletion event has the time of the deletion. Any other event has the time of an earlier
        change, which would not be newer than the stored version; then the tombstone gets the
        current time by the later of the two clocks, since the helpdesk's clock dates changes.
        """
        ticket = await self._fetcher.ticket(event.ticket_id)
        if ticket is not None:
            return ticket
        deleted_at = event.modified_time if event.deleted else None
        now = max(received_at, self._fetcher.served_at or received_at)
        content = {"id": event.ticket_id, "event": event.type, "gone": True}
        return tombstone(event.ticket_id, deleted_at or now, content)

    def _discard(self, task: asyncio.Task[None]) -> None:
        """Forget a finished task, and its error: its post may have been answered already."""
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()
