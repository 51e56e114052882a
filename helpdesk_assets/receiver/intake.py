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
from helpdesk_assets.providers.webhooks.events import Event, digest_of
from helpdesk_assets.receiver.admission import Hold
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.group_commit import GroupCommit, Pace, Store
from helpdesk_assets.receiver.rejections import Stopping
from helpdesk_assets.receiver.stats import Counters
from helpdesk_assets.receiver.ticket_fetcher import TicketFetcher


class Intake:
    """Made for one event loop; use it between `start` and `stop`."""

    def __init__(
        self,
        helpdesk: str,
        fetcher: TicketFetcher,
        store: Store,
        pace: Pace,
        *,
        counters: Counters,
        clock: Callable[[], datetime],
    ) -> None:
        self._helpdesk = helpdesk
        self._fetcher = fetcher
        self._commits = GroupCommit(store, pace, counters, clock=clock)
        self._writing: asyncio.Task[None] | None = None
        self._held: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._writing is not None

    def start(self) -> None:
        self._writing = asyncio.create_task(self._commits.run())

    async def stop(self, patience: float) -> None:
        """Take nothing more, and return when what is held is written or `patience` is over."""
        writing, self._writing = self._writing, None
        if self._held:
            await asyncio.wait(self._held, timeout=patience)
        for task in (*self._held, *([writing] if writing else [])):
            task.cancel()
        self._commits.close()

    def take(
        self, events: Sequence[Event], received_at: datetime, hold: Hold
    ) -> asyncio.Task[None]:
        """Take events in; the task ends when all are durable. From here on the hold is ours.

        Raises:
            Refusal: there is no room, or we are stopping.
        """
        if not self.is_open:
            raise Stopping
        hold.take_events(len(events))
        task = asyncio.create_task(self._settle(events, received_at, hold))
        self._held.add(task)
        task.add_done_callback(self._forget)
        return task

    async def _settle(self, events: Sequence[Event], received_at: datetime, hold: Hold) -> None:
        """
        Raises:
            HelpdeskAssetsError: that of the first event which was not written; others may have
                been.
        """
        try:
            each = [self._deliver(event, received_at) for event in events]
            outcomes = await asyncio.gather(*each, return_exceptions=True)
        finally:
            hold.release()
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _deliver(self, event: Event, received_at: datetime) -> None:
        ticket = event.ticket or await self._fetch(event, received_at)
        event_id = event.event_id or digest_of(event, ticket.modified_time)
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
        told = event.modified_time if event.deleted else None
        now = max(received_at, self._fetcher.served_at or received_at)
        notice = {"id": event.ticket_id, "event": event.type, "gone": True}
        return tombstone(event.ticket_id, told or now, notice)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """A post that was answered before is nobody's to raise for any more."""
        self._held.discard(task)
        if not task.cancelled():
            task.exception()
