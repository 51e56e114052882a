"""Fetches the tickets that hints name, in threads, within the limits that the adapter keeps.

Several events of one ticket within a second are ordinary. An event may share a fetch that begins
after it came, never one that was under way: that one may have read what was before.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.base import Helpdesk


class TicketFetcher:
    def __init__(self, helpdesk: Helpdesk, *, concurrency: int) -> None:
        """`concurrency`: calls under way at a time; the adapter may allow fewer."""
        self._helpdesk = helpdesk
        self._slots = asyncio.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, "webhook-fetch")
        self._pending: dict[str, asyncio.Task[Ticket | None]] = {}

    @property
    def served_at(self) -> datetime | None:
        """The helpdesk's clock at its last answer, None before the first."""
        return self._helpdesk.served_at

    async def ticket(self, ticket_id: str) -> Ticket | None:
        """The ticket as it is now or a moment later, None where there is none with this id.

        Raises: as `Helpdesk.ticket`.
        """
        task = self._pending.get(ticket_id)
        if task is None:
            task = asyncio.create_task(self._fetch(ticket_id))
            self._pending[ticket_id] = task
        return await asyncio.shield(task)

    async def _fetch(self, ticket_id: str) -> Ticket | None:
        async with self._slots:
            del self._pending[ticket_id]
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._helpdesk.ticket, ticket_id)

    def close(self) -> None:
        """Give back connections. Calls under way go on in their threads, which end with them."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._helpdesk.close()
