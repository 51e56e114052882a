"""Finds deleted tickets, which the search no longer contains, in Zoho Desk's recycle bin.

    GET /api/v1/recycleBin?from=0&limit=50

The bin keeps deleted tickets, contacts and calls for 60 days, in an undocumented order, and cannot
be filtered by time. So each run reads all of it. Its pages are offsets: a row that leaves the bin
meanwhile shifts the rest across a page boundary. So each page begins with the last row of the page
before; if that row is missing, rows have shifted, and the bin is read again from its beginning.
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
from helpdesk_assets.providers.paging.by_time import MAX_PASSES, floor
from helpdesk_assets.providers.paging.by_token import rows_and_token
from helpdesk_assets.providers.paging.details import DetailRequest, fetch_details
from helpdesk_assets.providers.parsing.stubs import ticket_stub
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.zoho_desk.account import RECYCLE_BIN
from helpdesk_assets.providers.zoho_desk.tickets import DELETION_FLAGS, parse_zoho_time

# By the schema of the vendor's API description; its text says 100.
MAX_PAGE_SIZE = 50
TICKETS = "tickets"
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
OK_OR_NO_CONTENT = frozenset({200, 204})

Row = Mapping[str, Any]
# Fetches one ticket by its id, None if that is not possible.
FetchRow = Callable[[str], Row | None]


@dataclass(frozen=True, slots=True)
class _BinPage:
    """One page of the bin."""

    rows: tuple[Row, ...]
    served_at: datetime


class RecycleBin:
    """The recycle bin of one portal."""

    def __init__(
        self,
        connection: Connection,
        reader: TicketReader,
        *,
        settle_delay: timedelta,
        fetch: FetchRow,
    ) -> None:
        """Set up the reader of the bin.

        Args:
            connection: the portal's API and policies.
            reader: reads tickets.
            settle_delay: how far `Page.until` stays behind the helpdesk's clock.
            fetch: fetches one ticket by its id.
        """
        self._api = connection.api
        self._concurrency = connection.concurrency
        self._retry = connection.retry
        self._reader = reader
        self._settle_delay = settle_delay
        self._fetch = fetch

    def pages(self, since: datetime | None, until: datetime | None) -> Iterator[Page]:
        """Yield every ticket deleted in `[since, until]` and not restored.

        There is at least one page. Its `until` is the time of the first answer, or the given one if
        that is earlier.

        Raises:
            EndpointFailed: rows kept shifting through `MAX_PASSES`.
        """
        covered_until: datetime | None = None
        for bin_page in self._stable_pages():
            now = bin_page.served_at - self._settle_delay
            covered_until = covered_until or (min(now, until) if until else now)
            events = dict(self._deleted(bin_page.rows, since, until))
            fetch_ticket = partial(self._deleted_ticket, events)
            detailed = fetch_details(map(DetailRequest, events), fetch_ticket, self._concurrency)
            yield Page(detailed.tickets, bin_page.served_at, covered_until, bad=detailed.bad)

    def stubs(self) -> Iterator[Page]:
        """Yield every ticket in the bin as a stub, without a call for each; at least one page.

        Raises the errors of `pages`.
        """
        for bin_page in self._stable_pages():
            seen = tuple(
                ticket_stub(
                    ticket_id,
                    self._modified_at(deletion_event),
                    deleted_time=self._deleted_at(deletion_event),
                )
                for ticket_id, deletion_event in self._deleted(bin_page.rows, None, None)
            )
            yield Page(seen, bin_page.served_at, bin_page.served_at - self._settle_delay)

    def _stable_pages(self) -> Iterator[_BinPage]:
        """Yield the bin's pages until one pass is complete; rows may come more than once."""
        for _ in range(MAX_PASSES):
            for bin_page in self._pass():
                if bin_page.rows is _MOVED:
                    break
                yield bin_page
            else:
                return
        raise EndpointFailed(
            f"The recycle bin lost rows during each of {MAX_PASSES} passes, so none of them is "
            "known to be complete. Try again later."
        )

    def _pass(self) -> Iterator[_BinPage]:
        """Yield the bin from its beginning; ends with `_MOVED` if rows may have been skipped.

        Only a page with no row after the last known one ends the pass: a short page may have been
        cut.
        """
        offset, last = 0, None
        while True:
            bin_page = self._retry(partial(self._bin_page, offset))
            ids = [row.get("id") for row in bin_page.rows]
            if last is not None and last not in ids:
                yield replace(bin_page, rows=_MOVED)
                return
            known = 0 if last is None else ids.index(last) + 1
            yield replace(bin_page, rows=bin_page.rows[known:])
            if not ids or ids == [last]:
                return
            offset, last = offset + min(len(ids), MAX_PAGE_SIZE) - 1, ids[-1]

    def _bin_page(self, offset: int) -> _BinPage:
        params = {"from": str(offset), "limit": str(MAX_PAGE_SIZE)}
        reply = self._api.get(RECYCLE_BIN, params, accept=OK_OR_NO_CONTENT)
        if reply.status == 204:
            return _BinPage((), reply.served_at)
        rows, _ = rows_and_token(reply.json(), RECYCLE_BIN, "data", "next")
        if not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
            raise EndpointFailed(
                f"A row of GET {RECYCLE_BIN} has no id. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        return _BinPage(tuple(rows), reply.served_at)

    def _deleted(
        self, rows: tuple[Row, ...], since: datetime | None, until: datetime | None
    ) -> Iterator[tuple[str, Row]]:
        # The vendor's samples date rows in whole seconds.
        start = None if since is None else floor(since, SECOND)
        for row in rows:
            if str(row.get("type")).casefold() != TICKETS:
                continue
            at = self._deleted_at(row)
            if (start is None or at >= start) and (until is None or at <= until):
                yield row["id"], row

    def _deleted_ticket(self, events: Mapping[str, Row], ticket_id: str) -> Ticket | BadTicket:
        """Return the ticket by its id, or a tombstone if that has no deletion flags."""
        deletion_event = events[ticket_id]
        body = self._retry(partial(self._fetch, ticket_id))
        flags = [] if body is None else [body[key] for key in DELETION_FLAGS if key in body]
        if not flags:
            return self._tombstone(ticket_id, deletion_event)
        ticket = self._reader.requested_ticket(ticket_id, body, f"/tickets/{ticket_id}")
        # If no flag is set, it has been restored since the bin was read.
        if isinstance(ticket, BadTicket) or not any(flags):
            return ticket
        return replace(ticket, deleted_time=self._deleted_at(deletion_event))

    def _tombstone(self, ticket_id: str, deletion_event: Row) -> Ticket:
        tombstone = self._reader.tombstone(
            ticket_id, self._deleted_at(deletion_event), dict(deletion_event)
        )
        return replace(tombstone, modified_time=self._modified_at(deletion_event))

    def _modified_at(self, deletion_event: Row) -> datetime:
        """Return the end of the deletion's second, so that no change within it is newer."""
        return floor(self._deleted_at(deletion_event), SECOND) + (SECOND - MILLISECOND)

    def _deleted_at(self, row: Row) -> datetime:
        """Return when a row was deleted.

        Raises:
            EndpointFailed: the row has no readable time.
        """
        try:
            at = parse_zoho_time(row.get("deletedTime"))
        except (ValueError, OverflowError):
            at = None
        if at is None:
            raise EndpointFailed(
                f"Ticket {row['id'][:40]} in the recycle bin has no readable deletedTime: "
                f"{ascii(row.get('deletedTime'))[:40]}. Check HELPDESK_PROVIDER."
            )
        return at


# Compared by identity: no answer has these rows.
_MOVED: tuple[Row, ...] = ({"id": ""},)
