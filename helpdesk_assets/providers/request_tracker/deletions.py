"""What the `request_tracker` adapter learns of tickets that are in no search any more.

The transactions that deleted or merged them can be searched for with the right to see the tickets,
ShowTicket; what has become of each is then asked for by its id. Of a ticket that was shredded
nothing is left in RT, and nobody can tell.
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
from helpdesk_assets.providers.client.http import Reply
from helpdesk_assets.providers.paging.by_token import rows_and_token
from helpdesk_assets.providers.paging.details import DetailRequest, fetch_details
from helpdesk_assets.providers.parsing.stubs import ticket_stub
from helpdesk_assets.providers.parsing.tickets import TicketReader, parse_iso_time

log = logging.getLogger(__name__)

TRANSACTIONS = "/transactions"
TRANSACTION_FIELDS = "ObjectType,ObjectId,Type,Field,OldValue,NewValue,Created,Creator"
# More than this RT gives of nothing.
PAGE_SIZE = 100
OK_OR_NOT_FOUND = frozenset({200, 404})
OK_FORBIDDEN_OR_NOT_FOUND = frozenset({200, 403, 404})
DELETED = "deleted"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeletionEvents:
    """Some transactions, by the ticket that they took out; `last` is where the next page begins."""

    by_ticket: Mapping[str, Row]
    served_at: datetime
    last: str | None


class DeletedTickets:
    """The deleted and merged tickets of one account."""

    def __init__(
        self, connection: Connection, reader: TicketReader, settle_delay: timedelta
    ) -> None:
        self._api = connection.api
        self._concurrency = connection.concurrency
        self._retry = connection.retry
        self._reader = reader
        self._settle_delay = settle_delay

    def pages(self, query: str, until: datetime | None) -> Iterator[Page]:
        """Every ticket that the transactions of `query` took out, unless it is back. There is at
        least one page; its `until` is as of the first answer, or the one that is given."""
        covered_until: datetime | None = None
        last: str | None = "0"
        while last is not None:
            events = self._retry(partial(self._deletion_events, query, last))
            last = events.last
            now = events.served_at - self._settle_delay
            covered_until = covered_until or (min(now, until) if until else now)
            fetch_ticket = partial(self._deleted_ticket, events.by_ticket)
            found = fetch_details(
                map(DetailRequest, events.by_ticket), fetch_ticket, self._concurrency
            )
            yield Page(found.tickets, events.served_at, covered_until, bad=found.bad)

    def stubs(self, query: str) -> Iterator[Page]:
        """The same tickets, by what the transactions alone say of them. There is at least one page.

        A deleted ticket may have changed since; when, is not asked for.
        """
        last: str | None = "0"
        while last is not None:
            events = self._retry(partial(self._deletion_events, query, last))
            last = events.last
            seen = tuple(_stub_of(*each) for each in events.by_ticket.items())
            yield Page(seen, events.served_at, events.served_at - self._settle_delay)

    def by_id(self, ticket_id: str, query: str) -> Ticket | BadTicket | None:
        """A ticket that no search has found; `query` finds the transactions that merged it."""
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
            return None  # it is back, and the search tells of it
        ticket = self._reader.ticket(_as_listed(body), ticket_id)
        if isinstance(ticket, BadTicket) or deletion_event.get("NewValue") != DELETED:
            return ticket
        return replace(ticket, deleted_time=_time_of(deletion_event) or ticket.deleted_time)

    def _merged_tombstone(
        self, ticket_id: str, merged_into: Row, deletion_event: Row
    ) -> Ticket | None:
        """A ticket that is part of another one now."""
        at = _time_of(deletion_event) or _time_of(merged_into, "LastUpdated")
        if at is None:
            return None
        content = dict(deletion_event) or {"EffectiveId": merged_into.get("id")}
        return self._reader.tombstone(ticket_id, at, content)

    def _body(self, ticket_id: str) -> Row | None:
        # The same beside as in lists, see the adapter.
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
                "The API user may not search transactions (%d), so deleted and merged tickets stay "
                "as they were.",
                reply.status,
            )
            return DeletionEvents({}, reply.served_at, None)
        return _parse_events(reply)


def _parse_events(reply: Reply) -> DeletionEvents:
    """
    Raises:
        EndpointFailed: a transaction is none that was asked for.
    """
    # RT counts transactions for superusers only, and without a count names no next page; but what
    # the user may not see is left out before a page is cut, so a short page is the last one.
    rows, _ = rows_and_token(reply.json(), TRANSACTIONS, "items", "next_page")
    by_ticket: dict[str, Row] = {}
    for row in rows:
        is_one = isinstance(row, dict) and (
            row.get("NewValue") == DELETED or row.get("Field") == "MergedInto"
        )
        if not is_one or not all(str(row.get(key)).isdecimal() for key in ("id", "ObjectId")):
            raise EndpointFailed(
                f"GET {TRANSACTIONS} gives other transactions than it was asked for. The adapter "
                "needs Request Tracker 5 or newer; check HELPDESK_PROVIDER."
            )
        ticket_id = str(row.get("ObjectId"))
        if not str(row.get("NewValue")).endswith(f"/ticket/{ticket_id}"):
            by_ticket[ticket_id] = row
    last = str(rows[-1]["id"]) if len(rows) >= PAGE_SIZE else None
    return DeletionEvents(by_ticket, reply.served_at, last)


def _stub_of(ticket_id: str, deletion_event: Row) -> Ticket:
    """
    Raises:
        EndpointFailed: when it went cannot be read.
    """
    at = _time_of(deletion_event)
    if at is None:
        raise _unreadable_time(deletion_event, "Created")
    return ticket_stub(ticket_id, at, deleted_time=at)


def _time_of(row: Row, field: str = "Created") -> datetime | None:
    """
    Raises:
        EndpointFailed: it has one that cannot be read.
    """
    try:
        return parse_iso_time(row.get(field))
    except (ValueError, OverflowError):
        raise _unreadable_time(row, field) from None


def _unreadable_time(row: Row, field: str) -> EndpointFailed:
    return EndpointFailed(
        f"{field} of {ascii(row.get('id'))[:40]} is no time that can be read: "
        f"{ascii(row.get(field))[:40]}. Check HELPDESK_PROVIDER."
    )


def _as_listed(body: Row) -> dict[str, Any]:
    """A single ticket in the form that lists have: its id as text, empty custom fields as an empty
    text, and no links to actions."""
    row = {key: value for key, value in body.items() if key != "_hyperlinks"}
    row["id"] = str(body.get("id"))
    row["CustomFields"] = body.get("CustomFields") or ""
    return row
