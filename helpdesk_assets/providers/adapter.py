"""What every adapter does alike, so that an adapter holds what is its vendor's own.

Must not know any vendor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from helpdesk_assets.model.tickets import ApiUse, BadTicket, Page, Ticket
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.paging.by_time import FetchPage, TimeWalk, floor
from helpdesk_assets.providers.paging.details import Wanted, fetch_details
from helpdesk_assets.providers.parsing.stubs import SightingReader
from helpdesk_assets.providers.parsing.tickets import Read, Shape, TicketReader, unreadable


class ConnectedHelpdesk(ABC):
    """One account of one helpdesk, reached through `connection`."""

    def __init__(
        self,
        connection: Connection,
        capabilities: Capabilities,
        shape: Shape,
        *,
        skip_bad: bool,
    ) -> None:
        self._api = connection.api
        self._retry = connection.retry
        self._at_once = connection.at_once
        self._settled_after = connection.settled_after
        self._capabilities = capabilities
        self._reader = TicketReader(
            shape,
            skip_bad=skip_bad,
            kept_as_text=connection.api.meter.kept_as_text,
            redact=connection.redact,
        )
        self._sightings = SightingReader(shape, skip_bad=skip_bad)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def use(self) -> ApiUse:
        return self._api.use

    @property
    def served_at(self) -> datetime | None:
        return self._api.meter.served_at

    def ticket(self, ticket_id: str) -> Ticket | None:
        """See `Helpdesk.ticket`."""
        found = self._retry(partial(self._one, ticket_id))
        if isinstance(found, BadTicket):
            raise unreadable(found)
        return found

    def close(self) -> None:
        """See `Helpdesk.close`."""
        self._api.close()

    @abstractmethod
    def _one(self, ticket_id: str) -> Ticket | BadTicket | None:
        """One ticket by its id, called once; None where there is none."""

    def _walk(self, fetch: FetchPage) -> TimeWalk:
        can = self._capabilities
        return TimeWalk(
            fetch,
            tick=can.time_resolution,
            held_back=can.held_back,
            settled_after=self._settled_after,
            at_once=self._at_once,
        )

    def _sweep(self, fetch: FetchPage) -> Iterator[Page]:
        """Everything that `fetch` gives, and then what has changed since that began: a ticket that
        changes leaves the stretch that it would have been read with."""
        can, reach = self._capabilities, None
        for page in self._walk(fetch).pages(None, None):
            reach = reach or page.until
            yield page
        again = TimeWalk(
            fetch,
            tick=can.time_resolution,
            held_back=can.held_back,
            settled_after=self._settled_after,
            chases=True,
        )
        yield from again.pages(reach, None)

    def _made_whole(self, page: Page) -> Page:
        """The page with each ticket fetched by its id, where the rows of a list are not whole."""
        if self._capabilities.lists_are_whole:
            return page
        tick = self._capabilities.time_resolution
        whole = self._details(
            Wanted(row.ticket_id, floor(row.modified_time, tick)) for row in page.tickets
        )
        return replace(page, tickets=whole.tickets, bad=page.bad + whole.bad)

    def _details(self, wanted: Iterable[Wanted]) -> Read:
        return fetch_details(
            wanted,
            lambda ticket_id: self._retry(partial(self._one, ticket_id)),
            self._at_once,
        )
