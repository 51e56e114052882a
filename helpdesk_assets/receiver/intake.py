"""From the events of a post to the moment when all of them are durable.

A post is answered when its vendor's patience ends, but what it brought is held and written all the
same: sent again, it is known by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.tickets import tombstone
from helpdesk_assets.providers.webhooks.events import Event, event_digest
from helpdesk_assets.receiver.admission import Reservation
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.group_commit import BatchingPolicy, DeliverySink, GroupCommit
from helpdesk_assets.receiver.rejections import ReceiverStopping
from helpdesk_assets.receiver.stats import ReceiverStats
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher


class Intake:
    """Made for one event loop; use it between `start` and `stop`."""

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
        self._helpdesk = helpdesk
        self._fetcher = fetcher
        self._commits = GroupCommit(store, batching, stats, now=now)
        self._writing: asyncio.Task[None] | None = None
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._writing is not None

    def start(self) -> None:
        self._writing = asyncio.create_task(self._commits.run())

    async def stop(self, timeout: float) -> None:
        """Take nothing more, and return when what is held is written or `timeout` is over."""
        writing, self._writing = self._writing, None
        if self._pending:
            await asyncio.wait(self._pending, timeout=timeout)
        for task in (*self._pending, *([writing] if writing else [])):
            task.cancel()
        self._commits.close()

    def accept(
        self, events: Sequence[Event], received_at: datetime, reservation: Reservation
    ) -> asyncio.Task[None]:
        """Take events in; the task ends when all are durable. From here on the hold is ours.

        Raises:
            Refusal: there is no room, or we are stopping.
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
        """
        Raises:
            HelpdeskAssetsError: that of the first event which was not written; others may have
                been.
        """
        try:
            each = [self._deliver(event, received_at) for event in events]
            outcomes = await asyncio.gather(*each, return_exceptions=True)
        finally:
            reservation.release()
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _deliver(self, event: Event, received_at: datetime) -> None:
        ticket = event.ticket or await self._fetch(event, received_at)
        event_id = event.event_id or event_digest(event, ticket.modified_time)
        delivery = Delivery(event_id, event.type, self._helpdesk, received_at, ticket)
        await self._commits.add(delivery)

    async def _fetch(self, event: Event, received_at: datetime) -> Ticket:
        """The ticket of a hint; where it has gone, what is known of that.

        A notice of the deletion says when. Where the ticket had changed before it went, the time of
        the change would not be newer than what is stored; so it has gone by now, by the later of
        the two clocks, since changes are dated by the helpdesk's.
        """
        ticket = await self._fetcher.ticket(event.ticket_id)
        if ticket is not None:
            return ticket
        deleted_at = event.modified_time if event.deleted else None
        now = max(received_at, self._fetcher.served_at or received_at)
        content = {"id": event.ticket_id, "event": event.type, "gone": True}
        return tombstone(event.ticket_id, deleted_at or now, content)

    def _discard(self, task: asyncio.Task[None]) -> None:
        """A post that was answered before is nobody's to raise for any more."""
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()
