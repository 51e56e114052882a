"""API of the `rest` adapter, which this project defines.

`GET /v2/tickets/search`, `GET /v2/tickets` and `GET /v2/tickets/{id}`, with a bearer token. A
deleted ticket leaves the lists, and its id is a 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import ApiError, CallMiddleware, EndpointResult
from helpdesk_assets.local.simulator.paging import (
    InvalidParameter,
    PageRequest,
    encode_page_token,
    parse_page_request,
    parse_range,
    refuse_unknown,
)
from helpdesk_assets.local.simulator.response_faults import (
    PageResult,
    apply_page_faults,
    corrupt_tickets,
    needs_parsed_rows,
)
from helpdesk_assets.local.simulator.ticket_factory import FUTURE_ID, Json, TicketVersion
from helpdesk_assets.local.simulator.ticket_store import TicketSlice

PAGING = ("pageSize", "pageToken")
# Known to the helpdesk, but without permissions: 403 where the other token gets 200.
TOKEN_WITHOUT_RIGHTS = "local-demo-token-without-rights"  # noqa: S105 - gives access to nothing


def create_dialect(backend: HelpdeskBackend, token: str) -> RestDialect:
    """Create the dialect; `token` is the bearer token."""
    return RestDialect(backend, token)


class RestDialect:
    """Search, listing and single tickets of one helpdesk."""

    def __init__(self, backend: HelpdeskBackend, token: str) -> None:
        self._backend = backend
        self._token: str | None = token

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        """See `Dialect.routes`."""
        return [
            Route(
                "/v2/tickets/search",
                middleware.endpoint("search", _bad_request_on_error(self._search)),
            ),
            Route(
                "/v2/tickets", middleware.endpoint("listing", _bad_request_on_error(self._listing))
            ),
            Route(
                "/v2/tickets/{ticket_id}",
                middleware.endpoint("ticket", _bad_request_on_error(self._ticket)),
            ),
        ]

    def raw_ticket(self, version: TicketVersion) -> Json:
        """See `Dialect.raw_ticket`."""
        return self._backend.raw_ticket(version)

    def authorize(self, request: Request) -> None:
        """See `Dialect.authorize`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and token == TOKEN_WITHOUT_RIGHTS:
            raise ApiError(403, "this token has no right to read tickets")
        if scheme != "Bearer" or token != self._token:
            raise ApiError(401, "no such token", {"WWW-Authenticate": "Bearer"})

    def revoke(self) -> None:
        """See `Dialect.revoke`."""
        self._token = None

    def accept(self, token: str) -> None:
        """See `Dialect.accept`."""
        self._token = token

    def api_error(self, api_error: ApiError) -> Json:
        """See `Dialect.api_error`."""
        return {"errorCode": api_error.status, "message": str(api_error)}

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:
        """See `Dialect.rate_limit_headers`."""
        return {
            "X-RateLimit-Limit": str(rate_limit_status.limit),
            "X-RateLimit-Remaining": str(rate_limit_status.remaining),
            "X-RateLimit-Reset": str(rate_limit_status.reset_seconds),
        }

    def _search(self, request: Request) -> EndpointResult:
        self._refuse_unknown(request, "modifiedTimeRange", "sortBy", *PAGING)
        start, end = parse_range(request.query_params)
        page_request = parse_page_request("search", request.query_params)
        lag = self._backend.faults.consume("search_lag", "search")

        def find(offset: int, limit: int) -> TicketSlice:
            horizon = None if lag is None else int(self._backend.clock.tick() - lag["seconds"])
            return self._backend.store.modified_between(start, end, offset, limit, horizon)

        return self._page("search", page_request, find)

    def _listing(self, request: Request) -> EndpointResult:
        self._refuse_unknown(request, *PAGING)
        page_request = parse_page_request("listing", request.query_params)
        return self._page("listing", page_request, self._backend.store.newest_first)

    def _refuse_unknown(self, request: Request, *known: str) -> None:
        if not self._backend.is_friendly("rest.unknown_parameter_is_ignored"):
            refuse_unknown(request.query_params, known)

    def _page(
        self, endpoint: str, page_request: PageRequest, find: Callable[[int, int], TicketSlice]
    ) -> EndpointResult:
        backend = self._backend
        backend.shift_while_paging(endpoint)
        found = find(page_request.offset, page_request.size)
        next_offset = page_request.offset + len(found.versions)
        before = find(page_request.offset - 1, 1).versions if page_request.offset else []
        row: Callable[[TicketVersion], Any] = (
            backend.raw_ticket if needs_parsed_rows(backend.faults) else backend.raw_ticket_json
        )
        page = PageResult(
            rows=list(map(row, found.versions)),
            next_token=encode_page_token(endpoint, next_offset)
            if next_offset < found.total
            else None,
            previous_row=row(before[0]) if before else None,
        )
        self._add_future_row(endpoint, page_request, page)
        apply_page_faults(backend.faults, endpoint, page_request, page)
        return EndpointResult(page.payload(), tickets=len(page.rows))

    def _add_future_row(self, endpoint: str, page_request: PageRequest, page: PageResult) -> None:
        """Add the ticket of the fault `future_row`: last in the search, first in the listing."""
        at_its_place = page.next_token is None if endpoint == "search" else page_request.offset == 0
        if at_its_place and (params := self._backend.faults.consume("future_row", endpoint)):
            place = len(page.rows) if endpoint == "search" else 0
            page.rows.insert(place, self._future_ticket(params["modified"]))

    def _future_ticket(self, modified: str) -> Json:
        now = self._backend.clock.tick()
        version = TicketVersion(FUTURE_ID, now, now, 0, {"modifiedTime": modified})
        return self._backend.raw_ticket(version)

    def _ticket(self, request: Request) -> EndpointResult:
        self._refuse_unknown(request)
        ticket_id = request.path_params["ticket_id"]
        future = self._backend.faults.active("future_row")
        if ticket_id == FUTURE_ID and future is not None:
            return EndpointResult(self._future_ticket(future["modified"]), tickets=1)
        version = self._backend.store.get(ticket_id)
        if version is None:
            raise ApiError(404, f"no ticket {ticket_id}")
        ticket = self._backend.raw_ticket(version)
        corrupt_tickets(self._backend.faults, "ticket", [ticket])
        return EndpointResult(ticket, tickets=1)


def _bad_request_on_error(
    handler: Callable[[Request], EndpointResult],
) -> Callable[[Request], EndpointResult]:
    """Wrap a handler: an invalid parameter becomes a 400."""

    def built(request: Request) -> EndpointResult:
        try:
            return handler(request)
        except InvalidParameter as error:
            raise ApiError(400, str(error)) from None

    return built
