"""Reads Zoho Desk's search, page by page.

One query returns at most 5,000 rows, and the pager starts a new query at each page. An empty answer
has no body.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import WindowTooDense
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.paging.by_time import EPOCH
from helpdesk_assets.providers.paging.by_token import ListPage, rows_and_token
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.zoho_desk.account import UNPROCESSABLE, ZohoLimits
from helpdesk_assets.providers.zoho_desk.tickets import SortKey

SEARCH = "/tickets/search"
TICK = timedelta(milliseconds=1)
# A range may end in the years 1900 to 2099 (zoho/zohodesk-oas, v1.0/Search.json), and it is asked
# for a tick more at both ends.
LATEST = datetime(2100, 1, 1, tzinfo=UTC) - 2 * TICK

MAX_COUNT_DIGITS = 18
OK_OR_NO_CONTENT = frozenset({200, 204})


class TicketSearch:
    """The search of one portal; may be used from any thread."""

    def __init__(self, connection: Connection, query_limits: ZohoLimits) -> None:
        """Set up the search; `query_limits` says how much one query returns."""
        self._api = connection.api
        self._retry = connection.retry
        self._limits = query_limits
        self._starts_are_inclusive = False

    def page(
        self,
        sort_key: SortKey,
        reader: TicketReader,
        start: datetime,
        end: datetime,
        token: str | None,
    ) -> ListPage[Ticket]:
        """Fetch one page of `[start, end]`.

        It is not documented whether a range is inclusive. So it is a tick wider at both ends, until
        a row dated exactly at a start proves that it is: then a tick with thousands of tickets need
        not be read twice to get past it.

        Args:
            sort_key: the time that the search goes by.
            reader: reads the rows.
            start: start of the window.
            end: end of the window.
            token: an offset and the start of its query; None starts a new query.

        Raises:
            WindowTooDense: the offset is beyond the last one that Zoho Desk accepts.
        """
        begin = _in_range(start)
        wider = begin if self._starts_are_inclusive else max(begin - TICK, EPOCH)
        offset, _, query_start = (token or f"0 {wider.isoformat()}").partition(" ")
        low = datetime.fromisoformat(query_start)
        answer = None
        if int(offset) < self._limits.result_cap:
            high = _in_range(end) + TICK
            answer = self._retry(
                partial(self._query_page, sort_key, reader, low, high, int(offset))
            )
        if answer is None:
            raise _too_dense(sort_key, start, int(offset))
        if not self._starts_are_inclusive and any(
            sort_key.time_of(row) == low for row in answer.rows
        ):
            self._starts_are_inclusive = True
            if token is None and low < start:
                return self.page(sort_key, reader, start, end, None)
        # Rows older than the query's start are kept, so that the pager detects them as out of
        # order.
        rows = [row for row in answer.rows if not low <= sort_key.time_of(row) < start]
        in_window = tuple(row for row in rows if sort_key.time_of(row) <= end)
        reached_end = answer.next_token is None or len(in_window) < len(rows)
        return replace(
            answer,
            rows=in_window,
            next_token=None if reached_end else f"{answer.next_token} {query_start}",
        )

    def _query_page(
        self, sort_key: SortKey, reader: TicketReader, low: datetime, high: datetime, offset: int
    ) -> ListPage[Ticket] | None:
        """Fetch one page of a query; None if the offset exceeds what Zoho Desk accepts.

        A full page never counts as the last one, and a short page only if the total count agrees.

        Args:
            sort_key: the time that the search goes by.
            reader: reads the rows.
            low: start of the range.
            high: end of the range.
            offset: rows of the query to skip.
        """
        params = {
            f"{sort_key.name}Range": f"{_text(low)},{_text(high)}",
            "sortBy": sort_key.name,
            "limit": str(self._limits.page_size),
            "from": str(offset),
        }
        # An unknown parameter is a 422 too, on the first page as on every other.
        accept = OK_OR_NO_CONTENT | ({UNPROCESSABLE} if offset else set())
        reply = self._api.get(SEARCH, params, accept)
        if reply.status == UNPROCESSABLE:
            return None
        if reply.status == 204:
            return ListPage((), (), None, reply.served_at, total=0)
        body = reply.json()
        rows, _ = rows_and_token(body, SEARCH, "data", "next")
        reached = offset + min(len(rows), self._limits.page_size)
        total = _total(body.get("count"))
        is_more = total is not None and total > reached
        has_next = is_more or len(rows) >= self._limits.page_size
        parsed = reader.page(rows)
        token = str(reached) if has_next else None
        return ListPage(parsed.tickets, parsed.bad, token, reply.served_at, total)


def _too_dense(sort_key: SortKey, start: datetime, count: int) -> WindowTooDense:
    return WindowTooDense(
        f"At least {count} tickets have the {sort_key.name} {start.isoformat()}, to the "
        "millisecond, and Zoho Desk gives no more in one query. Change some of them again "
        "there (a bulk action on a part of them), which moves these to another time; then run "
        "again."
    )


def _in_range(moment: datetime) -> datetime:
    return min(max(moment, EPOCH), LATEST)


def _total(count: Any) -> int | None:
    """Read the count of all results, which comes as a number or as text, or is null."""
    if isinstance(count, str) and count.isdecimal() and len(count) <= MAX_COUNT_DIGITS:
        return int(count)
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _text(moment: datetime) -> str:
    """Write a time in UTC with a Z, since Zoho Desk rejects offsets such as +05:30."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
