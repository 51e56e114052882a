"""The adapter `zoho_desk`: Zoho Desk's API v1, by its search.

    GET /api/v1/tickets/search?modifiedTimeRange=FROM,TO&sortBy=modifiedTime&limit=100&from=0
    GET /api/v1/tickets/search?createdTimeRange=FROM,TO&sortBy=createdTime&...   the full listing
    GET /api/v1/tickets/{id}?include=contacts,departments,assignee
    GET /api/v1/recycleBin                                                      (zoho_recycle_bin)

The list of tickets tells no modified time, so the listing is a search as well, over the time of
creation, which never changes. Both ascend and are walked by time; 5,000 rows are all that one query
gives, and a walk starts a new query at each page. The search is an index beside the store: how far
it lags is not documented, so each window reaches back by minutes. An empty answer has no body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed, WindowTooDense
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.token_cache import TokenCache
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.providers.paging.by_time import EPOCH, FetchPage, TimePager
from helpdesk_assets.providers.paging.by_token import ListPage, rows_and_token
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.zoho_desk.account import (
    ZohoLimits,
    client,
    concurrency,
    describe_settings,
    org_id,
    parse_error,
    parse_rate_limit,
    query_limits,
    token_cache_dir,
)
from helpdesk_assets.providers.zoho_desk.oauth import ZohoOAuth
from helpdesk_assets.providers.zoho_desk.recycle_bin import RecycleBin
from helpdesk_assets.providers.zoho_desk.tickets import CREATED, FIELD_MAP, MODIFIED, SortKey
from helpdesk_assets.settings import Settings

__all__ = ["ZohoDeskAdapter", "describe_settings", "from_settings"]

TICKETS = "/tickets"
SEARCH = "/tickets/search"
TICK = timedelta(milliseconds=1)
# How far the search index lags is not documented; minutes would be long for one.
OVERLAP = timedelta(minutes=5)
# Later than any ticket dated by mistake, and a year that a parser of dates still takes.
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
# What a search embeds, by the names by which a single ticket has to be asked for it.
INCLUDE = "contacts,departments,assignee"

OK_OR_NO_CONTENT = frozenset({200, 204})
CAP_EXCEEDED = 422
OK_OR_NOT_FOUND = frozenset({200, 404})
# The bin tells also of what is in departments that the agent may not see.
OK_FORBIDDEN_OR_NOT_FOUND = frozenset({200, 403, 404})


class ZohoDeskAdapter(BaseAdapter):
    """One portal, as the agent sees it who made the refresh token."""

    def __init__(
        self, connection: Connection, oauth: ZohoOAuth, query_limits: ZohoLimits, *, skip_bad: bool
    ) -> None:
        self._oauth = oauth
        self._limits = query_limits
        self._starts_are_inclusive = False
        capabilities = Capabilities(
            name="zoho_desk",
            page_size=query_limits.page_size,
            time_resolution=TICK,
            result_cap=query_limits.result_cap,
            # The tick that the Date header names is not over yet: more may change within it.
            settle_delay=TICK,
            list_rows_are_complete=not query_limits.details,
            listing_is_stable=True,
            minimum_overlap=OVERLAP,
        )
        super().__init__(connection, capabilities, FIELD_MAP, skip_bad=skip_bad)
        self._recycle_bin = RecycleBin(
            connection, self._reader, settle_delay=TICK, fetch=self._binned_ticket
        )

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - this API has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`. Failed calls are retried, since the listing is the same search in
        another order.

        What is gone is read first, also when an interrupted reading goes on: what is deleted while
        the rest is read is then the next window's, as `until` is the bin's.
        """
        return self._read(MODIFIED, since, until, resume)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`. In its order no change moves a ticket, so it comes to an end also
        where the changes would not hold still."""
        for page in self._read(CREATED, None, None, None):
            # How far it has come is nothing that `changes` could go on from.
            yield replace(page, resume=None)

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`. The search in the listing's order, where a row costs as much
        as in any list of Zoho Desk's and has the modified time, then the bin: last, so that a
        ticket deleted meanwhile is in one of them."""
        total: int | None = None

        def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
            nonlocal total
            answer = self._fetch(CREATED, self._stub_reader, start, end, token)
            # The first call is for all there is, and the only one meanwhile.
            total = answer.total if total is None else total
            return answer

        for page in self._pager_by(CREATED, fetch).pages(None, None):
            yield to_inventory_page(page, total)
        for page in self._recycle_bin.stubs() if self._limits.recycle_bin else ():
            yield to_inventory_page(page, total)

    def close(self) -> None:
        """See `Helpdesk.close`."""
        super().close()
        self._oauth.close()

    def _read(
        self, sort_key: SortKey, since: datetime | None, until: datetime | None, resume: str | None
    ) -> Iterator[Page]:
        covered_until = datetime.max.replace(tzinfo=UTC)
        for page in self._recycle_bin.pages(since, until) if self._limits.recycle_bin else ():
            covered_until = page.until
            # Few pages of the bin have a ticket of the window.
            if page.tickets or page.bad:
                yield page
        pager = self._pager_by(sort_key, partial(self._fetch, sort_key, self._reader))
        for page in pager.pages(since, until, resume):
            yield replace(self._with_details(page), until=min(covered_until, page.until))

    def _pager_by(self, sort_key: SortKey, fetch: FetchPage) -> TimePager:
        return TimePager(
            fetch,
            tick=TICK,
            settle_delay=TICK,
            listing_delay=self._settled_after,
            concurrency=self._concurrency,
            time_of=sort_key.time_of,
        )

    def _fetch(
        self,
        sort_key: SortKey,
        reader: TicketReader,
        start: datetime,
        end: datetime,
        token: str | None,
    ) -> ListPage[Ticket]:
        """One page of `[start, end]`. A token is an offset and the start of its query.

        Whether a range is inclusive is not documented, so it is asked for with a tick more at both
        ends, until a row dated like the start has shown that it is: then a tick with thousands of
        tickets need not be read once more to get past it.

        Raises:
            WindowTooDense: the offset is behind the last one that Zoho Desk gives.
        """
        wider = start if self._starts_are_inclusive else max(start - TICK, EPOCH)
        offset, _, query_start = (token or f"0 {wider.isoformat()}").partition(" ")
        low = datetime.fromisoformat(query_start)
        found = None
        if int(offset) < self._limits.result_cap:
            high = min(end, LATEST) + TICK
            found = self._retry(
                partial(self._search_page, sort_key, reader, low, high, int(offset))
            )
        if found is None:
            raise self._too_dense(sort_key, start, int(offset))
        if not self._starts_are_inclusive and any(
            sort_key.time_of(row) == low for row in found.rows
        ):
            self._starts_are_inclusive = True
            if token is None and low < start:
                return self._fetch(sort_key, reader, start, end, None)
        # What is older than was asked for stays, and is found out as such by the walk.
        rows = [row for row in found.rows if not low <= sort_key.time_of(row) < start]
        in_window = tuple(row for row in rows if sort_key.time_of(row) <= end)
        reached_end = found.next_token is None or len(in_window) < len(rows)
        return replace(
            found,
            rows=in_window,
            next_token=None if reached_end else f"{found.next_token} {query_start}",
        )

    def _search_page(
        self, sort_key: SortKey, reader: TicketReader, low: datetime, high: datetime, offset: int
    ) -> ListPage[Ticket] | None:
        """One page as it came; None where Zoho Desk does not go so far.

        A full page is never taken for the last one, and a short one only where the count of all
        that was found agrees.
        """
        params = {
            f"{sort_key.name}Range": f"{_text(low)},{_text(high)}",
            "sortBy": sort_key.name,
            "limit": str(self._limits.page_size),
            "from": str(offset),
        }
        # An unknown parameter is a 422 too, on the first page as on every other.
        accept = OK_OR_NO_CONTENT | ({CAP_EXCEEDED} if offset else set())
        reply = self._api.get(SEARCH, params, accept)
        if reply.status == CAP_EXCEEDED:
            return None
        if reply.status == 204:
            return ListPage((), (), None, reply.served_at, total=0)
        body = reply.json()
        rows, _ = rows_and_token(body, SEARCH, "data", "next")
        reached = offset + min(len(rows), self._limits.page_size)
        count = body.get("count")
        total = count if isinstance(count, int) else None
        is_more = total is not None and total > reached
        has_next = is_more or len(rows) >= self._limits.page_size
        read = reader.page(rows)
        token = str(reached) if has_next else None
        return ListPage(read.tickets, read.bad, token, reply.served_at, total)

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        # Anything else is no id, and may be a path of another resource.
        if not (ticket_id.isascii() and ticket_id.isdigit()):
            return None
        body = self._body(ticket_id, OK_OR_NOT_FOUND)
        if body is None:
            return None
        return self._reader.requested_ticket(ticket_id, body, f"{TICKETS}/{ticket_id}")

    def _binned_ticket(self, ticket_id: str) -> Mapping[str, Any] | None:
        return self._body(ticket_id, OK_FORBIDDEN_OR_NOT_FOUND)

    def _body(self, ticket_id: str, accept: frozenset[int]) -> Mapping[str, Any] | None:
        path = f"{TICKETS}/{ticket_id}"
        reply = self._api.get(path, {"include": INCLUDE}, accept)
        if reply.status != 200:
            return None
        body = reply.json()
        if not isinstance(body, dict):
            raise EndpointFailed(
                f"GET {path} did not answer with an object. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        return body

    def _too_dense(self, sort_key: SortKey, start: datetime, count: int) -> WindowTooDense:
        return WindowTooDense(
            f"At least {count} tickets have the {sort_key.name} {start.isoformat()}, to the "
            "millisecond, and Zoho Desk gives no more in one query. Change some of them again "
            "there (a bulk action on a part of them), which moves these to another time; then run "
            "again."
        )


def from_settings(settings: Settings, runtime: Runtime | None = None) -> ZohoDeskAdapter:
    """The portal that the settings name.

    Raises:
        SettingsError: a setting cannot be what Zoho takes.
    """
    runtime = runtime or Runtime()
    oauth_client, usage_counter = client(settings), UsageCounter()
    identity = oauth_client.accounts_url, oauth_client.client_id, oauth_client.refresh_token
    oauth = ZohoOAuth(
        oauth_client,
        org_id(settings),
        TokenCache(token_cache_dir(settings), *identity),
        usage_counter=usage_counter,
        timeout=settings.helpdesk_timeout_seconds,
        now=runtime.now,
    )
    connection = connect(
        settings,
        oauth,
        base_path="/api/v1",
        concurrency=concurrency(settings),
        parse_rate_limit=parse_rate_limit,
        parse_error=parse_error,
        usage_counter=usage_counter,
        runtime=runtime,
    )
    return ZohoDeskAdapter(
        connection, oauth, query_limits(settings), skip_bad=settings.helpdesk_skip_bad_tickets
    )


def _text(moment: datetime) -> str:
    """UTC with a Z: offsets such as +05:30 are not taken."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
