"""API of the `zendesk` adapter: the parts of Zendesk's Support API that a sync can use.

The incremental export contains every ticket, also archived and deleted ones, in the order of
`generated_timestamp`, except changes of the last minute. The list contains neither archived nor
deleted tickets. Merged tickets are closed, and tickets marked as spam are deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import merge
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.dialects.zendesk_requests import (
    LARGEST_EXPORT_PAGE,
    LARGEST_LIST_PAGE,
    StreamPosition,
    parse_cursor,
    parse_page_size,
    parse_password,
    whole_number,
)
from helpdesk_assets.local.simulator.dialects.zendesk_tickets import (
    API,
    ORDER_FIELD,
    SITE,
    to_vendor_ticket,
)
from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, RemovalKind
from helpdesk_assets.local.simulator.middleware import ApiError, CallMiddleware, EndpointResult
from helpdesk_assets.local.simulator.response_faults import (
    corrupt_tickets,
    remaining_rows,
    with_repeated_rows,
)
from helpdesk_assets.local.simulator.ticket_factory import FUTURE_ID, Json, TicketVersion

EXPORT = f"{API}/incremental/tickets/cursor"
EXPORT_DELAY_SECONDS = 60

# Default of `error` by status, unless the endpoint has a more specific code.
ERRORS = {
    400: "BadRequest",
    401: "Couldn't authenticate you",
    403: "Forbidden",
    404: "RecordNotFound",
    422: "RecordInvalid",
    429: "TooManyRequests",
}


def create_dialect(backend: HelpdeskBackend, token: str) -> ZendeskDialect:
    """Create the dialect; `token` is the API token or OAuth token."""
    return ZendeskDialect(backend, token)


class ZendeskDialect:
    """Export, list and single tickets of one helpdesk."""

    def __init__(self, backend: HelpdeskBackend, token: str) -> None:
        self._backend = backend
        self._token: str | None = token

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        """See `Dialect.routes`."""
        export = middleware.endpoint("search", self._export)
        listing = middleware.endpoint("listing", self._listing)
        # The suffix `.json` is optional on every endpoint.
        return [
            *(Route(f"{EXPORT}{suffix}", export) for suffix in ("", ".json")),
            *(Route(f"{API}/tickets{suffix}", listing) for suffix in ("", ".json")),
            Route(f"{API}/tickets/{{ticket_id}}", middleware.endpoint("ticket", self._ticket)),
        ]

    def raw_ticket(self, version: TicketVersion) -> Json:
        """See `Dialect.raw_ticket`; the ticket as in the export."""
        ticket = to_vendor_ticket(self._backend.body(version), version)
        removal = self._backend.removals.get(version.ticket_id)
        if removal and removal.kind is RemovalKind.MERGED:
            ticket["status"] = "closed"
            ticket["tags"] = [*ticket["tags"], "closed_by_merge"]
        ticket.update(version.overlay or {})
        if removal and removal.kind is not RemovalKind.MERGED:
            ticket["status"] = "deleted"
        return ticket

    def authorize(self, request: Request) -> None:
        """See `Dialect.authorize`.

        Accepts an API token as the password of `{email}/token`, or an OAuth token as bearer. The
        token without rights belongs to an agent who can read tickets but not export them.
        """
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = (
            value if scheme == "Bearer" else parse_password(value) if scheme == "Basic" else None
        )
        if token == TOKEN_WITHOUT_RIGHTS:
            if request.url.path.startswith(EXPORT):
                raise ApiError(403, "You do not have access to this page.")
        elif token is None or token != self._token:
            raise ApiError(401, "")

    def revoke(self) -> None:
        """See `Dialect.revoke`."""
        self._token = None

    def accept(self, token: str) -> None:
        """See `Dialect.accept`."""
        self._token = token

    def api_error(self, api_error: ApiError) -> Any:
        """See `Dialect.api_error`."""
        error = api_error.code or ERRORS.get(api_error.status, "InternalError")
        if api_error.status == 403:
            return {"error": {"title": error, "message": str(api_error)}}
        return (
            {"error": error, "description": str(api_error)} if str(api_error) else {"error": error}
        )

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:
        """See `Dialect.rate_limit_headers`."""
        limit, remaining = str(rate_limit_status.limit), str(rate_limit_status.remaining)
        return {
            "X-Rate-Limit": limit,
            "X-Rate-Limit-Remaining": remaining,
            "ratelimit-limit": limit,
            "ratelimit-remaining": remaining,
            "ratelimit-reset": str(rate_limit_status.reset_seconds),
        }

    def _export(self, request: Request) -> EndpointResult:
        backend, query = self._backend, request.query_params
        size = parse_page_size(query, "per_page", LARGEST_EXPORT_PAGE)
        request_cursor = query.get("cursor")
        position = (
            self._start_position(query.get("start_time"))
            if request_cursor is None
            else parse_cursor(request_cursor)
        )
        backend.shift_while_paging("search")
        lag = backend.faults.consume("search_lag", "search")
        until = int(backend.clock.tick() - EXPORT_DELAY_SECONDS - (lag["seconds"] if lag else 0))
        found = self._versions_after(position, until, size + 1)
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
        rows = self._with_row_faults(
            [self.raw_ticket(version) for version in page_versions], is_end
        )
        return EndpointResult(_export_page(rows, request_cursor, after, is_end), tickets=len(rows))

    def _start_position(self, start_time: str | None) -> StreamPosition:
        if start_time is None:
            raise ApiError(400, "start_time or cursor is required")
        start = whole_number(start_time, "start_time")
        if start > self._backend.clock.tick() - EXPORT_DELAY_SECONDS:
            raise ApiError(400, "Too recent start_time. Use a start_time older than 60 seconds")
        return StreamPosition(start, "")

    def _versions_after(
        self, position: StreamPosition, until: int, limit: int
    ) -> list[TicketVersion]:
        """Return the next versions of the export: live and removed tickets in one order."""
        stores = (self._backend.store, self._backend.removed)
        found = (store.after(position[:2], until, limit) for store in stores)
        return list(merge(*found, key=lambda v: (v.modified, v.ticket_id)))[:limit]

    def _with_row_faults(self, rows: list[Json], is_end: bool) -> list[Json]:
        faults = self._backend.faults
        if is_end and (params := faults.consume("future_row", "search")):
            now = self._backend.clock.tick()
            future_version = TicketVersion(
                FUTURE_ID, now, now, 0, {"updated_at": params["modified"]}
            )
            rows = [*rows, self.raw_ticket(future_version)]
        rows = with_repeated_rows(faults, "search", rows, None)
        corrupt_tickets(faults, "search", rows, "updated_at")
        return rows

    def _listing(self, request: Request) -> EndpointResult:
        """By cursor, ascending by id; without archived and deleted tickets."""
        query = request.query_params
        size = parse_page_size(query, "page[size]", LARGEST_LIST_PAGE)
        after = whole_number(query.get("page[after]", "0"), "page[after]")
        listed_ids = (
            int(each) for each in self._backend.store.ids() if each not in self._backend.archived
        )
        ids = sorted(each for each in listed_ids if each > after)
        rows = [self._listed_ticket(str(each)) for each in ids[:size]]
        more = len(ids) > size
        meta = {"has_more": more, "after_cursor": str(rows[-1]["id"]) if rows else None}
        return EndpointResult({"tickets": rows, "meta": meta}, tickets=len(rows))

    def _ticket(self, request: Request) -> EndpointResult:
        ticket_id = request.path_params["ticket_id"].removesuffix(".json")
        rows = [self._listed_ticket(ticket_id)]
        corrupt_tickets(self._backend.faults, "ticket", rows, "updated_at")
        return EndpointResult({"ticket": rows[0]}, tickets=1)

    def _listed_ticket(self, ticket_id: str) -> Json:
        """Return the ticket as in the list and by id; a deleted one is a 404."""
        version = self._backend.find(ticket_id)
        ticket = None if version is None else self.raw_ticket(version)
        if ticket is None or ticket["status"] == "deleted":
            raise ApiError(404, "Not found")
        del ticket[ORDER_FIELD]
        return ticket


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
