"""Finds deleted and merged tickets, which no search of Request Tracker contains.

A user with the right to see tickets, ShowTicket, can search for the transactions that deleted or
merged them; each ticket is then fetched by its id. A shredded ticket leaves nothing in RT and
cannot be detected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.tickets import BadTicket, Page, Ticket
from helpdesk_assets.providers.client.connection import Connection
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.paging.by_token import rows_and_token
from helpdesk_assets.providers.paging.details import DetailRequest, fetch_details
from helpdesk_assets.providers.parsing.field_map import parse_iso_time
from helpdesk_assets.providers.parsing.stubs import ticket_stub
from helpdesk_assets.providers.parsing.tickets import TicketReader

log = logging.getLogger(__name__)

TRANSACTIONS = "/transactions"
TRANSACTION_FIELDS = "ObjectType,ObjectId,Type,Field,OldValue,NewValue,Created,Creator"
# RT returns no more rows of anything.
PAGE_SIZE = 100
OK_OR_NOT_FOUND = frozenset({200, 404})
OK_FORBIDDEN_OR_NOT_FOUND = frozenset({200, 403, 404})
DELETED = "deleted"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeletionEvents:
    """One page of the transactions that removed tickets.

    Attributes:
        by_ticket: the transaction by the id of the ticket that it removed.
        served_at: the helpdesk's clock when it answered.
        last: the id after which the next page begins, None on the last page.
    """

    by_ticket: Mapping[str, Row]
    served_at: datetime
    last: str | None


class DeletedTickets:
    """The deleted and merged tickets of one account."""

    def __init__(
        self, connection: Connection, reader: TicketReader, settle_delay: timedelta
    ) -> None:
        """Set up the reader of deletions.

        Args:
            connection: the account's API and policies.
            reader: reads tickets.
            settle_delay: how far `Page.until` stays behind the helpdesk's clock.
        """
        self._api = connection.api
        self._concurrency = connection.concurrency
        self._retry = connection.retry
        self._reader = reader
        self._settle_delay = settle_delay

    def pages(self, query: str, until: datetime | None) -> Iterator[Page]:
        """Yield every ticket that the transactions of `query` removed and that is not restored.

        There is at least one page. Its `until` is the time of the first answer, or the given one if
        that is earlier.
        """
        covered_until: datetime | None = None
        last: str | None = "0"
        while last is not None:
            events = self._retry(partial(self._deletion_events, query, last))
            last = events.last
            now = events.served_at - self._settle_delay
            covered_until = covered_until or (min(now, until) if until else now)
            fetch_ticket = partial(self._deleted_ticket, events.by_ticket)
            detailed = fetch_details(
                map(DetailRequest, events.by_ticket), fetch_ticket, self._concurrency
            )
            yield Page(detailed.tickets, events.served_at, covered_until, bad=detailed.bad)

    def stubs(self, query: str) -> Iterator[Page]:
        """Yield the same tickets as stubs, from the transactions alone; at least one page.

        A deleted ticket may have changed since; that time is not requested.
        """
        last: str | None = "0"
        while last is not None:
            events = self._retry(partial(self._deletion_events, query, last))
            last = events.last
            seen = tuple(_stub_of(*each) for each in events.by_ticket.items())
            yield Page(seen, events.served_at, events.served_at - self._settle_delay)

    def by_id(self, ticket_id: str, query: str) -> Ticket | BadTicket | None:
        """Return a ticket that no search finds; `query` finds the transactions that merged it."""
        body = self._retry(partial(self._body, ticket_id))
        if body is None:
            return None
        if str(body.get("id")) == ticket_id:
            return self._reader.ticket(_as_listed(body), ticket_id)
        events = self._retry(partial(self._deletion_events, query, "0")).by_ticket
        return self._merged_tombstone(ticket_id, body, events.get(ticket_id, {}))

    def _deleted_ticket(
        self, events: Mapping[str, Row], ticket_id: str
    ) -> Ticket | BadTicket | None:
        deletion_event = events[ticket_id]
        body = self._retry(partial(self._body, ticket_id))
        if body is None:
            return None
        if str(body.get("id")) != ticket_id:
            return self._merged_tombstone(ticket_id, body, deletion_event)
        if body.get("Status") != DELETED:
            return None  # restored, so the search returns it
        ticket = self._reader.ticket(_as_listed(body), ticket_id)
        if isinstance(ticket, BadTicket) or deletion_event.get("NewValue") != DELETED:
            return ticket
        return replace(ticket, deleted_time=_time_of(deletion_event) or ticket.deleted_time)

    def _merged_tombstone(
        self, ticket_id: str, merged_into: Row, deletion_event: Row
    ) -> Ticket | None:
        """Create the tombstone of a merged ticket, None if the time of the merge is unknown."""
        at = _time_of(deletion_event) or _time_of(merged_into, "LastUpdated")
        if at is None:
            return None
        content = dict(deletion_event) or {"EffectiveId": merged_into.get("id")}
        return self._reader.tombstone(ticket_id, at, content)

    def _body(self, ticket_id: str) -> Row | None:
        # The queue's name, as in lists; see the adapter.
        params = {"fields[Queue]": "Name"}
        reply = self._api.get(f"/ticket/{ticket_id}", params, accept=OK_OR_NOT_FOUND)
        return None if reply.status == 404 else reply.json_object()

    def _deletion_events(self, query: str, after_id: str) -> DeletionEvents:
        params = {
            "query": f"{query} AND id > {after_id}",
            "orderby": "id",
            "order": "ASC",
            "per_page": str(PAGE_SIZE),
            "fields": TRANSACTION_FIELDS,
        }
        reply = self._api.get(TRANSACTIONS, params, accept=OK_FORBIDDEN_OR_NOT_FOUND)
        if reply.status != 200:
            log.warning(
                "The API user may not search transactions (%d), so deleted and merged tickets are "
                "not detected.",
                reply.status,
            )
            return DeletionEvents({}, reply.served_at, None)
        return _parse_events(reply)


def _parse_events(reply: Reply) -> DeletionEvents:
    """Read one page of transactions.

    Raises:
        EndpointFailed: a transaction does not match the query.
    """
    # RT counts transactions only for superusers, and without a count names no next page. But it
    # removes rows that the user may not see before it cuts a page, so a short page is the last.
    rows, _ = rows_and_token(reply.json(), TRANSACTIONS, "items", "next_page")
    by_ticket: dict[str, Row] = {}
    for row in rows:
        is_deletion = isinstance(row, dict) and (
            row.get("NewValue") == DELETED or row.get("Field") == "MergedInto"
        )
        if not is_deletion or not all(str(row.get(key)).isdecimal() for key in ("id", "ObjectId")):
            raise EndpointFailed(
                f"GET {TRANSACTIONS} returned transactions that do not match the query. The "
                "adapter needs Request Tracker 5 or newer; check HELPDESK_PROVIDER."
            )
        ticket_id = str(row.get("ObjectId"))
        if not str(row.get("NewValue")).endswith(f"/ticket/{ticket_id}"):
            by_ticket[ticket_id] = row
    last = str(rows[-1]["id"]) if len(rows) >= PAGE_SIZE else None
    return DeletionEvents(by_ticket, reply.served_at, last)


def _stub_of(ticket_id: str, deletion_event: Row) -> Ticket:
    """Create the stub of a deleted or merged ticket.

    Raises:
        EndpointFailed: the transaction has no readable time.
    """
    at = _time_of(deletion_event)
    if at is None:
        raise _unreadable_time(deletion_event, "Created")
    return ticket_stub(ticket_id, at, deleted_time=at)


def _time_of(row: Row, field: str = "Created") -> datetime | None:
    """Read a time of a row, None if it is absent.

    Raises:
        EndpointFailed: the time cannot be read.
    """
    try:
        return parse_iso_time(row.get(field))
    except (ValueError, OverflowError):
        raise _unreadable_time(row, field) from None


def _unreadable_time(row: Row, field: str) -> EndpointFailed:
    return EndpointFailed(
        f"{field} of {ascii(row.get('id'))[:40]} is not a readable time: "
        f"{ascii(row.get(field))[:40]}. Check HELPDESK_PROVIDER."
    )


def _as_listed(body: Row) -> dict[str, Any]:
    """Convert a single ticket to the form of lists.

    There the id is text, empty custom fields are an empty text, and there are no links to actions.
    """
    row = {key: value for key, value in body.items() if key != "_hyperlinks"}
    row["id"] = str(body.get("id"))
    row["CustomFields"] = body.get("CustomFields") or ""
    return row
