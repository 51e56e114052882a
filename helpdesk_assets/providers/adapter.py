"""The base class of all adapters: everything that does not differ between vendors.

Must not know any vendor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from helpdesk_assets.errors import DeletionUnproven, RightMissing
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.tickets import ApiUsage, BadTicket, InventoryPage, Page, Ticket
from helpdesk_assets.providers.base import Archive, Capabilities
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.client.errors import GatewayRefused, TransientError
from helpdesk_assets.providers.list_right import ListRight
from helpdesk_assets.providers.paging.by_time import FetchPage, TimePager, floor
from helpdesk_assets.providers.paging.details import DetailRequest, fetch_details
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.stubs import StubReader
from helpdesk_assets.providers.parsing.tickets import (
    ParsedRows,
    TicketReader,
    forbidden,
    unreadable,
)

# What `BadTicket.field` names if the helpdesk refused the ticket itself.
ACCESS = "access"
# Old enough for every helpdesk to have listed it, and so short that a page holds it.
PROBED = timedelta(minutes=10)

FetchTicket = Callable[[str], Ticket | BadTicket | None]


class BaseAdapter(ABC):
    """One account of one helpdesk, reached through `connection`."""

    def __init__(
        self,
        connection: Connection,
        capabilities: Capabilities,
        field_map: FieldMap,
        *,
        skip_bad: bool,
    ) -> None:
        """Set up the readers.

        Args:
            connection: the account's API and policies.
            capabilities: what this helpdesk can do.
            field_map: the vendor's field names.
            skip_bad: report unreadable tickets in `Page.bad` instead of raising.
        """
        self._api = connection.api
        self._retry = connection.retry
        self._concurrency = connection.concurrency
        self._listing_delay = connection.listing_delay
        account = Account.of(capabilities.name, connection.host, connection.organisation)
        self._capabilities = replace(
            capabilities, account=account.digest, account_label=account.label
        )
        self._reader = TicketReader(
            field_map,
            skip_bad=skip_bad,
            number_kept_as_text=connection.api.usage_counter.number_kept_as_text,
            redact=connection.redact,
        )
        self._stub_reader = StubReader(field_map, skip_bad=skip_bad)
        self._list_right = ListRight(lambda: self._retry(self._read_some_list))

    @property
    def capabilities(self) -> Capabilities:
        """See `Helpdesk.capabilities`."""
        return self._capabilities

    @property
    def use(self) -> ApiUsage:
        """See `Helpdesk.use`."""
        return self._api.use

    @property
    def served_at(self) -> datetime | None:
        """See `Helpdesk.served_at`."""
        return self._api.usage_counter.served_at

    @property
    def clock_lead(self) -> timedelta:
        """See `Helpdesk.clock_lead`."""
        return self._api.usage_counter.clock_lead

    @property
    def clock_lag(self) -> timedelta:
        """See `Helpdesk.clock_lag`."""
        return self._api.usage_counter.clock_lag

    def ticket(self, ticket_id: str) -> Ticket | None:
        """See `Helpdesk.ticket`."""
        return self._one(ticket_id, self._fetch_ticket)

    def _one(self, ticket_id: str, fetch: FetchTicket) -> Ticket | None:
        """Return one ticket, None if `fetch` finds none; see `Helpdesk.ticket`."""
        found = self._fetch_shown(ticket_id, fetch)
        if isinstance(found, BadTicket):
            raise forbidden(found) if found.field == ACCESS else unreadable(found)
        return found

    def confirm_rights(self) -> None:
        """See `Helpdesk.confirm_rights`."""
        self._list_right.confirm()

    @property
    def archive(self) -> Archive | None:
        """See `Helpdesk.archive`; most helpdesks list every ticket."""
        return None

    def blind_spot(self) -> str | None:
        """See `Helpdesk.blind_spot`; most helpdesks do not tell."""
        return None

    def close(self) -> None:
        """See `Helpdesk.close`."""
        self._api.close()

    @abstractmethod
    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        """Fetch one ticket by its id without a retry; None if it does not exist."""

    def _pager(self, fetch: FetchPage) -> TimePager:
        capabilities = self._capabilities
        return TimePager(
            fetch,
            tick=capabilities.time_resolution,
            settle_delay=capabilities.settle_delay,
            listing_delay=self._listing_delay,
            concurrency=self._concurrency,
            clock_lead=lambda: self.clock_lead,
        )

    def _pages_with_catch_up(self, fetch: FetchPage, resume: str | None) -> Iterator[Page]:
        """Yield everything that `fetch` returns, then what has changed since the start.

        A ticket that changes during paging leaves the span that it would have been read with. What
        has changed is read again by a resumed call, so those pages give no token of their own.
        """
        capabilities, covered_until = self._capabilities, None
        for page in self._pager(fetch).pages(None, None, resume):
            covered_until = covered_until or page.until
            yield page
        catch_up = TimePager(
            fetch,
            tick=capabilities.time_resolution,
            settle_delay=capabilities.settle_delay,
            listing_delay=self._listing_delay,
            follow_new=True,
        )
        behind = None if covered_until is None else covered_until - self.clock_lead
        for page in catch_up.pages(behind, None):
            yield replace(page, resume=None)

    def _with_details(self, page: Page) -> Page:
        """Return the page with its tickets fetched by id, if list rows are not complete."""
        if self._capabilities.list_rows_are_complete:
            return page
        tick = self._capabilities.time_resolution
        listed = {row.ticket_id: row for row in page.tickets}

        def fetch(ticket_id: str) -> Ticket | BadTicket | None:
            try:
                return self._fetch_shown(ticket_id, self._fetch_ticket)
            except DeletionUnproven:
                # Nobody can read its details any more, so the list's row is all there ever will be.
                return listed[ticket_id]

        requests = (
            DetailRequest(row.ticket_id, floor(row.modified_time, tick)) for row in page.tickets
        )
        detailed = self._fetch_details(requests, fetch)
        return replace(page, tickets=detailed.tickets, bad=page.bad + detailed.bad)

    def _fetch_details(
        self, requests: Iterable[DetailRequest], fetch: FetchTicket | None = None
    ) -> ParsedRows:
        """Fetch a page's tickets; those that are refused were so while lists could be read."""
        fetch = fetch or partial(self._fetch_shown, fetch=self._fetch_ticket)
        detailed = fetch_details(requests, fetch, self._concurrency)
        self.confirm_rights()
        return detailed

    def _fetch_shown(self, ticket_id: str, fetch: FetchTicket) -> Ticket | BadTicket | None:
        """Fetch one ticket by its id; a bad one if the account may not see this one alone.

        Args:
            ticket_id: the ticket.
            fetch: fetches it without a retry.

        Raises:
            RightMissing: the account may not read lists either.
            EndpointFailed: only a gateway answered.
        """
        try:
            return self._retry(partial(_answer_of_helpdesk, fetch, ticket_id))
        except RightMissing as error:
            self._list_right.check()
            return BadTicket(ticket_id, ACCESS, f"is not granted: {error}")

    def _read_some_list(self) -> None:
        """Ask for one page of what every run reads, and fetch no ticket by its id for it."""
        if self._capabilities.list_rows_are_complete:
            at = self.served_at or datetime.now(UTC)
            pages: Iterator[Page | InventoryPage] = self.changes(at - PROBED, at - PROBED)
        else:
            pages = self.inventory()
        next(iter(pages), None)

    @abstractmethod
    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`."""

    @abstractmethod
    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`."""


def _answer_of_helpdesk(fetch: FetchTicket, ticket_id: str) -> Ticket | BadTicket | None:
    """Return what `fetch` returns.

    Raises:
        TransientError: a gateway refused the call: the ticket may be seen all the same.
    """
    try:
        return fetch(ticket_id)
    except GatewayRefused as error:
        raise TransientError(str(error)) from None
