"""Fetches the tickets that hints name, in threads and within the adapter's limits.

One ticket often has several events within a second. An event may share a fetch that begins after
the event arrived, but not one in flight: that one may have read an older version.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from helpdesk_assets.errors import CredentialsRefused
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.receiver.credentials import RenewableHelpdesk


class TicketFetcher:
    """Fetches tickets, and shares one fetch among events of the same ticket."""

    def __init__(self, helpdesk: RenewableHelpdesk, *, concurrency: int) -> None:
        """Set up; `concurrency` limits the calls in flight, and the adapter may allow fewer."""
        self._helpdesk = helpdesk
        self._slots = asyncio.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, "webhook-fetch")
        self._pending: dict[str, asyncio.Task[Ticket | None]] = {}
        self._in_flight: dict[str, asyncio.Future[Ticket | None]] = {}

    @property
    def served_at(self) -> datetime | None:
        """The helpdesk's clock at its last answer, None before the first."""
        return self._helpdesk.current.served_at

    async def ticket(self, ticket_id: str) -> Ticket | None:
        """Return a ticket as of now or later, None if the helpdesk has none with this id.

        Raises the errors of `Helpdesk.ticket`.
        """
        task = self._pending.get(ticket_id)
        if task is None:
            task = asyncio.create_task(self._fetch(ticket_id))
            self._pending[ticket_id] = task
        return await asyncio.shield(task)

    async def _fetch(self, ticket_id: str) -> Ticket | None:
        # Fetches of one ticket end in the order in which they began, so the last one is the newest.
        while before := self._in_flight.get(ticket_id):
            await asyncio.wait([before])
        async with self._slots:
            del self._pending[ticket_id]
            loop = asyncio.get_running_loop()
            fetch = loop.run_in_executor(self._threads, self._ticket, ticket_id)
            self._in_flight[ticket_id] = fetch
            try:
                return await fetch
            finally:
                del self._in_flight[ticket_id]

    def _ticket(self, ticket_id: str) -> Ticket | None:
        helpdesk = self._helpdesk.current
        try:
            return helpdesk.ticket(ticket_id)
        except CredentialsRefused:
            renewed = self._helpdesk.renew(helpdesk)
            if renewed is None:
                raise
            return renewed.ticket(ticket_id)

    def close(self) -> None:
        """Close the connections; calls in flight finish in their threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._helpdesk.close()
