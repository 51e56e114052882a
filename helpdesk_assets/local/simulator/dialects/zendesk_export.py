"""Zendesk's incremental export of tickets, by cursor.

Source: developer.zendesk.com, /api-reference/ticketing/ticket-management/incremental_exports/.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from heapq import merge
from itertools import islice

from starlette.requests import Request

from helpdesk_assets.local.simulator.dialects.zendesk_requests import (
    DEFAULT_SUPPORT_TYPE_SCOPE,
    EXPORT_PARAMETERS,
    LARGEST_EXPORT_PAGE,
    SUPPORT_TYPE_SCOPES,
    StreamPosition,
    TextError,
    check_parameters,
    parse_choice,
    parse_cursor,
    parse_page_size,
    whole_number,
)
from helpdesk_assets.local.simulator.dialects.zendesk_tickets import SITE, is_in_scope
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import ApiError, EndpointResult
from helpdesk_assets.local.simulator.response_faults import (
    corrupt_tickets,
    remaining_rows,
    with_repeated_rows,
)
from helpdesk_assets.local.simulator.ticket_factory import FUTURE_ID, Json, TicketVersion

EXPORT_DELAY_SECONDS = 60
# The age of a refused cursor; the vendor names none.
CURSOR_SECONDS = 86_400


class ExportEndpoint:
    """The export of one helpdesk."""

    def __init__(
        self, backend: HelpdeskBackend, raw_ticket: Callable[[TicketVersion], Json]
    ) -> None:
        """Create the endpoint; `raw_ticket` is the dialect's."""
        self._backend = backend
        self._raw_ticket = raw_ticket
        # When each cursor was last given, in seconds since 1970.
        self._given_at: dict[str, int] = {}

    def __call__(self, request: Request) -> EndpointResult:
        """Answer one call."""
        backend, query = self._backend, request.query_params
        check_parameters(backend, query, EXPORT_PARAMETERS)
        size = parse_page_size(query, "per_page", LARGEST_EXPORT_PAGE)
        choice = parse_choice(
            query, "support_type_scope", SUPPORT_TYPE_SCOPES, DEFAULT_SUPPORT_TYPE_SCOPE
        )
        request_cursor = query.get("cursor")
        position = (
            self._start_position(query.get("start_time"))
            if request_cursor is None
            else self._cursor_position(request_cursor)
        )
        backend.shift_while_paging("search")
        lag = backend.faults.consume("search_lag", "search")
        until = int(backend.clock.tick() - EXPORT_DELAY_SECONDS - (lag["seconds"] if lag else 0))
        found = self._versions_after(position, until, size + 1, choice)
        _check_is_in_time(backend, min(size, len(found)))
        page_versions = found[: remaining_rows(backend.faults, "search", min(size, len(found)))]
        is_end = len(page_versions) == len(found)
        if page_versions:
            before, position = (
                position,
                StreamPosition(page_versions[-1].modified, page_versions[-1].ticket_id),
            )
            if backend.faults.consume("empty_page", "search") is not None:
                page_versions, is_end, position = (
                    [],
                    False,
                    before._replace(repeat_count=before.repeat_count + 1),
                )
        after: str | None = position.cursor()
        is_empty = request_cursor is None and is_end and not page_versions
        if is_empty and not backend.is_friendly("zendesk.empty_export_has_a_cursor"):
            after = None
        elif (
            request_cursor
            and not is_end
            and backend.faults.consume("repeated_token", "search") is not None
        ):
            after = request_cursor
        if after is not None:
            self._given_at[after] = backend.clock.tick()
        rows = self._with_row_faults(
            [self._raw_ticket(version) for version in page_versions], is_end
        )
        return EndpointResult(_export_page(rows, request_cursor, after, is_end), tickets=len(rows))

    def _cursor_position(self, cursor: str) -> StreamPosition:
        position, now = parse_cursor(cursor), self._backend.clock.tick()
        is_old = now - self._given_at.get(cursor, now) > CURSOR_SECONDS
        if is_old and not self._backend.is_friendly("zendesk.cursor_never_expires"):
            raise ApiError(422, "cursor has expired", code="InvalidValue")
        return position

    def _start_position(self, start_time: str | None) -> StreamPosition:
        if start_time is None:
            raise ApiError(400, "start_time or cursor is required")
        start = whole_number(start_time, "start_time")
        if start > self._backend.clock.tick() - EXPORT_DELAY_SECONDS:
            message = "Too recent start_time. Use a start_time older than 60 seconds"
            if not self._backend.is_friendly("zendesk.too_recent_start_is_400"):
                raise TextError(422, message)
            raise ApiError(400, message, code="StartTimeTooRecent")
        return StreamPosition(start, "")

    def _versions_after(
        self, position: StreamPosition, until: int, limit: int, scope: str
    ) -> list[TicketVersion]:
        """Return the next versions of the export: live and removed tickets in one order."""
        stores = (self._backend.store, self._backend.removed)
        longest = limit if scope == "all" else sys.maxsize
        found = (store.after(position[:2], until, longest) for store in stores)
        versions = merge(*found, key=lambda v: (v.modified, v.ticket_id))
        return list(islice((v for v in versions if is_in_scope(v.ticket_id, scope)), limit))

    def _with_row_faults(self, rows: list[Json], is_end: bool) -> list[Json]:
        faults = self._backend.faults
        if is_end and (params := faults.consume("future_row", "search")):
            now = self._backend.clock.tick()
            future_version = TicketVersion(
                FUTURE_ID, now, now, 0, {"updated_at": params["modified"]}
            )
            rows = [*rows, self._raw_ticket(future_version)]
        rows = with_repeated_rows(faults, "search", rows, None)
        corrupt_tickets(faults, "search", rows, "updated_at")
        return rows


def _check_is_in_time(backend: HelpdeskBackend, rows: int) -> None:
    """Apply the fault `slow_pages`: a page of more rows is answered by the gateway, as text."""
    fault = backend.faults.active("slow_pages")
    if fault and rows > fault["rows"] and backend.faults.consume("slow_pages", "search"):
        raise TextError(504, "upstream request timeout")


def _export_page(
    rows: list[Json], request_cursor: str | None, after: str | None, is_end: bool
) -> Json:
    def url(cursor: str | None) -> str | None:
        return cursor and f"{SITE}/incremental/tickets/cursor.json?cursor={cursor}"

    return {
        "tickets": rows,
        "after_url": url(after),
        "after_cursor": after,
        "before_url": url(request_cursor),
        "before_cursor": request_cursor,
        "end_of_stream": is_end,
    }
