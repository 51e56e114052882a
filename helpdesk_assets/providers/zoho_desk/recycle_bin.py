"""What the `zoho_desk` adapter learns of tickets that have left its search: the recycle bin.

    GET /api/v1/recycleBin?from=0&limit=50

The bin keeps what was deleted for 60 days, tickets among contacts and calls, in an order that is
not documented, and cannot be asked for a time. So all of it is read each time. Its pages are
offsets: what leaves the bin meanwhile moves the rest up, across a page edge. So each page begins
with the last row of the one before; where that row is missing, something has moved, and the bin is
read anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import BadTicket, Page, Ticket
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.paging.by_time import MOST_PASSES, floor
from helpdesk_assets.providers.paging.by_token import rows_and_token
from helpdesk_assets.providers.paging.details import Wanted, fetch_details
from helpdesk_assets.providers.parsing.stubs import sighting
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.zoho_desk.account import RECYCLE_BIN
from helpdesk_assets.providers.zoho_desk.tickets import SIGNS, zoho_time

# By the schema; the text beside it says 100.
LARGEST_PAGE = 50
TICKETS = "tickets"
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
SOME_OR_NONE = frozenset({200, 204})

Row = Mapping[str, Any]
# One ticket as its id gives it, None where it does not.
Fetch = Callable[[str], Row | None]


@dataclass(frozen=True, slots=True)
class _Binned:
    """One page of the bin."""

    rows: tuple[Row, ...]
    served_at: datetime


class RecycleBin:
    """The bin of one portal."""

    def __init__(
        self,
        connection: Connection,
        reader: TicketReader,
        *,
        held_back: timedelta,
        fetch: Fetch,
    ) -> None:
        self._api = connection.api
        self._at_once = connection.at_once
        self._retry = connection.retry
        self._reader = reader
        self._held_back = held_back
        self._fetch = fetch

    def pages(self, since: datetime | None, until: datetime | None) -> Iterator[Page]:
        """Every ticket that was deleted in `[since, until]`, unless it has been restored. There is
        at least one page; its `until` is as of the first answer, or the one that is given.

        Raises:
            EndpointFailed: the bin would not hold still.
        """
        reach: datetime | None = None
        for binned in self._whole():
            now = binned.served_at - self._held_back
            reach = reach or (min(now, until) if until else now)
            notices = dict(self._deleted(binned.rows, since, until))
            left = partial(self._left, notices)
            found = fetch_details(map(Wanted, notices), left, self._at_once)
            yield Page(found.tickets, binned.served_at, reach, bad=found.bad)

    def sightings(self) -> Iterator[Page]:
        """Every ticket in the bin, by what the bin alone says of it. There is at least one page.

        Raises: as `pages`.
        """
        for binned in self._whole():
            seen = tuple(
                sighting(ticket_id, self._went(notice), deleted_time=self._at(notice))
                for ticket_id, notice in self._deleted(binned.rows, None, None)
            )
            yield Page(seen, binned.served_at, binned.served_at - self._held_back)

    def _whole(self) -> Iterator[_Binned]:
        """The bin's pages until a pass has come to its end; some may come more than once."""
        for _ in range(MOST_PASSES):
            for binned in self._pass():
                if binned.rows is _MOVED:
                    break
                yield binned
            else:
                return
        raise EndpointFailed(
            f"The recycle bin kept losing rows while it was read, {MOST_PASSES} times, so what was "
            "read of it is not known to be whole. Try again later."
        )

    def _pass(self) -> Iterator[_Binned]:
        """The bin from its beginning; `_MOVED` as the last rows where some may have been skipped.

        Only a page with nothing behind the last row known ends it: a short one may have been cut.
        """
        offset, last = 0, None
        while True:
            binned = self._retry(partial(self._binned, offset))
            ids = [row.get("id") for row in binned.rows]
            if last is not None and last not in ids:
                yield replace(binned, rows=_MOVED)
                return
            known = 0 if last is None else ids.index(last) + 1
            yield replace(binned, rows=binned.rows[known:])
            if not ids or ids == [last]:
                return
            offset, last = offset + min(len(ids), LARGEST_PAGE) - 1, ids[-1]

    def _binned(self, offset: int) -> _Binned:
        params = {"from": str(offset), "limit": str(LARGEST_PAGE)}
        reply = self._api.get(RECYCLE_BIN, params, accept=SOME_OR_NONE)
        if reply.status == 204:
            return _Binned((), reply.served_at)
        rows, _ = rows_and_token(reply.json(), RECYCLE_BIN, "data", "next")
        if not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
            raise EndpointFailed(
                f"A row of GET {RECYCLE_BIN} has no id. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        return _Binned(tuple(rows), reply.served_at)

    def _deleted(
        self, rows: tuple[Row, ...], since: datetime | None, until: datetime | None
    ) -> Iterator[tuple[str, Row]]:
        # The bin dates in whole seconds, as far as its samples show.
        start = None if since is None else floor(since, SECOND)
        for row in rows:
            if str(row.get("type")).casefold() != TICKETS:
                continue
            at = self._at(row)
            if (start is None or at >= start) and (until is None or at <= until):
                yield row["id"], row

    def _left(self, notices: Mapping[str, Row], ticket_id: str) -> Ticket | BadTicket:
        """The ticket as its id still gives it, or what the bin says where that shows no end."""
        notice = notices[ticket_id]
        body = self._retry(partial(self._fetch, ticket_id))
        signs = [] if body is None else [body[key] for key in SIGNS if key in body]
        if not signs:
            return self._tombstone(ticket_id, notice)
        ticket = self._reader.asked_for(ticket_id, body, f"/tickets/{ticket_id}")
        # Without a sign that is set, it has been restored since the bin was read.
        if isinstance(ticket, BadTicket) or not any(signs):
            return ticket
        return replace(ticket, deleted_time=self._at(notice))

    def _tombstone(self, ticket_id: str, notice: Row) -> Ticket:
        gone = self._reader.tombstone(ticket_id, self._at(notice), dict(notice))
        return replace(gone, modified_time=self._went(notice))

    def _went(self, notice: Row) -> datetime:
        """Later than any change of the second that the bin names, or it would lose against one."""
        return floor(self._at(notice), SECOND) + (SECOND - MILLISECOND)

    def _at(self, row: Row) -> datetime:
        """
        Raises:
            EndpointFailed: it has no time that can be read.
        """
        try:
            at = zoho_time(row.get("deletedTime"))
        except (ValueError, OverflowError):
            at = None
        if at is None:
            raise EndpointFailed(
                f"Ticket {row['id'][:40]} in the recycle bin has no time that can be read: "
                f"{ascii(row.get('deletedTime'))[:40]}. Check HELPDESK_PROVIDER."
            )
        return at


# By its identity: no answer has these rows.
_MOVED: tuple[Row, ...] = ({"id": ""},)
