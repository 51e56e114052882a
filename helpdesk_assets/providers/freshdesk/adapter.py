"""The adapter `freshdesk`: Freshdesk's API v2 through its only list of tickets.

    GET /api/v2/tickets?updated_since=TIME&order_by=updated_at&order_type=asc&per_page=100&page=N
    GET /api/v2/tickets?filter=deleted&updated_since=TIME&...      and filter=spam
    GET /api/v2/tickets/{id}                 and, if that is a 404, /api/v2/tickets/archived/{id}
    GET /api/v2/agents/me                    whether the key sees every ticket

The list is both the change endpoint and the full listing. Every parameter is required: without
`updated_since` the list goes back 30 days, without `order_type` it runs backwards. It has no upper
bound, so this adapter drops rows beyond the window's end. One query returns at most 300 pages;
paging by time starts a new one at each. Deleted tickets and spam are in lists of their own, alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote

from requests.utils import parse_header_links

from helpdesk_assets.errors import EndpointFailed, RightMissing, WindowTooDense
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket, utc
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.freshdesk.account import (
    LIST_SCOPE,
    FreshdeskLimits,
    PageOutOfRange,
    blind_spot,
    credits_of,
    describe_settings,
    make_auth,
    parse_error,
    parse_rate_limit,
    query_limits,
)
from helpdesk_assets.providers.freshdesk.archive import OK_OR_NOT_FOUND, FreshdeskArchive
from helpdesk_assets.providers.freshdesk.fields import FIELD_MAP, MAPPING_VERSION
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.paging.by_token import ListPage
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.settings import Settings

__all__ = ["FreshdeskAdapter", "describe_settings", "from_settings"]

TICKETS = "/tickets"
ME = "/agents/me"
TICK = timedelta(seconds=1)
# Before any ticket. Without a bound, Freshdesk returns the last 30 days.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# The filters that show tickets removed from the ordinary list.
DELETION_FILTERS = ("deleted", "spam")


@dataclass(frozen=True, slots=True)
class _TicketList:
    """One of Freshdesk's lists.

    Attributes:
        list_filter: the filter that selects it, None for the ordinary list.
        include: what Freshdesk embeds in its rows.
        reader: reads its rows.
    """

    list_filter: str | None
    include: tuple[str, ...]
    reader: TicketReader


class FreshdeskAdapter(BaseAdapter):
    """One account, as seen by the agent who owns the API key."""

    def __init__(
        self, connection: Connection, query_limits: FreshdeskLimits, *, skip_bad: bool
    ) -> None:
        """Set up the adapter.

        Args:
            connection: the account's API and policies.
            query_limits: how much is requested.
            skip_bad: report unreadable tickets in `Page.bad` instead of raising.
        """
        self._limits = query_limits
        self._bound_is_inclusive = False
        capabilities = Capabilities(
            name="freshdesk",
            page_size=query_limits.page_size,
            time_resolution=TICK,
            result_cap=query_limits.rows,
            # The second of the Date header is not over yet: more may change within it.
            settle_delay=TICK,
            list_rows_are_complete=not query_limits.details,
            listing_is_stable=True,
            minimum_overlap=timedelta(0),
            listing_is_independent=False,
            tells_blind_spot=True,
            mapping_version=MAPPING_VERSION,
        )
        super().__init__(connection, capabilities, FIELD_MAP, skip_bad=skip_bad)
        # Tickets that a list of deleted ones or spam has shown; both are emptied after 30 days.
        self._known_deleted: set[str] = set()
        self._archive = FreshdeskArchive(
            self._api,
            self._retry,
            self._reader,
            is_read=query_limits.archive,
            known_deleted=self._known_deleted,
            read_one=self._one,
        )

    @property
    def archive(self) -> FreshdeskArchive:
        """See `Helpdesk.archive`."""
        return self._archive

    def blind_spot(self) -> str | None:
        """See `Helpdesk.blind_spot`; one call, the only one for agents that needs no admin."""
        try:
            reply = self._retry(partial(self._api.get, ME))
        except RightMissing:
            return f"GET {ME} answered 403, so nobody knows which tickets this API key may see"
        return blind_spot(reply.json_object())

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - this API has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`. Failed calls are retried, since the listing is the same endpoint.

        Deleted tickets and spam are read first, also by a resumed call. `until` is the time of that
        first read, so a ticket deleted during the rest belongs to the next window.
        """
        until_so_far: datetime | None = None
        for list_filter in (*DELETION_FILTERS, None):
            pager = self._pager(partial(self._fetch, self._complete_list(list_filter)))
            for page in pager.pages(since, until, None if list_filter else resume):
                until_so_far = min(until_so_far or page.until, page.until)
                if list_filter:
                    yield replace(page, until=until_so_far, resume=None, share=None)
                else:
                    yield replace(self._with_details(page), until=until_so_far)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`; it reads the same lists from the beginning."""
        return self.changes(None)

    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`.

        It reads the same lists with nothing embedded, which would cost extra. Deleted tickets and
        spam come last, so that a ticket deleted meanwhile is in one of the lists.
        """
        for list_filter in (None, *DELETION_FILTERS):
            fetch = partial(self._fetch, _TicketList(list_filter, (), self._stub_reader))
            position = None if list_filter else resume
            for page in self._pages_with_catch_up(fetch, position):
                # The short lists are read anew by a resumed call.
                yield to_inventory_page(replace(page, resume=None) if list_filter else page)

    def _complete_list(self, list_filter: str | None) -> _TicketList:
        """Return a list with everything embedded that is stored.

        Embedding costs extra, so nothing is embedded if each ticket is fetched by its id. A deleted
        ticket may no longer be available by its id, so its row must suffice.
        """
        include = self._limits.include
        if self._limits.details:
            include = () if list_filter is None else tuple(dict.fromkeys(("description", *include)))
        return _TicketList(list_filter, include, self._reader)

    def _fetch(
        self, ticket_list: _TicketList, start: datetime, end: datetime, token: str | None
    ) -> ListPage[Ticket]:
        """Fetch one page of `[start, end]`.

        Neither a full page nor one with a link to the next counts as the last: it is not documented
        what the 300th page has instead of a link, and one request too many costs one call.

        Args:
            ticket_list: the list to read.
            start: start of the window.
            end: end of the window.
            token: the page's number and the bound of its query; None starts a new query.

        Raises:
            WindowTooDense: the page is beyond the last one that Freshdesk returns.
        """
        number, _, bound = (token or f"1 {self._updated_since(start)}").partition(" ")
        page = int(number)
        if page > self._limits.pages:
            raise self._too_dense(start, page)
        try:
            answer = self._retry(partial(self._list_page, ticket_list, bound, page))
        except PageOutOfRange:
            raise self._too_dense(start, page) from None
        bound_time = datetime.fromisoformat(bound)
        if any(row.modified_time == bound_time for row in answer.rows):
            self._bound_is_inclusive = True
        # Rows older than the bound are kept, so that the pager detects them as out of order.
        rows = [row for row in answer.rows if not bound_time <= row.modified_time < start]
        in_window = tuple(row for row in rows if row.modified_time <= end)
        reached_end = answer.next_token is None or len(in_window) < len(rows)
        return replace(
            answer,
            rows=in_window,
            next_token=None if reached_end else f"{answer.next_token} {bound}",
        )

    def _updated_since(self, start: datetime) -> str:
        """Return the `updated_since` that includes everything from `start` on.

        It is not documented whether the bound is inclusive. So it is a second earlier, until a row
        dated exactly at a bound proves that it is: then a second with thousands of changes need not
        be read twice to get past it.
        """
        earlier = start if self._bound_is_inclusive else start - TICK
        moment = utc(max(floor(earlier, TICK), EARLIEST))
        return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"

    def _list_page(self, ticket_list: _TicketList, bound: str, page: int) -> ListPage[Ticket]:
        """Fetch one page; rows of a filtered list count as deleted, whatever their fields say."""
        reply = self._api.get(
            TICKETS,
            self._params(ticket_list, bound, page),
            scope=LIST_SCOPE,
            cost=credits_of(ticket_list.include, each=2),
        )
        rows = reply.json()
        if not isinstance(rows, list):
            raise EndpointFailed(
                f"GET {TICKETS} did not answer with a list of tickets. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        links = parse_header_links(reply.headers.get("Link", ""))
        is_linked = any(link.get("rel") == "next" for link in links)
        has_next = is_linked or len(rows) >= self._limits.page_size
        parsed = ticket_list.reader.page(rows)
        tickets = parsed.tickets
        if ticket_list.list_filter is not None:
            tickets = tuple(replace(row, deleted_time=row.modified_time) for row in tickets)
            self._known_deleted.update(row.ticket_id for row in tickets)
        return ListPage(tickets, parsed.bad, str(page + 1) if has_next else None, reply.served_at)

    def _params(self, ticket_list: _TicketList, bound: str, page: int) -> Mapping[str, str]:
        return {
            "updated_since": bound,
            "order_by": "updated_at",
            "order_type": "asc",
            "per_page": str(self._limits.page_size),
            "page": str(page),
            **({} if ticket_list.list_filter is None else {"filter": ticket_list.list_filter}),
            **({"include": ",".join(ticket_list.include)} if ticket_list.include else {}),
        }

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        """See `BaseAdapter._fetch_ticket`; a single ticket always has its description."""
        path = f"{TICKETS}/{quote(ticket_id, safe='')}"
        include = [name for name in self._limits.include if name != "description"]
        params = {"include": ",".join(include)} if include else None
        cost = credits_of(include, each=1)
        reply = self._api.get(path, params, accept=OK_OR_NOT_FOUND, cost=cost)
        if reply.status == 404:
            return self._archive.fetch_missing(ticket_id)
        return self._reader.requested_ticket(ticket_id, reply.json(), path)

    def _too_dense(self, start: datetime, page: int) -> WindowTooDense:
        reached = (page - 1) * self._limits.page_size
        return WindowTooDense(
            f"At least {reached} tickets were modified within one second, at {start.isoformat()}, "
            "and Freshdesk gives no more in one query. Change some of them again there (a bulk "
            "action on a part of them), which moves these to another second; then run again."
        )


def from_settings(settings: Settings, runtime: Runtime | None = None) -> FreshdeskAdapter:
    """Create the adapter for the account that the settings name.

    Raises:
        SettingsError: Freshdesk does not accept a setting.
    """
    connection = connect(
        settings,
        make_auth(settings),
        base_path="/api/v2",
        per_minute={LIST_SCOPE: settings.freshdesk_lists_per_minute},
        parse_rate_limit=parse_rate_limit,
        parse_error=parse_error,
        runtime=runtime,
    )
    return FreshdeskAdapter(
        connection, query_limits(settings), skip_bad=settings.helpdesk_skip_bad_tickets
    )
