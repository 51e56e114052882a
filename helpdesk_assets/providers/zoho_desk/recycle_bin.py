"""Finds deleted tickets, which the search no longer contains, in Zoho Desk's recycle bin.

The bin keeps deleted tickets, contacts and calls for 60 days, and cannot be filtered by time. A run
reads its newest part, down to the beginning of the window. If Zoho Desk does not sort the bin, a
run reads a few pages, and once a day all of it. How its pages are read is in `bin_pages`, what a
run leaves to the next one in `bin_place`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.model.tickets import BadTicket, Page, Ticket
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.paging.details import DetailRequest, fetch_details
from helpdesk_assets.providers.parsing.field_map import as_flag
from helpdesk_assets.providers.parsing.stubs import ticket_stub
from helpdesk_assets.providers.parsing.tickets import ParsedRows, TicketReader
from helpdesk_assets.providers.zoho_desk.bin_labels import BinLabels, find_ticket_module
from helpdesk_assets.providers.zoho_desk.bin_pages import (
    SECOND,
    BinPage,
    BinWalk,
    deleted_time_of,
    id_of,
)
from helpdesk_assets.providers.zoho_desk.bin_place import BinPlace, deletions_since
from helpdesk_assets.providers.zoho_desk.tickets import DELETION_FLAGS

MILLISECOND = timedelta(milliseconds=1)
# The bin keeps deletions for 60 days (zoho/zohodesk-oas, v1.0/Recyclebin.json), so it has none of
# a window that ended before.
KEPT_FOR = timedelta(days=61)

Row = Mapping[str, Any]
# Fetches one ticket by its id, None if that is not possible.
FetchRow = Callable[[str], Row | None]


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
        self._connection = connection
        self._reader = reader
        self._settle_delay = settle_delay
        self._fetch = fetch

    def reading(
        self, since: datetime | None, until: datetime | None, cursor: str | None
    ) -> BinReading:
        """Begin to read the deletions of a window; see `BinReading`."""
        place = BinPlace.from_text(cursor)
        # A window with an end is no part of the runs that follow each other.
        start = since if until is not None else deletions_since(since, place)
        return BinReading(self, place, start, until)

    def stubs(self) -> Iterator[Page]:
        """Yield every ticket in the bin as a stub, without a call for each; at least one page.

        Raises the errors of `BinReading.pages`.
        """
        walk = self.walk(None, None, must_be_whole=True)
        for bin_page in walk.pages():
            events, bad = events_of(bin_page, walk)
            seen = tuple(
                ticket_stub(
                    ticket_id,
                    # It was deleted before it was listed, whenever that was.
                    _modified_at(deleted_time_of(event) or bin_page.served_at),
                    deleted_time=deleted_time_of(event) or bin_page.served_at,
                )
                for ticket_id, event in events.items()
            )
            until = bin_page.served_at - self._settle_delay
            yield Page(seen, bin_page.served_at, until, bad=bad)

    def walk(
        self, since: datetime | None, place: BinPlace | None, *, must_be_whole: bool
    ) -> BinWalk:
        """Return a walk through the bin, as the place says that it can be read.

        Args:
            since: older deletions are not needed; None: all are.
            place: what the run before has left.
            must_be_whole: whether a few pages are not enough if the bin is not sorted.
        """
        module = find_ticket_module(self._connection) if place is None else place.module
        return BinWalk(
            self._connection,
            since=since,
            can_sort=place is None or place.can_sort,
            labels=BinLabels(module),
            is_due=(lambda _: True) if place is None or must_be_whole else place.is_old,
        )

    def deleted_tickets(
        self, bin_page: BinPage, walk: BinWalk, since: datetime | None, until: datetime | None
    ) -> ParsedRows:
        """Return the tickets of a page that were deleted in `[since, until]` and not restored."""
        events, bad = events_of(bin_page, walk)
        # The vendor's samples date rows in whole seconds.
        start = None if since is None else floor(since, SECOND)
        wanted = {
            ticket_id: event
            for ticket_id, event in events.items()
            if (at := deleted_time_of(event)) is None
            or ((start is None or at >= start) and (until is None or at <= until))
        }
        detailed = fetch_details(
            map(DetailRequest, wanted),
            partial(self._deleted_ticket, wanted),
            self._connection.concurrency,
        )
        return ParsedRows(detailed.tickets, (*bad, *detailed.bad))

    def covered_until(self, opened_at: datetime, until: datetime | None) -> datetime:
        """Return the end of what a reading covers that was opened at this time."""
        covered = opened_at - self._settle_delay
        return covered if until is None else min(covered, until)

    def _deleted_ticket(self, events: Mapping[str, Row], ticket_id: str) -> Ticket | BadTicket:
        """Return the ticket by its id, or a tombstone if that has no deletion flags."""
        event = events[ticket_id]
        deleted_at = deleted_time_of(event)
        body = self._connection.retry(partial(self._fetch, ticket_id))
        flags = [] if body is None else [body[key] for key in DELETION_FLAGS if key in body]
        if all(flag is None for flag in flags):
            return self._tombstone(ticket_id, deleted_at, event)
        ticket = self._reader.requested_ticket(ticket_id, body, f"/tickets/{ticket_id}")
        # If no flag is set, it has been restored since the bin was read.
        if isinstance(ticket, BadTicket) or not any(map(as_flag, flags)) or deleted_at is None:
            return ticket
        return replace(ticket, deleted_time=deleted_at)

    def _tombstone(
        self, ticket_id: str, deleted_at: datetime | None, event: Row
    ) -> Ticket | BadTicket:
        if deleted_at is None:
            shown = ascii(event.get("deletedTime"))[:40]
            return BadTicket(ticket_id, "deletedTime", f"is {shown} in the recycle bin")
        tombstone = self._reader.tombstone(ticket_id, deleted_at, dict(event))
        return replace(tombstone, modified_time=_modified_at(deleted_at))


class BinReading:
    """The reading of one window.

    Attributes:
        covered_until: up to when every deletion has been read; None if that is not known, because
            the bin is not sorted and was only looked into.
        cursor: what the next run is to be given; None after a window with an end.
    """

    def __init__(
        self,
        recycle_bin: RecycleBin,
        place: BinPlace | None,
        since: datetime | None,
        until: datetime | None,
    ) -> None:
        """Set up the reading of `[since, until]`, without a request."""
        self._bin = recycle_bin
        self._place = place
        self._since = since
        self._until = until
        self.covered_until: datetime | None = None
        self.cursor: str | None = None

    def pages(self) -> Iterator[Page]:
        """Yield every ticket deleted in the window and not restored; at least one page.

        Its `until` is the time of the first answer, or the given one if that is earlier.

        Raises:
            EndpointFailed: rows kept shifting.
        """
        has_end = self._until is not None
        walk = self._bin.walk(self._since, self._place, must_be_whole=has_end)
        until: datetime | None = None
        for bin_page in walk.pages():
            if self._until is not None and self._until < bin_page.served_at - KEPT_FOR:
                return
            until = until or self._bin.covered_until(bin_page.served_at, self._until)
            found = self._bin.deleted_tickets(bin_page, walk, self._since, self._until)
            yield Page(found.tickets, bin_page.served_at, until, bad=found.bad)
        if until is None:
            return
        # Of a bin that is cut, more cannot be read: another reading at once would give the same.
        if walk.is_complete or walk.is_cut:
            self.covered_until = until
        read_until = self.covered_until
        if read_until is None and self._place is not None:
            read_until = self._place.read_until
        # Without a cursor, the next run asks for the module again and reads a day more.
        if read_until is not None and not has_end and walk.labels.is_known:
            self.cursor = BinPlace(read_until, walk.can_sort, walk.labels.module).to_text()


def events_of(bin_page: BinPage, walk: BinWalk) -> tuple[dict[str, Row], tuple[BadTicket, ...]]:
    """Return a page's deleted tickets by id, and its rows that name none."""
    events: dict[str, Row] = {}
    bad = []
    for number, row in enumerate(bin_page.rows, 1):
        if not isinstance(row, Mapping):
            bad.append(_nameless(number, f"the row is of type {type(row).__name__}"))
        elif walk.labels.is_ticket(row):
            ticket_id = id_of(row)
            if ticket_id is None:
                bad.append(_nameless(number, f"is {ascii(row.get('id'))[:40]}"))
            else:
                events[ticket_id] = row
    return events, tuple(bad)


def _nameless(number: int, problem: str) -> BadTicket:
    return BadTicket(f"(no id) row {number} of the recycle bin's page", "id", problem)


def _modified_at(deleted_at: datetime) -> datetime:
    """Return the end of the deletion's second, so that no change within it is newer."""
    return floor(deleted_at, SECOND) + (SECOND - MILLISECOND)
