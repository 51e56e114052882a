"""The adapter `rest`: the plain ticket API of the simulated helpdesk and of similar APIs.

    GET /v2/tickets/search?modifiedTimeRange=START,END&sortBy=modifiedTime&pageSize=100
    GET /v2/tickets?pageSize=100
    GET /v2/tickets/{id}

Lists answer `{"tickets": [...], "nextPageToken": ...}`; times are ISO 8601, to the second. This
module holds only what is specific to this API; all adapters share paging, retries and parsing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from helpdesk_assets.model.tickets import BadTicket, InventoryPage, Page, Ticket, utc
from helpdesk_assets.providers.adapter import BaseAdapter
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.auth import TokenAuth, api_token
from helpdesk_assets.providers.client.connection import Connection, Runtime, connect
from helpdesk_assets.providers.client.rate_limit import RateLimitState, parse_rate_limit_headers
from helpdesk_assets.providers.paging.by_time import floor
from helpdesk_assets.providers.paging.by_token import ListPage, pages_by_token, rows_and_token
from helpdesk_assets.providers.paging.details import DetailRequest
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.stubs import to_inventory_page
from helpdesk_assets.providers.parsing.tickets import ParsedRows, TicketReader
from helpdesk_assets.settings import Settings

LISTING_PATH = "/v2/tickets"
SEARCH_PATH = "/v2/tickets/search"
MAPPING_VERSION = 1  # see `Capabilities.mapping_version`
TICK = timedelta(seconds=1)
OK_OR_NOT_FOUND = frozenset({200, 404})


class RestAdapter(BaseAdapter):
    """One account of the plain ticket API."""

    def __init__(
        self,
        connection: Connection,
        *,
        page_size: int,
        list_rows_are_complete: bool,
        skip_bad: bool,
    ) -> None:
        """Set up the adapter.

        Args:
            connection: the account's API and policies.
            page_size: rows requested per page.
            list_rows_are_complete: False to fetch each ticket by its id.
            skip_bad: report unreadable tickets in `Page.bad` instead of raising.
        """
        capabilities = Capabilities(
            name="rest",
            page_size=page_size,
            time_resolution=TICK,
            result_cap=None,
            # The second of the Date header is not over yet: more may change within it.
            settle_delay=TICK,
            list_rows_are_complete=list_rows_are_complete,
            listing_is_stable=False,
            minimum_overlap=timedelta(0),
            mapping_version=MAPPING_VERSION,
        )
        super().__init__(connection, capabilities, FieldMap(), skip_bad=skip_bad)

    def changes(
        self,
        since: datetime | None,
        until: datetime | None = None,
        cursor: str | None = None,  # noqa: ARG002 - this API has no cursor of its own
        resume: str | None = None,
    ) -> Iterator[Page]:
        """See `Helpdesk.changes`.

        The first call is not retried: if the search does not work at all, the listing is faster.
        Once the search has worked, calls are retried a few times, or up to the full limit on a
        read from the beginning, where the listing would not be faster.
        """
        has_worked = False
        retry = self._retry if since is None else self._retry.with_few_attempts()

        def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
            nonlocal has_worked
            call = partial(self._search_page, self._reader, start, end, token)
            answer = retry(call) if has_worked else call()
            has_worked = True
            return answer

        for page in self._pager(fetch).pages(since, until, resume):
            yield self._with_details(page)

    def listing(self) -> Iterator[Page]:
        """See `Helpdesk.listing`."""
        until: datetime | None = None
        for answer in pages_by_token(lambda token: self._retry(partial(self._list_page, token))):
            until = until or answer.served_at - self._capabilities.settle_delay
            parsed = self._parse_listed(answer.rows)
            yield Page(parsed.tickets, answer.served_at, until, bad=parsed.bad)

    def inventory(self, resume: str | None = None) -> Iterator[InventoryPage]:
        """See `Helpdesk.inventory`.

        It uses the search: the listing's rows may lack times, and a ticket that changes during
        paging moves to the listing's beginning, which is already read.
        """

        def fetch(start: datetime, end: datetime, token: str | None) -> ListPage[Ticket]:
            return self._retry(partial(self._search_page, self._stub_reader, start, end, token))

        return map(to_inventory_page, self._pages_with_catch_up(fetch, resume))

    def _search_page(
        self, reader: TicketReader, start: datetime, end: datetime, token: str | None
    ) -> ListPage[Ticket]:
        """Fetch one page of a window.

        The end is rounded up: an extra ticket is harmless, a missing one is lost.
        """
        params = {
            "modifiedTimeRange": f"{_to_text(start)},{_to_text(_ceiling(end))}",
            "sortBy": "modifiedTime",
        }
        answer = self._get_page(SEARCH_PATH, params, token)
        parsed = reader.page(answer.rows)
        return ListPage(parsed.tickets, parsed.bad, answer.next_token, answer.served_at)

    def _list_page(self, token: str | None) -> ListPage[Any]:
        return self._get_page(LISTING_PATH, {}, token)

    def _get_page(self, path: str, params: Mapping[str, str], token: str | None) -> ListPage[Any]:
        paging = {"pageSize": str(self._capabilities.page_size)}
        if token is not None:
            paging["pageToken"] = token
        reply = self._api.get(path, {**params, **paging})
        rows, next_token = rows_and_token(reply.json(), path, "tickets", "nextPageToken")
        return ListPage(tuple(rows), (), next_token, reply.served_at)

    def _parse_listed(self, rows: Sequence[Any]) -> ParsedRows:
        """Read listed rows; incomplete ones may lack even times, so only their ids are used."""
        if self._capabilities.list_rows_are_complete:
            return self._reader.page(rows)
        ids, bad = self._reader.ids(rows)
        detailed = self._fetch_details(map(DetailRequest, ids))
        return ParsedRows(detailed.tickets, bad + detailed.bad)

    def _fetch_ticket(self, ticket_id: str) -> Ticket | BadTicket | None:
        path = f"{LISTING_PATH}/{quote(ticket_id, safe='')}"
        reply = self._api.get(path, accept=OK_OR_NOT_FOUND)
        if reply.status == 404:
            return None
        body = reply.json()
        if isinstance(body, dict) and isinstance(body.get("ticket"), dict):
            body = body["ticket"]
        return self._reader.requested_ticket(ticket_id, body, path)


def parse_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
    """Read the remaining calls, their limit, and the seconds until the reset."""
    return parse_rate_limit_headers(
        headers,
        remaining="X-RateLimit-Remaining",
        limit="X-RateLimit-Limit",
        reset="X-RateLimit-Reset",
    )


def from_settings(settings: Settings, runtime: Runtime | None = None) -> RestAdapter:
    """Create the adapter for the account that the settings name.

    Raises:
        SettingsError: the address or the token is invalid.
    """
    return RestAdapter(
        connect(
            settings,
            TokenAuth(api_token(settings)),
            parse_rate_limit=parse_rate_limit,
            runtime=runtime,
        ),
        page_size=settings.helpdesk_page_size,
        list_rows_are_complete=not settings.helpdesk_fetch_details,
        skip_bad=settings.helpdesk_skip_bad_tickets,
    )


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:  # noqa: ARG001
    """Describe for `doctor` what is not used; the other settings are read as they stand."""
    return {"helpdesk_result_cap": lambda: "not used: pages follow each other by time"}


def _ceiling(moment: datetime) -> datetime:
    floored = floor(moment, TICK)
    return floored if floored == moment else floored + TICK


def _to_text(moment: datetime) -> str:
    return f"{utc(moment).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
