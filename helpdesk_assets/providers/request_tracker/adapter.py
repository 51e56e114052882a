"""The adapter `request_tracker`: REST 2 of Request Tracker 5.

    GET /REST/2.0/tickets?query=LastUpdated >= '...' AND LastUpdated <= '...'&orderby=LastUpdated
    GET /REST/2.0/transactions?query=ObjectType = 'RT::Ticket' AND ...
    GET /REST/2.0/ticket/{id}

What is peculiar to it:

* Times in a query are read in the API user's zone (`request_tracker_account`, `local_times`), and
  of the form with a T only the day is heeded. Times in answers are UTC.
* Pages have numbers and no tokens, and there is a next page only where RT counts the rows for the
  user; of transactions it does so for a superuser alone, so they are paged by id.
* Deleted and merged tickets are in no search. The transactions that took them out are, and tell
  which to fetch by id: a deleted ticket comes whole, a merged one's id answers with the ticket that
  it went into, and nothing is left of it but the notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed, SettingsError, WindowTooDense
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.errors import TransientError
from helpdesk_assets.providers.paging.by_token import ListPage, rows_and_token
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import FieldMap
from helpdesk_assets.providers.request_tracker import search as sql
from helpdesk_assets.providers.request_tracker.account import (
    API_PATH,
    TICKETS,
    RequestTrackerAccount,
    describe_settings,
    make_auth,
    page_size,
)
from helpdesk_assets.providers.request_tracker.deletions import DELETED, DeletedTickets
from helpdesk_assets.settings import Settings

__all__ = ["RequestTrackerAdapter", "describe_settings", "from_settings"]

TICK = timedelta(seconds=1)
# LastUpdated is set when a change begins, and the change can be seen once it is committed: RT runs
# scrips and sends mails in between.
COMMIT_DELAY = timedelta(minutes=1)
# Without this list a row is an id and nothing else.
TICKET_FIELDS = (
    "Subject,Status,Priority,InitialPriority,FinalPriority,Type,SLA,"
    "Queue,Owner,Requestor,Cc,AdminCc,Creator,LastUpdatedBy,"
    "Created,LastUpdated,Started,Starts,Due,Resolved,Told,"
    "TimeEstimated,TimeWorked,TimeLeft,CustomFields,CustomRoles"
)
NOBODY = "Nobody"


def _owner(value: Any) -> str | None:
    """The login name; a ticket without an owner belongs to the user Nobody."""
    name = value.get("id") if isinstance(value, dict) else None
    return name if isinstance(name, str) and name != NOBODY else None


def _deleted_at(row: Mapping[str, Any]) -> Any:
    """The last update of a deleted ticket: it was deleted then or before."""
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
    """One account."""

    def __init__(
        self,
        connection: Connection,
        account: RequestTrackerAccount,
        *,
        page_size: int,
        result_cap: int | None,
        skip_bad: bool,
    ) -> None:
        self._account = account
        capabilities = Capabilities(
            name="request_tracker",
            page_size=page_size,
            time_resolution=TICK,
            result_cap=result_cap,
            # The second that the Date header names is not over yet.
            settle_delay=TICK,
            list_rows_are_complete=True,
            # It goes by ids, and they never change.
            listing_is_stable=True,
            minimum_overlap=COMMIT_DELAY,
            listing_is_independent=False,
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
        """See `Helpdesk.changes`. What has gone is read first and each time anew, so the window
        ends when that began: what goes while the rest is read is the next window's."""
        covered_until = until
        for page in self._deleted_pages(since, until):
            covered_until = page.until
            yield page
        for page in self._pager(self._search_page).pages(since, until, resume):
            yield replace(page, until=min(page.until, covered_until or page.until))

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`. By ascending id, each page from behind the last id seen."""
        covered_until: datetime | None = None
        for page in self._deleted_pages(None, None):
            covered_until = page.until
            yield page
        for answer in self._by_id(TICKET_FIELDS):
            read = self._reader.page(answer.rows)
            yield Page(
                read.tickets, answer.served_at, covered_until or answer.served_at, bad=read.bad
            )

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`. By ascending id with one field beside it, then the transactions
        that took tickets out: last, so that a ticket deleted meanwhile is in one of them."""
        total: int | None = None
        for answer in self._by_id("LastUpdated"):
            total = answer.total if total is None else total
            read = self._stub_reader.page(answer.rows)
            page = Page(read.tickets, answer.served_at, answer.served_at, bad=read.bad)
            yield to_inventory_page(page, total)
        # All there are, so no time is written and no zone is needed for it.
        for page in self._deletions.stubs(sql.deletions(None, None, sql.UTC_ZONE)):
            yield to_inventory_page(page, total)

    def _by_id(self, fields: str) -> Iterator[ListPage[Any]]:
        """Every ticket, and of the first page how many there are."""
        last: str | None = "0"
        while last is not None:
            answer = self._retry(partial(self._search, f"id > {last}", ["id"], fields=fields))
            yield answer
            before, last = last, _last_id(answer.rows) if answer.next_token else None
            if last == before:
                raise EndpointFailed(
                    f"GET {TICKETS} gives the same page again, so the list has no end. Try again "
                    "later."
                )

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        """A search of one: a single ticket comes in another form, which would be stored as other
        content of the same version."""
        if not (ticket_id.isascii() and ticket_id.isdecimal()):
            return None
        answer = self._search(f"id = {ticket_id}", ["id"])
        if answer.rows:
            return self._reader.ticket(answer.rows[0], ticket_id)
        return self._deletions.by_id(ticket_id, sql.merges_of(ticket_id))

    def _deleted_pages(self, since: datetime | None, until: datetime | None) -> Iterator[Page]:
        return self._deletions.pages(sql.deletions(since, until, self._account.zone), until)

    def _search_page(self, start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
        """One page of a window. Around a change of the clocks more comes than was asked for."""
        cap, size = self._capabilities.result_cap, self._capabilities.page_size
        if cap and token and (int(token) - 1) * size >= cap:
            raise WindowTooDense(
                f"More than {cap} tickets were last updated at {start.isoformat()}, and "
                "HELPDESK_RESULT_CAP lets no query reach further. Raise it, or set it to 0."
            )
        query = sql.updated(start, end, self._account.zone)
        answer = self._retry(partial(self._search, query, ["LastUpdated", "id"], token))
        read = self._reader.page(answer.rows)
        in_window = tuple(row for row in read.tickets if start <= row.modified_time <= end)
        reached_end = any(row.modified_time > end for row in read.tickets)
        return ListPage(
            in_window, read.bad, None if reached_end else answer.next_token, answer.served_at
        )

    def _search(
        self,
        query: str,
        order: Sequence[str],
        number: str | None = None,
        *,
        fields: str = TICKET_FIELDS,
    ) -> ListPage[Any]:
        """One page. With equal times the id decides, or they would come in any order."""
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
            # The name beside the number; empty where the user may not see the queue.
            params["fields[Queue]"] = "Name"
        reply = self._api.get(TICKETS, params)
        body = reply.json()
        rows, next_page = rows_and_token(body, TICKETS, "items", "next_page")
        if not isinstance(body.get("total"), int):
            raise EndpointFailed(
                f"RT does not tell how many rows GET {TICKETS} has, so their end cannot be known: "
                "it hides some of them after the search. Give the API user the right ShowTicket "
                "for all queues, or turn UseSQLForACLChecks on in RT's configuration."
            )
        size = body.get("per_page")
        if isinstance(size, int) and len(rows) < min(
            size, body["total"] - (int(number) - 1) * size
        ):
            raise TransientError(
                f"GET {TICKETS} gave {len(rows)} rows of page {number}, fewer than RT counts. Try "
                "again later."
            )
        # The address that RT gives of it is made from its configuration, and may lead elsewhere.
        token = str(int(number) + 1) if next_page else None
        return ListPage(tuple(rows), (), token, reply.served_at, body["total"])


def from_settings(settings: Settings, runtime: Runtime | None = None) -> RequestTrackerAdapter:
    """The account that the settings name.

    Raises:
        SettingsError: address or token cannot be ones.
    """
    if settings.helpdesk_base_url.endswith(API_PATH):
        raise SettingsError(f"HELPDESK_BASE_URL ends with {API_PATH}. Leave that out.")
    connection = connect(settings, make_auth(settings), base_path=API_PATH, runtime=runtime)
    return RequestTrackerAdapter(
        connection,
        RequestTrackerAccount(settings, connection),
        page_size=page_size(settings),
        result_cap=settings.helpdesk_result_cap or None,
        skip_bad=settings.helpdesk_skip_bad_tickets,
    )


def _last_id(rows: Sequence[Any]) -> str:
    """
    Raises:
        EndpointFailed: the last row has none, so what follows cannot be asked for.
    """
    last = str(rows[-1].get("id")) if rows and isinstance(rows[-1], dict) else ""
    if not last.isdecimal():
        raise EndpointFailed(
            f"The last row of a page of GET {TICKETS} has no id, so what follows it cannot be "
            "asked for. Try again later."
        )
    return last
