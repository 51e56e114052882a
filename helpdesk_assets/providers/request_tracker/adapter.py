"""The adapter `request_tracker`: REST 2 of Request Tracker 5.

    GET /REST/2.0/tickets?query=LastUpdated >= '...' AND LastUpdated <= '...'&orderby=LastUpdated
    GET /REST/2.0/transactions?query=ObjectType = 'RT::Ticket' AND ...
    GET /REST/2.0/ticket/{id}

Peculiarities:

* RT reads times in a query in the API user's zone (`account`, `local_times`), and of the form with
  a T only the day. Times in answers are UTC.
* Pages have numbers, not tokens, and RT names a next page only if it counts the rows for the user.
  It counts transactions only for superusers, so they are paged by id.
* No search finds deleted and merged tickets. The transactions that removed them can be searched,
  and name the tickets to fetch by id: a deleted ticket is complete; a merged one's id returns the
  ticket that it was merged into, and only the transaction is left of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed, WindowTooDense
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.errors import TransientError
from helpdesk_assets.providers.paging.by_token import ListPage, rows_and_token
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.request_tracker import search as sql
from helpdesk_assets.providers.request_tracker.account import (
    API_PATH,
    TICKETS,
    RequestTrackerAccount,
    describe_settings,
    error_parser,
    make_auth,
    page_size,
)
from helpdesk_assets.providers.request_tracker.deletions import DELETED, DeletedTickets
from helpdesk_assets.settings import Settings

__all__ = ["RequestTrackerAdapter", "describe_settings", "from_settings"]

MAPPING_VERSION = 1  # see `Capabilities.mapping_version`
TICK = timedelta(seconds=1)
# RT sets LastUpdated when a change begins, and the change is visible once it is committed: in
# between, RT runs scrips and sends mails.
COMMIT_DELAY = timedelta(minutes=1)
# Without this list a row holds only an id.
TICKET_FIELDS = (
    "Subject,Status,Priority,InitialPriority,FinalPriority,Type,SLA,"
    "Queue,Owner,Requestor,Cc,AdminCc,Creator,LastUpdatedBy,"
    "Created,LastUpdated,Started,Starts,Due,Resolved,Told,"
    "TimeEstimated,TimeWorked,TimeLeft,CustomFields,CustomRoles"
)
NOBODY = "Nobody"


def _owner(value: Any) -> str | None:
    """Read the owner's login name; a ticket without an owner belongs to the user Nobody."""
    name = value.get("id") if isinstance(value, dict) else None
    return name if isinstance(name, str) and name != NOBODY else None


def _deleted_at(row: Mapping[str, Any]) -> Any:
    """Return the last update of a deleted ticket, which is the deletion or a later change."""
    return row.get("LastUpdated") if row.get("Status") == DELETED else None


FIELD_MAP = FieldMap(
    subject="Subject",
    status="Status",
    priority="Priority",
    created="Created",
    modified="LastUpdated",
    text_parsers={"assignee": _owner},
    assignee="Owner",
    deleted_at=_deleted_at,
)


class RequestTrackerAdapter(BaseAdapter):
    """One API user's view of Request Tracker."""

    def __init__(
        self,
        connection: Connection,
        account: RequestTrackerAccount,
        *,
        page_size: int,
        result_cap: int | None,
        skip_bad: bool,
    ) -> None:
        """Set up the adapter.

        Args:
            connection: the account's API and policies.
            account: the API user, whose time zone searches need.
            page_size: rows requested per page.
            result_cap: the most rows of one query, None if unlimited.
            skip_bad: report unreadable tickets in `Page.bad` instead of raising.
        """
        self._account = account
        capabilities = Capabilities(
            name="request_tracker",
            page_size=page_size,
            time_resolution=TICK,
            result_cap=result_cap,
            # The second of the Date header is not over yet: more may change within it.
            settle_delay=TICK,
            list_rows_are_complete=True,
            # It is sorted by ids, which never change.
            listing_is_stable=True,
            minimum_overlap=COMMIT_DELAY,
            listing_is_independent=False,
            mapping_version=MAPPING_VERSION,
        )
        super().__init__(connection, capabilities, FIELD_MAP, skip_bad=skip_bad)
        self._deletions = DeletedTickets(connection, self._reader, settle_delay=TICK)

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - RT has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`.

        Deleted and merged tickets are read first, also by a resumed call. `until` is the time of
        that read, so a ticket deleted during the rest belongs to the next window.
        """
        covered_until = until
        for page in self._deleted_pages(since, until):
            covered_until = page.until
            yield page
        for page in self._pager(self._search_page).pages(since, until, resume):
            yield replace(page, until=min(page.until, covered_until or page.until))

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`; it pages by ascending id, each page after the last id seen."""
        covered_until: datetime | None = None
        for page in self._deleted_pages(None, None):
            covered_until = page.until
            yield page
        for answer in self._by_id(TICKET_FIELDS):
            parsed = self._reader.page(answer.rows)
            yield Page(
                parsed.tickets, answer.served_at, covered_until or answer.served_at, bad=parsed.bad
            )

    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`.

        It pages by ascending id with one other field. The transactions that removed tickets come
        last, so that a ticket deleted meanwhile is in one of them.
        """
        total: int | None = None
        for answer in self._by_id("LastUpdated", sql.last_id(resume)):
            total = answer.total if total is None and resume is None else total
            parsed, at = self._stub_reader.page(answer.rows), answer.served_at
            last = _last_id(answer.rows) if answer.next_token else None
            yield to_inventory_page(Page(parsed.tickets, at, at, None, parsed.bad, last), total)
        # Without time bounds, so the user's zone is not needed.
        for page in self._deletions.stubs(sql.deletions(None, None, sql.UTC_ZONE)):
            yield to_inventory_page(page, total)

    def _by_id(self, fields: str, last: str | None = "0") -> Iterator[ListPage[Any]]:
        """Yield tickets by ascending id after `last`; the first `total` is their number."""
        while last is not None:
            answer = self._retry(partial(self._search, f"id > {last}", ["id"], fields=fields))
            yield answer
            before, last = last, _last_id(answer.rows) if answer.next_token else None
            if last == before:
                raise EndpointFailed(
                    f"GET {TICKETS} returned the same page again, so the list would never end. Try "
                    "again later."
                )

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        """Search for one ticket.

        A request by id returns another form, which would be stored as different content of the same
        version.
        """
        if not (ticket_id.isascii() and ticket_id.isdecimal()):
            return None
        answer = self._search(f"id = {ticket_id}", ["id"])
        if answer.rows:
            return self._reader.ticket(answer.rows[0], ticket_id)
        return self._deletions.by_id(ticket_id, sql.merges_of(ticket_id))

    def _deleted_pages(self, since: datetime | None, until: datetime | None) -> Iterator[Page]:
        return self._deletions.pages(sql.deletions(since, until, self._account.zone), until)

    def _search_page(self, start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        """Fetch one page of a window; around a change of the clocks, RT returns rows outside it."""
        cap, size = self._capabilities.result_cap, self._capabilities.page_size
        if cap and token and (int(token) - 1) * size >= cap:
            raise WindowTooDense(
                f"More than {cap} tickets were last updated at {start.isoformat()}, and "
                "HELPDESK_RESULT_CAP allows no more in one query. Raise it, or set it to 0."
            )
        query = sql.updated(start, end, self._account.zone)
        answer = self._retry(partial(self._search, query, ["LastUpdated", "id"], token))
        parsed = self._reader.page(answer.rows)
        in_window = tuple(row for row in parsed.tickets if start <= row.modified_time <= end)
        reached_end = any(row.modified_time > end for row in parsed.tickets)
        return ListPage(
            in_window, parsed.bad, None if reached_end else answer.next_token, answer.served_at
        )

    def _search(
        self,
        query: str,
        order: Sequence[str],
        number: str | None = None,
        *,
        fields: str = TICKET_FIELDS,
    ) -> ListPage[Any]:
        """Fetch one page.

        Args:
            query: TicketSQL.
            order: the fields to sort by, ascending. Equal times need the id as a second field, or
                their order is undefined.
            number: the page's number, None for the first.
            fields: the fields of each row.
        """
        number = number or "1"
        params = {
            "query": query,
            "orderby": order,
            "order": ["ASC"] * len(order),
            "per_page": str(self._capabilities.page_size),
            "page": number,
            "fields": fields,
        }
        if fields == TICKET_FIELDS:
            # Adds the queue's name to its number; empty if the user may not see the queue.
            params["fields[Queue]"] = "Name"
        reply = self._api.get(TICKETS, params)
        body = reply.json()
        rows, next_page = rows_and_token(body, TICKETS, "items", "next_page")
        if not isinstance(body.get("total"), int):
            raise EndpointFailed(
                f"RT does not report how many rows GET {TICKETS} has, so the last page cannot be "
                "recognised: it hides some rows after the search. Give the API user the right "
                "ShowTicket for all queues, or turn UseSQLForACLChecks on in RT's configuration."
            )
        size = body.get("per_page")
        if isinstance(size, int) and len(rows) < min(
            size, body["total"] - (int(number) - 1) * size
        ):
            raise TransientError(
                f"GET {TICKETS} returned {len(rows)} rows on page {number}, fewer than RT counts. "
                "Try again later."
            )
        # RT builds the next page's address from its configuration, so it may point elsewhere.
        token = str(int(number) + 1) if next_page else None
        return ListPage(tuple(rows), (), token, reply.served_at, body["total"])


def from_settings(settings: Settings, runtime: Runtime | None = None) -> RequestTrackerAdapter:
    """Create the adapter for the account that the settings name.

    Raises:
        SettingsError: the address or the token is invalid.
    """
    auth, parser = make_auth(settings), error_parser(settings)
    connection = connect(settings, auth, base_path=API_PATH, parse_error=parser, runtime=runtime)
    return RequestTrackerAdapter(
        connection,
        RequestTrackerAccount(settings, connection),
        page_size=page_size(settings),
        result_cap=settings.helpdesk_result_cap or None,
        skip_bad=settings.helpdesk_skip_bad_tickets,
    )


def _last_id(rows: Sequence[Any]) -> str:
    """Return the id of a page's last row.

    Raises:
        EndpointFailed: the last row has no id, so the next page cannot be requested.
    """
    last = str(rows[-1].get("id")) if rows and isinstance(rows[-1], dict) else ""
    if not last.isdecimal():
        raise EndpointFailed(
            f"The last row of a page of GET {TICKETS} has no id, so the next page cannot be "
            "requested. Try again later."
        )
    return last
