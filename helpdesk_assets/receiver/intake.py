"""Takes the events of a post from verification until all of them are durable.

A post is answered at the latest when its vendor's timeout passes, but its events are still written:
if the vendor sends them again, their ids identify them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError, TicketUnreadable
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.exact_json import storable_text
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.providers.webhooks.events import Event, event_digest
from helpdesk_assets.receiver.absent_tickets import AbsentTickets
from helpdesk_assets.receiver.admission import Reservation
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.group_commit import GroupCommit
from helpdesk_assets.receiver.recent_events import RecentEvents
from helpdesk_assets.receiver.refusals import MAX_REASON_CHARS, Refusal, RefusalLog
from helpdesk_assets.receiver.rejections import ReceiverStopping, Rejection, rejection_for
from helpdesk_assets.receiver.stats import ReceiverStats
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
            dependencies: what fetches tickets and writes deliveries.
            stats: counts commits and failures.
            now: the current time, aware.
        """
        self._helpdesk = helpdesk
        self._fetcher = dependencies.fetcher
        self._stats = stats
        self._now = now
        self._commits = GroupCommit(dependencies.store, dependencies.batching, stats, now=now)
        self._absent = AbsentTickets(dependencies.shown_within)
        self._recent = RecentEvents(now)
        self.refusals = RefusalLog(dependencies.refusals)
        self._running: tuple[asyncio.Task[None], ...] = ()
        self._last_fetched_at: datetime | None = None
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether events are accepted."""
        return bool(self._running)

    def start(self) -> None:
        """Start to accept events."""
        self._running = (
            asyncio.create_task(self._commits.run()),
            asyncio.create_task(self.refusals.run()),
        )

    async def stop(self, timeout: float) -> None:
        """Accept no more events, and wait up to `timeout` seconds for pending ones."""
        running, self._running = self._running, ()
        if self._pending:
            await asyncio.wait(self._pending, timeout=timeout)
        for task in (*self._pending, *running):
            task.cancel()
        await self.refusals.stop()
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
            Rejection: the helpdesk does not have the ticket.
        """
        try:
            deliveries = [self._deliver_once(event, received_at) for event in events]
            outcomes = await asyncio.gather(*deliveries, return_exceptions=True)
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

    async def _deliver_once(self, event: Event, received_at: datetime) -> None:
        """Deliver an event; a copy of one with a ticket of its own shares the first one's fate."""
        if event.ticket is None or event.event_id is None:
            await self._deliver(event, received_at)
            return
        outcome = self._recent.find(event.ticket_id, event.event_id)
        if outcome is not None:
            await asyncio.shield(outcome)
            self._stats.record_duplicate()
            return
        outcome = asyncio.ensure_future(self._deliver(event, received_at))
        self._recent.add(event.ticket_id, event.event_id, outcome)
        await outcome

    async def _deliver(self, event: Event, received_at: datetime) -> None:
        ticket = event.ticket or await self._fetch(event, received_at)
        only_told = event.deleted and ticket.tombstone
        ticket = self._not_in_the_future(ticket, received_at)
        delivery = Delivery(
            event.event_id or event_digest(event, ticket.modified_time),
            event.type,
            self._helpdesk,
            received_at,
            ticket,
            fetched_at=None if event.ticket else self._fetched_at(),
            only_told=only_told,
        )
        await self._commits.add(delivery)

    async def _fetch(self, event: Event, received_at: datetime) -> Ticket:
        """Fetch the ticket that a hint names, or create a tombstone if the event is a deletion.

        Raises:
            HelpdeskAssetsError: the helpdesk gave no answer, or the ticket cannot be read.
            Rejection: the helpdesk has no such ticket, which proves nothing.
        """
        try:
            ticket = await self._fetcher.ticket(event.ticket_id)
        except DataRefused:
            self._stats.record_fetched()
            raise
        except HelpdeskAssetsError as error:
            if self.is_open:
                self._stats.record_fetch_failure(error)
            raise
        self._stats.record_fetched()
        if ticket is not None:
            self._absent.found(event.ticket_id)
            return ticket
        if not event.deleted:
            raise self._absent.rejection(event.ticket_id, event.modified_time, self._now())
        content = {"id": event.ticket_id, "event": event.type, "gone": True}
        return tombstone(event.ticket_id, event.modified_time or self._latest(received_at), content)

    def _not_in_the_future(self, ticket: Ticket, received_at: datetime) -> Ticket:
        """Return the ticket with a time of deletion that is not beyond now."""
        latest = self._latest(received_at)
        if ticket.deleted_time is None or ticket.deleted_time <= latest:
            return ticket
        modified_time = latest if ticket.tombstone else ticket.modified_time
        return replace(ticket, modified_time=modified_time, deleted_time=latest)

    def _fetched_at(self) -> datetime | None:
        """Return the helpdesk's clock for the ticket that was fetched just now.

        A `Date` header counts whole seconds. Of two edits within one second, the one that was
        fetched later counts as read later, so that it replaces the other at once.
        """
        served_at, before = self._fetcher.served_at, self._last_fetched_at
        if served_at and before and served_at <= before < served_at + timedelta(seconds=1):
            served_at = before + timedelta(microseconds=1)
        self._last_fetched_at = served_at
        return served_at

    def _latest(self, received_at: datetime) -> datetime:
        """Return the later of our clock and the helpdesk's, which dates changes."""
        return max(received_at, self._fetcher.served_at or received_at)

    def _discard(self, task: asyncio.Task[None]) -> None:
        """Forget a finished task, and its error: its post may have been answered already."""
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()
