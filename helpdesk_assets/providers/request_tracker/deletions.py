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
from helpdesk_assets.providers.paging.details import Wanted, fetch_details
from helpdesk_assets.providers.parsing.stubs import sighting
from helpdesk_assets.providers.parsing.tickets import TicketReader, iso_time

log = logging.getLogger(__name__)

TRANSACTIONS = "/transactions"
NOTICE_FIELDS = "ObjectType,ObjectId,Type,Field,OldValue,NewValue,Created,Creator"
# More than this RT gives of nothing.
MOST_ROWS = 100
FOUND_OR_NOT = frozenset({200, 404})
READABLE_OR_NOT = frozenset({200, 403, 404})
DELETED = "deleted"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notices:
    """Some transactions, by the ticket that they took out; `last` is where the next page begins."""

    by_ticket: Mapping[str, Row]
    served_at: datetime
    last: str | None


class GoneTickets:
    """The deleted and merged tickets of one account."""

    def __init__(self, connection: Connection, reader: TicketReader, held_back: timedelta) -> None:
        self._api = connection.api
        self._at_once = connection.at_once
        self._retry = connection.retry
        self._reader = reader
        self._held_back = held_back

    def pages(self, query: str, until: datetime | None) -> Iterator[Page]:
        """Every ticket that the transactions of `query` took out, unless it is back. There is at
        least one page; its `until` is as of the first answer, or the one that is given."""
        reach: datetime | None = None
        last: str | None = "0"
        while last is not None:
            notices = self._retry(partial(self._notices, query, last))
            last = notices.last
            now = notices.served_at - self._held_back
            reach = reach or (min(now, until) if until else now)
            left = partial(self._left, notices.by_ticket)
            found = fetch_details(map(Wanted, notices.by_ticket), left, self._at_once)
            yield Page(found.tickets, notices.served_at, reach, bad=found.bad)

    def sightings(self, query: str) -> Iterator[Page]:
        """The same tickets, by what the transactions alone say of them. There is at least one page.

        A deleted ticket may have changed since; when, is not asked for.
        """
        last: str | None = "0"
        while last is not None:
            notices = self._retry(partial(self._notices, query, last))
            last = notices.last
            seen = tuple(_went(*each) for each in notices.by_ticket.items())
            yield Page(seen, notices.served_at, notices.served_at - self._held_back)

    def one(self, ticket_id: str, query: str) -> Ticket | BadTicket | None:
        """A ticket that no search has found; `query` finds the transactions that merged it."""
        body = self._retry(partial(self._body, ticket_id))
        if body is None:
            return None
        if str(body.get("id")) == ticket_id:
            return self._reader.ticket(_as_listed(body), ticket_id)
        notices = self._retry(partial(self._notices, query, "0")).by_ticket
        return self._merged(ticket_id, body, notices.get(ticket_id, {}))

    def _left(self, notices: Mapping[str, Row], ticket_id: str) -> Ticket | BadTicket | None:
        notice = notices[ticket_id]
        body = self._retry(partial(self._body, ticket_id))
        if body is None:
            return None
        if str(body.get("id")) != ticket_id:
            return self._merged(ticket_id, body, notice)
        if body.get("Status") != DELETED:
            return None  # it is back, and the search tells of it
        ticket = self._reader.ticket(_as_listed(body), ticket_id)
        if isinstance(ticket, BadTicket) or notice.get("NewValue") != DELETED:
            return ticket
        return replace(ticket, deleted_time=_time_of(notice) or ticket.deleted_time)

    def _merged(self, ticket_id: str, into: Row, notice: Row) -> Ticket | None:
        """A ticket that is part of another one now."""
        at = _time_of(notice) or _time_of(into, "LastUpdated")
        if at is None:
            return None
        said = dict(notice) or {"EffectiveId": into.get("id")}
        return self._reader.tombstone(ticket_id, at, said)

    def _body(self, ticket_id: str) -> Row | None:
        # The same beside as in lists, see the adapter.
        params = {"fields[Queue]": "Name"}
        reply = self._api.get(f"/ticket/{ticket_id}", params, accept=FOUND_OR_NOT)
        return None if reply.status == 404 else reply.json_object()

    def _notices(self, query: str, behind: str) -> Notices:
        params = {
            "query": f"{query} AND id > {behind}",
            "orderby": "id",
            "order": "ASC",
            "per_page": str(MOST_ROWS),
            "fields": NOTICE_FIELDS,
        }
        reply = self._api.get(TRANSACTIONS, params, accept=READABLE_OR_NOT)
        if reply.status != 200:
            log.warning(
                "The API user may not search transactions (%d), so deleted and merged tickets stay "
                "as they were.",
                reply.status,
            )
            return Notices({}, reply.served_at, None)
        return _read(reply)


def _read(reply: Reply) -> Notices:
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
    last = str(rows[-1]["id"]) if len(rows) >= MOST_ROWS else None
    return Notices(by_ticket, reply.served_at, last)


def _went(ticket_id: str, notice: Row) -> Ticket:
    """
    Raises:
        EndpointFailed: when it went cannot be read.
    """
    at = _time_of(notice)
    if at is None:
        raise _untimed(notice, "Created")
    return sighting(ticket_id, at, deleted_time=at)


def _time_of(row: Row, field: str = "Created") -> datetime | None:
    """
    Raises:
        EndpointFailed: it has one that cannot be read.
    """
    try:
        return iso_time(row.get(field))
    except (ValueError, OverflowError):
        raise _untimed(row, field) from None


def _untimed(row: Row, field: str) -> EndpointFailed:
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
