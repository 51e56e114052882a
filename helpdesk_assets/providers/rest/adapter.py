"""The adapter `rest`: the plain ticket API of the simulated helpdesk and of those built like it.

    GET /v2/tickets/search?modifiedTimeRange=START,END&sortBy=modifiedTime&pageSize=100
    GET /v2/tickets?pageSize=100
    GET /v2/tickets/{id}

Lists answer `{"tickets": [...], "nextPageToken": ...}`; times are ISO 8601, to the second. Only
this API's words are here; how to walk, retry and read is shared by all adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket, utc
from helpdesk_assets.providers.adapter import ConnectedHelpdesk
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.auth import TokenAuth, token_of
from helpdesk_assets.providers.client.connection import Connection, World, connect
from helpdesk_assets.providers.client.rate_limit import Left, left_by
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.paging.by_token import Answer, rows_and_token, walk_tokens
from helpdesk_assets.providers.paging.details import Wanted
from helpdesk_assets.providers.parsing.stubs import as_inventory
from helpdesk_assets.providers.parsing.tickets import Read, Shape, TicketReader
from helpdesk_assets.settings import Settings

LISTING = "/v2/tickets"
CHANGES = "/v2/tickets/search"
TICK = timedelta(seconds=1)
FOUND_OR_NOT = frozenset({200, 404})


class RestHelpdesk(ConnectedHelpdesk):
    """One account."""

    def __init__(
        self,
        connection: Connection,
        *,
        page_size: int,
        lists_are_whole: bool,
        skip_bad: bool,
    ) -> None:
        capabilities = Capabilities(
            name="rest",
            page_size=page_size,
            time_resolution=TICK,
            result_cap=None,
            # The second that the Date header names is not over yet: more may change within it.
            held_back=TICK,
            lists_are_whole=lists_are_whole,
            listing_is_stable=False,
            minimum_overlap=timedelta(0),
        )
        super().__init__(connection, capabilities, Shape(), skip_bad=skip_bad)

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - this API has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`. The first call is made once: where the search does not work at
        all, the listing is the quicker way. One that has worked is worth another try, and many
        where the listing would be no quicker."""
        has_worked = False
        retry = self._retry if since is None else self._retry.briefly()

        def fetch(start: datetime, end: datetime, token: str | None) -> Answer[Ticket]:
            nonlocal has_worked
            call = partial(self._changed, self._reader, start, end, token)
            answer = retry(call) if has_worked else call()
            has_worked = True
            return answer

        for page in self._walk(fetch).pages(since, until, resume):
            yield self._made_whole(page)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`."""
        until: datetime | None = None
        for answer in walk_tokens(lambda token: self._retry(partial(self._listed, token))):
            until = until or answer.served_at - self._capabilities.held_back
            read = self._read_listed(answer.rows)
            yield Page(read.tickets, answer.served_at, until, bad=read.bad)

    def inventory(self) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`. By the search: the listing's rows may lack the times, and what
        changes while it is paged goes to its beginning, where nobody looks any more."""

        def fetch(start: datetime, end: datetime, token: str | None) -> Answer[Ticket]:
            return self._retry(partial(self._changed, self._sightings, start, end, token))

        return map(as_inventory, self._sweep(fetch))

    def _changed(
        self, reader: TicketReader, start: datetime, end: datetime, token: str | None
    ) -> Answer[Ticket]:
        """One page of a window. The end is rounded up: a ticket more is harmless, one less is
        lost."""
        params = {
            "modifiedTimeRange": f"{_second(start)},{_second(_ceiling(end))}",
            "sortBy": "modifiedTime",
        }
        answer = self._page(CHANGES, params, token)
        read = reader.page(answer.rows)
        return Answer(read.tickets, read.bad, answer.next_token, answer.served_at)

    def _listed(self, token: str | None) -> Answer[Any]:
        return self._page(LISTING, {}, token)

    def _page(self, path: str, params: Mapping[str, str], token: str | None) -> Answer[Any]:
        paging = {"pageSize": str(self._capabilities.page_size)}
        if token is not None:
            paging["pageToken"] = token
        reply = self._api.get(path, {**params, **paging})
        rows, next_token = rows_and_token(reply.json(), path, "tickets", "nextPageToken")
        return Answer(tuple(rows), (), next_token, reply.served_at)

    def _read_listed(self, rows: Sequence[Any]) -> Read:
        """Rows that are not whole may lack even the times, so only their ids are taken."""
        if self._capabilities.lists_are_whole:
            return self._reader.page(rows)
        ids, bad = self._reader.ids(rows)
        whole = self._details(map(Wanted, ids))
        return Read(whole.tickets, bad + whole.bad)

    def _one(self, ticket_id: str) -> Ticket | BadTicket | None:
        path = f"{LISTING}/{quote(ticket_id, safe='')}"
        reply = self._api.get(path, accept=FOUND_OR_NOT)
        if reply.status == 404:
            return None
        body = reply.json()
        if isinstance(body, dict) and isinstance(body.get("ticket"), dict):
            body = body["ticket"]
        return self._reader.asked_for(ticket_id, body, path)


def read_left(headers: Mapping[str, str]) -> tuple[Left, ...]:
    """Calls left, of how many, and the seconds until they are counted anew."""
    return left_by(
        headers,
        remaining="X-RateLimit-Remaining",
        limit="X-RateLimit-Limit",
        reset="X-RateLimit-Reset",
    )


def from_settings(settings: Settings, world: World | None = None) -> RestHelpdesk:
    """The account that the settings name.

    Raises:
        SettingsError: address or token cannot be ones.
    """
    return RestHelpdesk(
        connect(settings, TokenAuth(token_of(settings)), read_left=read_left, world=world),
        page_size=settings.helpdesk_page_size,
        lists_are_whole=not settings.helpdesk_fetch_details,
        skip_bad=settings.helpdesk_skip_bad_tickets,
    )


def looks(settings: Settings) -> Mapping[str, Callable[[], str]]:  # noqa: ARG001
    """Nothing: the settings mean here what they say."""
    return {}


def _ceiling(moment: datetime) -> datetime:
    whole = floor(moment, TICK)
    return whole if whole == moment else whole + TICK


def _second(moment: datetime) -> str:
    return f"{utc(moment).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
