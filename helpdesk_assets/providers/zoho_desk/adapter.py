"""The adapter `zoho_desk`: Zoho Desk's API v1, by its search.

    GET /api/v1/tickets/search?modifiedTimeRange=FROM,TO&sortBy=modifiedTime&limit=100&from=0
    GET /api/v1/tickets/search?createdTimeRange=FROM,TO&sortBy=createdTime&...   the full listing
    GET /api/v1/tickets/{id}?include=contacts,departments,assignee
    GET /api/v1/recycleBin                                                      (zoho_recycle_bin)

The list of tickets tells no modified time, so the listing is a search as well, over the time of
creation, which never changes. Both ascend and are walked by time; 5,000 rows are all that one query
gives, and a walk starts a new query at each page. The search is an index beside the store: how far
it lags is not documented, so each window reaches back by minutes. An empty answer has no body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from helpdesk_assets.errors import EndpointFailed, WindowTooDense
from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket
from helpdesk_assets.providers.adapter import ConnectedHelpdesk
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Connection, World, connect
from helpdesk_assets.providers.client.token_cache import TokenCache
from helpdesk_assets.providers.client.usage import Meter
from helpdesk_assets.providers.paging.by_time import EPOCH, FetchPage, TimeWalk
from helpdesk_assets.providers.paging.by_token import Answer, rows_and_token
from helpdesk_assets.providers.parsing.stubs import as_inventory
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.zoho_desk.account import (
    Extent,
    at_once,
    cache_folder,
    client,
    explain,
    extent,
    looks,
    org_id,
    read_left,
)
from helpdesk_assets.providers.zoho_desk.oauth import ZohoLogin
from helpdesk_assets.providers.zoho_desk.recycle_bin import RecycleBin
from helpdesk_assets.providers.zoho_desk.tickets import CREATED, MODIFIED, SHAPE, By
from helpdesk_assets.settings import Settings

__all__ = ["ZohoDeskHelpdesk", "from_settings", "looks"]

TICKETS = "/tickets"
SEARCH = "/tickets/search"
TICK = timedelta(milliseconds=1)
# How far the search index lags is not documented; minutes would be long for one.
OVERLAP = timedelta(minutes=5)
# Later than any ticket dated by mistake, and a year that a parser of dates still takes.
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
# What a search embeds, by the names by which a single ticket has to be asked for it.
INCLUDE = "contacts,departments,assignee"

FOUND_OR_NONE = frozenset({200, 204})
BEYOND_THE_CAP = 422
FOUND_OR_NOT = frozenset({200, 404})
# The bin tells also of what is in departments that the agent may not see.
READABLE_OR_NOT = frozenset({200, 403, 404})


class ZohoDeskHelpdesk(ConnectedHelpdesk):
    """One portal, as the agent sees it who made the refresh token."""

    def __init__(
        self, connection: Connection, login: ZohoLogin, extent: Extent, *, skip_bad: bool
    ) -> None:
        self._login = login
        self._extent = extent
        self._starts_are_inclusive = False
        capabilities = Capabilities(
            name="zoho_desk",
            page_size=extent.page_size,
            time_resolution=TICK,
            result_cap=extent.cap,
            # The tick that the Date header names is not over yet: more may change within it.
            held_back=TICK,
            lists_are_whole=not extent.details,
            listing_is_stable=True,
            minimum_overlap=OVERLAP,
        )
        super().__init__(connection, capabilities, SHAPE, skip_bad=skip_bad)
        self._bin = RecycleBin(connection, self._reader, held_back=TICK, fetch=self._of_the_bin)

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - this API has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`. Failed calls are retried, since the listing is the same search in
        another order.

        What is gone is read first, also when an interrupted reading goes on: what is deleted while
        the rest is read is then the next window's, as `until` is the bin's.
        """
        return self._read(MODIFIED, since, until, resume)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`. In its order no change moves a ticket, so it comes to an end also
        where the changes would not hold still."""
        for page in self._read(CREATED, None, None, None):
            # How far it has come is nothing that `changes` could go on from.
            yield replace(page, resume=None)

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`. The search in the listing's order, where a row costs as much
        as in any list of Zoho Desk's and has the modified time, then the bin: last, so that a
        ticket deleted meanwhile is in one of them."""
        total: int | None = None

        def fetch(start: datetime, end: datetime, token: str | None) -> Answer[Ticket]:
            nonlocal total
            answer = self._fetch(CREATED, self._sightings, start, end, token)
            # The first call is for all there is, and the only one meanwhile.
            total = answer.total if total is None else total
            return answer

        for page in self._walk_by(CREATED, fetch).pages(None, None):
            yield as_inventory(page, total)
        for page in self._bin.sightings() if self._extent.recycle_bin else ():
            yield as_inventory(page, total)

    def close(self) -> None:
        """See `Helpdesk.close`."""
        super().close()
        self._login.close()

    def _read(
        self, by: By, since: datetime | None, until: datetime | None, resume: str | None
    ) -> Iterator[Page]:
        reach = datetime.max.replace(tzinfo=UTC)
        for page in self._bin.pages(since, until) if self._extent.recycle_bin else ():
            reach = page.until
            # Few pages of the bin have a ticket of the window.
            if page.tickets or page.bad:
                yield page
        walk = self._walk_by(by, partial(self._fetch, by, self._reader))
        for page in walk.pages(since, until, resume):
            yield replace(self._made_whole(page), until=min(reach, page.until))

    def _walk_by(self, by: By, fetch: FetchPage) -> TimeWalk:
        return TimeWalk(
            fetch,
            tick=TICK,
            held_back=TICK,
            settled_after=self._settled_after,
            at_once=self._at_once,
            time_of=by.time_of,
        )

    def _fetch(
        self, by: By, reader: TicketReader, start: datetime, end: datetime, token: str | None
    ) -> Answer[Ticket]:
        """One page of `[start, end]`. A token is an offset and the start of its query.

        Whether a range is inclusive is not documented, so it is asked for with a tick more at both
        ends, until a row dated like the start has shown that it is: then a tick with thousands of
        tickets need not be read once more to get past it.

        Raises:
            WindowTooDense: the offset is behind the last one that Zoho Desk gives.
        """
        wider = start if self._starts_are_inclusive else max(start - TICK, EPOCH)
        offset, _, asked = (token or f"0 {wider.isoformat()}").partition(" ")
        low = datetime.fromisoformat(asked)
        found = None
        if int(offset) < self._extent.cap:
            high = min(end, LATEST) + TICK
            found = self._retry(partial(self._found, by, reader, low, high, int(offset)))
        if found is None:
            raise self._too_dense(by, start, int(offset))
        if not self._starts_are_inclusive and any(by.time_of(row) == low for row in found.rows):
            self._starts_are_inclusive = True
            if token is None and low < start:
                return self._fetch(by, reader, start, end, None)
        # What is older than was asked for stays, and is found out as such by the walk.
        rows = [row for row in found.rows if not low <= by.time_of(row) < start]
        inside = tuple(row for row in rows if by.time_of(row) <= end)
        is_over = found.next_token is None or len(inside) < len(rows)
        return replace(
            found, rows=inside, next_token=None if is_over else f"{found.next_token} {asked}"
        )

    def _found(
        self, by: By, reader: TicketReader, low: datetime, high: datetime, offset: int
    ) -> Answer[Ticket] | None:
        """One page as it came; None where Zoho Desk does not go so far.

        A full page is never taken for the last one, and a short one only where the count of all
        that was found agrees.
        """
        params = {
            f"{by.name}Range": f"{_text(low)},{_text(high)}",
            "sortBy": by.name,
            "limit": str(self._extent.page_size),
            "from": str(offset),
        }
        # An unknown parameter is a 422 too, on the first page as on every other.
        accept = FOUND_OR_NONE | ({BEYOND_THE_CAP} if offset else set())
        reply = self._api.get(SEARCH, params, accept)
        if reply.status == BEYOND_THE_CAP:
            return None
        if reply.status == 204:
            return Answer((), (), None, reply.served_at, total=0)
        body = reply.json()
        rows, _ = rows_and_token(body, SEARCH, "data", "next")
        reached = offset + min(len(rows), self._extent.page_size)
        count = body.get("count")
        total = count if isinstance(count, int) else None
        is_more = total is not None and total > reached
        goes_on = is_more or len(rows) >= self._extent.page_size
        read = reader.page(rows)
        token = str(reached) if goes_on else None
        return Answer(read.tickets, read.bad, token, reply.served_at, total)

    def _one(self, ticket_id: str) -> Ticket | BadTicket | None:
        # Anything else is no id, and may be a path of another resource.
        if not (ticket_id.isascii() and ticket_id.isdigit()):
            return None
        body = self._body(ticket_id, FOUND_OR_NOT)
        if body is None:
            return None
        return self._reader.asked_for(ticket_id, body, f"{TICKETS}/{ticket_id}")

    def _of_the_bin(self, ticket_id: str) -> Mapping[str, Any] | None:
        return self._body(ticket_id, READABLE_OR_NOT)

    def _body(self, ticket_id: str, accept: frozenset[int]) -> Mapping[str, Any] | None:
        path = f"{TICKETS}/{ticket_id}"
        reply = self._api.get(path, {"include": INCLUDE}, accept)
        if reply.status != 200:
            return None
        body = reply.json()
        if not isinstance(body, dict):
            raise EndpointFailed(
                f"GET {path} did not answer with an object. Check HELPDESK_BASE_URL and "
                "HELPDESK_PROVIDER."
            )
        return body

    def _too_dense(self, by: By, start: datetime, most: int) -> WindowTooDense:
        return WindowTooDense(
            f"At least {most} tickets have the {by.name} {start.isoformat()}, to the millisecond, "
            "and Zoho Desk gives no more in one query. Change some of them again there (a bulk "
            "action on a part of them), which moves these to another time; then run again."
        )


def from_settings(settings: Settings, world: World | None = None) -> ZohoDeskHelpdesk:
    """The portal that the settings name.

    Raises:
        SettingsError: a setting cannot be what Zoho takes.
    """
    world = world or World()
    who, meter = client(settings), Meter()
    identity = who.accounts_url, who.client_id, who.refresh_token
    login = ZohoLogin(
        who,
        org_id(settings),
        TokenCache(cache_folder(settings), *identity),
        meter=meter,
        timeout=settings.helpdesk_timeout_seconds,
        clock=world.clock,
    )
    connection = connect(
        settings,
        login,
        base_path="/api/v1",
        at_once=at_once(settings),
        read_left=read_left,
        explain=explain,
        meter=meter,
        world=world,
    )
    return ZohoDeskHelpdesk(
        connection, login, extent(settings), skip_bad=settings.helpdesk_skip_bad_tickets
    )


def _text(moment: datetime) -> str:
    """UTC with a Z: offsets such as +05:30 are not taken."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
