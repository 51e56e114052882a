"""The adapter `freshdesk`: Freshdesk's API v2, by the one list that it has.

    GET /api/v2/tickets?updated_since=TIME&order_by=updated_at&order_type=asc&per_page=100&page=N
    GET /api/v2/tickets?filter=deleted&updated_since=TIME&...      and filter=spam
    GET /api/v2/tickets/{id}

The list is both the change endpoint and the full listing. It must be told all of this each time:
without `updated_since` it goes back 30 days, without `order_type` it runs backwards. It has no
upper bound, so what lies behind a window's end is left out here; 300 pages are all that one query
gives, and a walk by time starts a new query at each page. Deleted tickets and spam are in lists of
their own, as whole tickets, in the same order and with the same bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from requests.utils import parse_header_links

from helpdesk_assets.errors import EndpointFailed, WindowTooDense
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket, utc
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.freshdesk.account import (
    LIST_SCOPE,
    FreshdeskLimits,
    PageOutOfRange,
    describe_settings,
    make_auth,
    parse_error,
    parse_rate_limit,
    query_limits,
)
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.paging.by_token import ListPage
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import FieldMap, TicketReader, as_text
from helpdesk_assets.settings import Settings

__all__ = ["FreshdeskAdapter", "describe_settings", "from_settings"]

TICKETS = "/tickets"
TICK = timedelta(seconds=1)
# Before any ticket there can be. Left out, it would mean the last 30 days.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# What has left the ordinary list, by the filter that shows it.
DELETION_FILTERS = ("deleted", "spam")
OK_OR_NOT_FOUND = frozenset({200, 404})

STATUSES = {2: "Open", 3: "Pending", 4: "Resolved", 5: "Closed"}
PRIORITIES = {1: "Low", 2: "Medium", 3: "High", 4: "Urgent"}


def text_by_number(names: Mapping[int, str]) -> Callable[[Any], str | None]:
    """A number as its word; one without a word, such as a status of the account's own, as text."""
    return lambda value: (
        names.get(value) if type(value) is int and value in names else as_text(value)
    )


def deleted_at(row: Mapping[str, Any]) -> Any:
    """Freshdesk does not tell when a ticket was deleted or marked as spam. It was its last change,
    unless something was done to it in the trash."""
    return row.get("updated_at") if row.get("deleted") or row.get("spam") else None


FIELD_MAP = FieldMap(
    assignee="responder_id",
    created="created_at",
    modified="updated_at",
    text_parsers={"status": text_by_number(STATUSES), "priority": text_by_number(PRIORITIES)},
    deleted_at=deleted_at,
)


@dataclass(frozen=True, slots=True)
class _TicketList:
    """One of Freshdesk's lists: the filter that shows it, None for the ordinary one; what is to be
    embedded in its rows; and who reads them."""

    list_filter: str | None
    include: tuple[str, ...]
    reader: TicketReader


class FreshdeskAdapter(BaseAdapter):
    """One account, as the agent sees it whose key is used."""

    def __init__(
        self, connection: Connection, query_limits: FreshdeskLimits, *, skip_bad: bool
    ) -> None:
        self._limits = query_limits
        self._bound_is_inclusive = False
        capabilities = Capabilities(
            name="freshdesk",
            page_size=query_limits.page_size,
            time_resolution=TICK,
            result_cap=query_limits.rows,
            # The second that the Date header names is not over yet: more may change within it.
            settle_delay=TICK,
            list_rows_are_complete=not query_limits.details,
            listing_is_stable=True,
            minimum_overlap=timedelta(0),
            listing_is_independent=False,
        )
        super().__init__(connection, capabilities, FIELD_MAP, skip_bad=skip_bad)

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - this API has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`. Failed calls are retried, since the listing is the same endpoint.

        What is gone is read first, also when an interrupted reading goes on: what is deleted while
        the rest is read is then the next window's, as `until` is the first reading's.
        """
        covered_until: datetime | None = None
        for list_filter in (*DELETION_FILTERS, None):
            pager = self._pager(partial(self._fetch, self._complete_list(list_filter)))
            for page in pager.pages(since, until, None if list_filter else resume):
                covered_until = (
                    page.until if covered_until is None else min(covered_until, page.until)
                )
                if list_filter:
                    yield replace(page, until=covered_until, resume=None, share=None)
                else:
                    yield replace(self._with_details(page), until=covered_until)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`: the same list from the beginning, gone tickets included."""
        return self.changes(None)

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`. The same lists with nothing embedded in them, which would cost
        extra; what is gone comes last, so that a ticket deleted meanwhile is in one of them."""
        for list_filter in (None, *DELETION_FILTERS):
            fetch = partial(self._fetch, _TicketList(list_filter, (), self._stub_reader))
            yield from map(to_inventory_page, self._pages_with_catch_up(fetch))

    def _complete_list(self, list_filter: str | None) -> _TicketList:
        """A list as its tickets are stored. What is embedded in the rows costs extra, and nothing
        is where each ticket is fetched by its id. A gone one may not be found by its id any more,
        so its row has to do."""
        include = self._limits.include
        if self._limits.details:
            include = () if list_filter is None else tuple(dict.fromkeys(("description", *include)))
        return _TicketList(list_filter, include, self._reader)

    def _fetch(
        self, ticket_list: _TicketList, start: datetime, end: datetime, token: str | None
    ) -> ListPage[Ticket]:
        """One page of `[start, end]` of one list. A token is a page's number and the bound of the
        query that it belongs to.

        A full page is never taken for the last one: nobody says what the 300th has in place of a
        link to the next, and asking once too often costs one call. Nor is one with such a link.

        Raises:
            WindowTooDense: that page is behind the last one that Freshdesk gives.
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
        # What is older than was asked for stays, and is found out as such by the walk.
        rows = [row for row in answer.rows if not bound_time <= row.modified_time < start]
        in_window = tuple(row for row in rows if row.modified_time <= end)
        reached_end = answer.next_token is None or len(in_window) < len(rows)
        return replace(
            answer,
            rows=in_window,
            next_token=None if reached_end else f"{answer.next_token} {bound}",
        )

    def _updated_since(self, start: datetime) -> str:
        """The `updated_since` that gives all from `start` on.

        Whether it is inclusive is not documented. So it is a second earlier, until a row dated like
        the bound has shown that it is: then a second with thousands of changes need not be read
        once more to get past it.
        """
        earlier = start if self._bound_is_inclusive else start - TICK
        moment = utc(max(floor(earlier, TICK), EARLIEST))
        return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"

    def _list_page(self, ticket_list: _TicketList, bound: str, page: int) -> ListPage[Ticket]:
        """One page as it came; what a filter shows is gone, whatever the rows say."""
        reply = self._api.get(TICKETS, self._params(ticket_list, bound, page), scope=LIST_SCOPE)
        rows = reply.json()
        if not isinstance(rows, list):
            raise EndpointFailed(
                f"The answer to GET {TICKETS} is no list of tickets. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        links = parse_header_links(reply.headers.get("Link", ""))
        is_linked = any(link.get("rel") == "next" for link in links)
        has_next = is_linked or len(rows) >= self._limits.page_size
        read = ticket_list.reader.page(rows)
        tickets = read.tickets
        if ticket_list.list_filter is not None:
            tickets = tuple(replace(row, deleted_time=row.modified_time) for row in tickets)
        return ListPage(tickets, read.bad, str(page + 1) if has_next else None, reply.served_at)

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
        """The description is always there, so it is nothing to be included."""
        path = f"{TICKETS}/{quote(ticket_id, safe='')}"
        include = ",".join(name for name in self._limits.include if name != "description")
        params = {"include": include} if include else None
        reply = self._api.get(path, params, accept=OK_OR_NOT_FOUND)
        if reply.status == 404:
            return None
        return self._reader.requested_ticket(ticket_id, reply.json(), path)

    def _too_dense(self, start: datetime, page: int) -> WindowTooDense:
        reached = (page - 1) * self._limits.page_size
        return WindowTooDense(
            f"At least {reached} tickets were modified within one second, at {start.isoformat()}, "
            "and Freshdesk gives no more in one query. Change some of them again there (a bulk "
            "action on a part of them), which moves these to another second; then run again."
        )


def from_settings(settings: Settings, runtime: Runtime | None = None) -> FreshdeskAdapter:
    """The account that the settings name.

    Raises:
        SettingsError: a setting cannot be what Freshdesk takes.
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
