"""The adapter `zoho_desk`: Zoho Desk's API v1 through its search.

    GET /api/v1/tickets/search?modifiedTimeRange=FROM,TO&sortBy=modifiedTime&limit=100&from=0
    GET /api/v1/tickets/search?createdTimeRange=FROM,TO&sortBy=createdTime&...   the full listing
    GET /api/v1/tickets/{id}?include=contacts,departments,assignee
    GET /api/v1/recycleBin?sortBy=-deletedTime&...                      (`recycle_bin`, `bin_pages`)

The list of tickets lacks the modified time, so the listing is a search as well, over the creation
time, which never changes. Both ascend and are paged by time (`search`). The search reads an index
apart from the store; its lag is not documented, so each window reaches back by minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket
from helpdesk_assets.providers.adapter import PROBED, BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.errors import TransientError
from helpdesk_assets.providers.client.token_cache import TokenCache, cache_dir
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.providers.paging.by_time import FetchPage, TimePager
from helpdesk_assets.providers.paging.by_token import ListPage
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.zoho_desk.account import (
    ZohoLimits,
    client,
    describe_settings,
    org_id,
    parse_error,
    query_limits,
)
from helpdesk_assets.providers.zoho_desk.credits import CreditKeeper
from helpdesk_assets.providers.zoho_desk.oauth import ZohoOAuth
from helpdesk_assets.providers.zoho_desk.recycle_bin import RecycleBin
from helpdesk_assets.providers.zoho_desk.search import TICK, TicketSearch
from helpdesk_assets.providers.zoho_desk.tickets import CREATED, FIELD_MAP, MODIFIED, SortKey
from helpdesk_assets.settings import Settings

__all__ = ["ZohoDeskAdapter", "describe_settings", "from_settings"]

TICKETS = "/tickets"
# The lag of the search index is not documented; five minutes would be long.
OVERLAP = timedelta(minutes=5)
# What a search embeds by itself, by the names that a request for a single ticket must list.
INCLUDE = "contacts,departments,assignee"

OK_OR_NOT_FOUND = frozenset({200, 404})
# The bin also lists tickets of departments that the agent may not see.
OK_FORBIDDEN_OR_NOT_FOUND = frozenset({200, 403, 404})
MAPPING_VERSION = 1  # see `Capabilities.mapping_version`


class ZohoDeskAdapter(BaseAdapter):
    """One portal, as seen by the agent who created the refresh token."""

    def __init__(
        self, connection: Connection, oauth: ZohoOAuth, query_limits: ZohoLimits, *, skip_bad: bool
    ) -> None:
        """Set up the adapter.

        Args:
            connection: the portal's API and policies.
            oauth: the login, closed with the adapter.
            query_limits: how much is requested.
            skip_bad: report unreadable tickets in `Page.bad` instead of raising.
        """
        self._oauth = oauth
        self._has_recycle_bin = query_limits.recycle_bin
        capabilities = Capabilities(
            name="zoho_desk",
            page_size=query_limits.page_size,
            time_resolution=TICK,
            result_cap=query_limits.result_cap,
            # The tick of the Date header is not over yet: more may change within it.
            settle_delay=TICK,
            list_rows_are_complete=not query_limits.details,
            listing_is_stable=True,
            minimum_overlap=OVERLAP,
            mapping_version=MAPPING_VERSION,
        )
        super().__init__(connection, capabilities, FIELD_MAP, skip_bad=skip_bad)
        self._search = TicketSearch(connection, query_limits)
        self._recycle_bin = RecycleBin(
            connection, self._reader, settle_delay=TICK, fetch=self._binned_ticket
        )

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`.

        Failed calls are retried, since the listing is the same search in another order. The recycle
        bin is read first, also by a resumed call. `until` is the time of that read, so a ticket
        deleted during the rest belongs to the next window. The cursor says how far the bin has been
        read (`bin_place`); the search goes by `since`.
        """
        return self._read(MODIFIED, since, until, cursor, resume)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`.

        No change moves a ticket in the order of creation, so the listing ends even if one tick of
        the changes keeps changing.
        """
        for page in self._read(CREATED, None, None, None, None):
            # `changes` cannot resume from a position in another order.
            yield replace(page, resume=None)

    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`.

        It reads the search in the order of creation, whose rows cost as much as those of any list
        and have the modified time. The bin comes last, so that a ticket deleted meanwhile is in one
        of them.
        """
        total: int | None = None

        def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
            nonlocal total
            answer = self._search.page(CREATED, self._stub_reader, start, end, token)
            # The first call covers all tickets, and no other runs beside it; a resumed one covers
            # what is left.
            total = answer.total if total is None and resume is None else total
            return answer

        for page in self._pager_by(CREATED, fetch).pages(None, None, resume):
            yield to_inventory_page(page, total)
        for page in self._recycle_bin.stubs() if self._has_recycle_bin else ():
            yield to_inventory_page(page, total)

    def close(self) -> None:
        """See `Helpdesk.close`."""
        super().close()
        self._oauth.close()

    def _read(
        self,
        sort_key: SortKey,
        since: datetime | None,
        until: datetime | None,
        cursor: str | None,
        resume: str | None,
    ) -> Iterator[Page]:
        deletions = self._recycle_bin.reading(since, until, cursor)
        for page in deletions.pages() if self._has_recycle_bin else ():
            # Most pages of the bin have no ticket of the window.
            if page.tickets or page.bad:
                yield page
        pager = self._pager_by(sort_key, partial(self._search.page, sort_key, self._reader))
        for page in pager.pages(since, until, resume):
            covered_until = min(deletions.covered_until or page.until, page.until)
            yield replace(self._with_details(page), until=covered_until, cursor=deletions.cursor)

    def _pager_by(self, sort_key: SortKey, fetch: FetchPage) -> TimePager:
        return TimePager(
            fetch,
            tick=TICK,
            settle_delay=TICK,
            listing_delay=self._listing_delay,
            concurrency=self._concurrency,
            time_of=sort_key.time_of,
            clock_lead=lambda: self.clock_lead,
        )

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        # Anything else is not an id and may be the path of another resource.
        if not (ticket_id.isascii() and ticket_id.isdigit()):
            return None
        body = self._body(ticket_id, OK_OR_NOT_FOUND)
        if body is None:
            return None
        return self._reader.requested_ticket(ticket_id, body, f"{TICKETS}/{ticket_id}")

    def _read_some_list(self) -> None:
        """Ask the search for one page; the bin may be many, and has rights of its own."""
        at = self.served_at or datetime.now(UTC)
        self._search.page(MODIFIED, self._stub_reader, at - PROBED, at, None)

    def _binned_ticket(self, ticket_id: str) -> Mapping[str, Any] | None:
        return self._body(ticket_id, OK_FORBIDDEN_OR_NOT_FOUND)

    def _body(self, ticket_id: str, accept: frozenset[int]) -> Mapping[str, Any] | None:
        reply = self._api.get(f"{TICKETS}/{ticket_id}", {"include": INCLUDE}, accept)
        if refusal := reply.gateway_refusal:
            raise TransientError(str(refusal))
        return reply.json_object() if reply.status == 200 else None


def from_settings(settings: Settings, runtime: Runtime | None = None) -> ZohoDeskAdapter:
    """Create the adapter for the portal that the settings name.

    Raises:
        SettingsError: Zoho Desk does not accept a setting.
    """
    runtime = runtime or Runtime()
    oauth_client, usage_counter = client(settings), UsageCounter()
    identity = oauth_client.accounts_url, oauth_client.client_id, oauth_client.refresh_token
    oauth = ZohoOAuth(
        oauth_client,
        org_id(settings),
        TokenCache(cache_dir(settings), *identity, secret=oauth_client.client_secret),
        usage_counter=usage_counter,
        timeout=settings.helpdesk_timeout_seconds,
        now=runtime.now,
    )
    keeper = CreditKeeper(oauth, settings.zoho_credits_kept, monotonic=runtime.monotonic)
    connection = connect(
        settings,
        keeper,
        base_path="/api/v1",
        organisation=org_id(settings),
        parse_rate_limit=keeper.observe,
        parse_error=parse_error,
        usage_counter=usage_counter,
        runtime=runtime,
    )
    return ZohoDeskAdapter(
        connection, oauth, query_limits(settings), skip_bad=settings.helpdesk_skip_bad_tickets
    )
