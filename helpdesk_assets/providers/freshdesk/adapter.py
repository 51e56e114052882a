"""The adapter `freshdesk`: Freshdesk's API v2, by the one list that it has.

    GET /api/v2/tickets?updated_since=TIME&order_by=updated_at&order_type=asc&per_page=100&page=N
    GET /api/v2/tickets?filter=deleted&updated_since=TIME&...      and filter=spam
    GET /api/v2/tickets/{id}

The list is both the change endpoint and the full listing. It must be told all of this each time:
without `updated_since` it goes back 30 days, without `order_type` it runs backwards. It has no
upper bound, so what lies behind a window's end is left out here; 300 pages are all that one query
gives, and a walk by time starts a new query at each page. Deleted tickets and spam are in lists of
their own, as whole tickets, in the same order and with the same bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from requests.utils import parse_header_links

from helpdesk_assets.errors import EndpointFailed, WindowTooDense
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket, utc
from helpdesk_assets.providers.adapter import ConnectedHelpdesk
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, World, connect
from helpdesk_assets.providers.freshdesk.account import (
    LISTS,
    Extent,
    PageRefused,
    explain,
    extent,
    login,
    looks,
    read_left,
)
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.paging.by_token import Answer
from helpdesk_assets.providers.parsing.stubs import as_inventory
from helpdesk_assets.providers.parsing.tickets import Shape, TicketReader, word
from helpdesk_assets.settings import Settings

__all__ = ["FreshdeskHelpdesk", "from_settings", "looks"]

TICKETS = "/tickets"
TICK = timedelta(seconds=1)
# Before any ticket there can be. Left out, it would mean the last 30 days.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# What has left the ordinary list, by the filter that shows it.
GONE = ("deleted", "spam")
FOUND_OR_NOT = frozenset({200, 404})

STATUSES = {2: "Open", 3: "Pending", 4: "Resolved", 5: "Closed"}
PRIORITIES = {1: "Low", 2: "Medium", 3: "High", 4: "Urgent"}


def named(names: Mapping[int, str]) -> Callable[[Any], str | None]:
    """A number as its word; one without a word, such as a status of the account's own, as text."""
    return lambda value: names.get(value) if type(value) is int and value in names else word(value)


def deleted_at(row: Mapping[str, Any]) -> Any:
    """Freshdesk does not tell when a ticket was deleted or marked as spam. It was its last change,
    unless something was done to it in the trash."""
    return row.get("updated_at") if row.get("deleted") or row.get("spam") else None


SHAPE = Shape(
    assignee="responder_id",
    created="created_at",
    modified="updated_at",
    words={"status": named(STATUSES), "priority": named(PRIORITIES)},
    deleted_at=deleted_at,
)


@dataclass(frozen=True, slots=True)
class _List:
    """One of Freshdesk's lists: the filter that shows it, None for the ordinary one; what is to be
    embedded in its rows; and who reads them."""

    kind: str | None
    include: tuple[str, ...]
    reader: TicketReader


class FreshdeskHelpdesk(ConnectedHelpdesk):
    """One account, as the agent sees it whose key is used."""

    def __init__(self, connection: Connection, extent: Extent, *, skip_bad: bool) -> None:
        self._extent = extent
        self._bound_is_inclusive = False
        capabilities = Capabilities(
            name="freshdesk",
            page_size=extent.page_size,
            time_resolution=TICK,
            result_cap=extent.rows,
            # The second that the Date header names is not over yet: more may change within it.
            held_back=TICK,
            lists_are_whole=not extent.details,
            listing_is_stable=True,
            minimum_overlap=timedelta(0),
            listing_is_another_way=False,
        )
        super().__init__(connection, capabilities, SHAPE, skip_bad=skip_bad)

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - this API has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`. Failed calls are retried, since the listing is the same endpoint.

        What is gone is read first, also when an interrupted reading goes on: what is deleted while
        the rest is read is then the next window's, as `until` is the first reading's.
        """
        reach: datetime | None = None
        for kind in (*GONE, None):
            walk = self._walk(partial(self._fetch, self._whole(kind)))
            for page in walk.pages(since, until, None if kind else resume):
                reach = page.until if reach is None else min(reach, page.until)
                if kind:
                    yield replace(page, until=reach, resume=None, share=None)
                else:
                    yield replace(self._made_whole(page), until=reach)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`: the same list from the beginning, gone tickets included."""
        return self.changes(None)

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`. The same lists with nothing embedded in them, which would cost
        extra; what is gone comes last, so that a ticket deleted meanwhile is in one of them."""
        for kind in (None, *GONE):
            fetch = partial(self._fetch, _List(kind, (), self._sightings))
            yield from map(as_inventory, self._sweep(fetch))

    def _whole(self, kind: str | None) -> _List:
        """A list as its tickets are stored. What is embedded in the rows costs extra, and nothing
        is where each ticket is fetched by its id. A gone one may not be found by its id any more,
        so its row has to do."""
        include = self._extent.include
        if self._extent.details:
            include = () if kind is None else tuple(dict.fromkeys(("description", *include)))
        return _List(kind, include, self._reader)

    def _fetch(
        self, of: _List, start: datetime, end: datetime, token: str | None
    ) -> Answer[Ticket]:
        """One page of `[start, end]` of one list. A token is a page's number and the bound of the
        query that it belongs to.

        A full page is never taken for the last one: nobody says what the 300th has in place of a
        link to the next, and asking once too often costs one call. Nor is one with such a link.

        Raises:
            WindowTooDense: that page is behind the last one that Freshdesk gives.
        """
        number, _, bound = (token or f"1 {self._bound(start)}").partition(" ")
        page = int(number)
        if page > self._extent.pages:
            raise self._too_dense(start, page)
        try:
            answer = self._retry(partial(self._listed, of, bound, page))
        except PageRefused:
            raise self._too_dense(start, page) from None
        asked = datetime.fromisoformat(bound)
        if any(row.modified_time == asked for row in answer.rows):
            self._bound_is_inclusive = True
        # What is older than was asked for stays, and is found out as such by the walk.
        rows = [row for row in answer.rows if not asked <= row.modified_time < start]
        inside = tuple(row for row in rows if row.modified_time <= end)
        is_over = answer.next_token is None or len(inside) < len(rows)
        return replace(
            answer, rows=inside, next_token=None if is_over else f"{answer.next_token} {bound}"
        )

    def _bound(self, start: datetime) -> str:
        """The `updated_since` that gives all from `start` on.

        Whether it is inclusive is not documented. So it is a second earlier, until a row dated like
        the bound has shown that it is: then a second with thousands of changes need not be read
        once more to get past it.
        """
        earlier = start if self._bound_is_inclusive else start - TICK
        moment = utc(max(floor(earlier, TICK), BEGINNING))
        return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"

    def _listed(self, of: _List, bound: str, page: int) -> Answer[Ticket]:
        """One page as it came; what a filter shows is gone, whatever the rows say."""
        reply = self._api.get(TICKETS, self._params(of, bound, page), lane=LISTS)
        rows = reply.json()
        if not isinstance(rows, list):
            raise EndpointFailed(
                f"The answer to GET {TICKETS} is no list of tickets. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        links = parse_header_links(reply.headers.get("Link", ""))
        is_linked = any(link.get("rel") == "next" for link in links)
        goes_on = is_linked or len(rows) >= self._extent.page_size
        read = of.reader.page(rows)
        tickets = read.tickets
        if of.kind is not None:
            tickets = tuple(replace(row, deleted_time=row.modified_time) for row in tickets)
        return Answer(tickets, read.bad, str(page + 1) if goes_on else None, reply.served_at)

    def _params(self, of: _List, bound: str, page: int) -> Mapping[str, str]:
        return {
            "updated_since": bound,
            "order_by": "updated_at",
            "order_type": "asc",
            "per_page": str(self._extent.page_size),
            "page": str(page),
            **({} if of.kind is None else {"filter": of.kind}),
            **({"include": ",".join(of.include)} if of.include else {}),
        }

    def _one(self, ticket_id: str) -> Ticket | BadTicket | None:
        """The description is always there, so it is nothing to be included."""
        path = f"{TICKETS}/{quote(ticket_id, safe='')}"
        include = ",".join(name for name in self._extent.include if name != "description")
        params = {"include": include} if include else None
        reply = self._api.get(path, params, accept=FOUND_OR_NOT)
        if reply.status == 404:
            return None
        return self._reader.asked_for(ticket_id, reply.json(), path)

    def _too_dense(self, start: datetime, page: int) -> WindowTooDense:
        reached = (page - 1) * self._extent.page_size
        return WindowTooDense(
            f"At least {reached} tickets were modified within one second, at {start.isoformat()}, "
            "and Freshdesk gives no more in one query. Change some of them again there (a bulk "
            "action on a part of them), which moves these to another second; then run again."
        )


def from_settings(settings: Settings, world: World | None = None) -> FreshdeskHelpdesk:
    """The account that the settings name.

    Raises:
        SettingsError: a setting cannot be what Freshdesk takes.
    """
    connection = connect(
        settings,
        login(settings),
        base_path="/api/v2",
        per_minute={LISTS: settings.freshdesk_lists_per_minute},
        read_left=read_left,
        explain=explain,
        world=world,
    )
    return FreshdeskHelpdesk(
        connection, extent(settings), skip_bad=settings.helpdesk_skip_bad_tickets
    )
