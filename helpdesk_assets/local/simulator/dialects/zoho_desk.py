"""API of the `zoho_desk` adapter: search, recycle bin and single tickets of Zoho Desk.

By default, the search has ten tickets per page in the order of relevance. Without results, it
answers with an empty body. Deleted and merged tickets are in the recycle bin for 60 days, together
with other records; spam stays in the search. `zoho_desk_tokens` issues the tokens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from helpdesk_assets.local.simulator.dialects.zoho_desk_recycle_bin import (
    MODULE_IDS,
    modules,
    recycle_bin_rows,
    sorted_rows,
)
from helpdesk_assets.local.simulator.dialects.zoho_desk_requests import (
    INCLUDES,
    BinRequest,
    check_no_parameters,
    check_ticket_id,
    parse_includes,
    parse_recycle_bin,
    parse_search,
)
from helpdesk_assets.local.simulator.dialects.zoho_desk_search import SimulatedSearch
from helpdesk_assets.local.simulator.dialects.zoho_desk_tickets import to_vendor_ticket
from helpdesk_assets.local.simulator.dialects.zoho_desk_tokens import (
    ORG_ID,
    TokenServer,
    TooManyRequests,
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

TOKENS = "/oauth/v2/token"
SEARCH = "/api/v1/tickets/search"
TICKET = "/api/v1/tickets/{ticket_id}"
RECYCLE_BIN = "/api/v1/recycleBin"
MODULES = "/api/v1/organizationModules"
# A list costs 3 credits, a single ticket 1.
CREDITS_OF_A_LIST = 3
# Scope that a path requires; default: Desk.tickets.READ.
SCOPES = {
    SEARCH: "Desk.search.READ",
    RECYCLE_BIN: "Desk.settings.READ",
    # v1.0/Module.json names three; the token has the other two.
    MODULES: "Desk.modules.READ",
}
CODES = {
    400: "BAD_REQUEST",
    401: "INVALID_OAUTH",
    403: "FORBIDDEN",
    404: "URL_NOT_FOUND",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
}


def create_dialect(backend: HelpdeskBackend, token: str) -> ZohoDeskDialect:
    """Create the dialect; `token` is the refresh token."""
    return ZohoDeskDialect(backend, token)


class ZohoDeskDialect:
    """One portal over one helpdesk, whose token is the refresh token."""

    def __init__(self, backend: HelpdeskBackend, token: str) -> None:
        self._backend = backend
        self.tokens = TokenServer(token, lambda: backend.clock.now().timestamp())
        self._touched = 0

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        """See `Dialect.routes`."""
        login = middleware.endpoint("login", self._issue, public=True)
        return [
            Route(TOKENS, login, methods=["POST"]),
            Route(SEARCH, self._search_endpoint(middleware), methods=["GET"]),
            Route(TICKET, middleware.endpoint("ticket", self._ticket), methods=["GET"]),
            Route(RECYCLE_BIN, middleware.endpoint("gone", self._bin), methods=["GET"]),
            Route(MODULES, middleware.endpoint("modules", self._modules), methods=["GET"]),
        ]

    def raw_ticket(self, version: TicketVersion) -> Json:
        """See `Dialect.raw_ticket`; a ticket in the recycle bin as by its id with all includes."""
        ticket = to_vendor_ticket(self._backend.body(version), version)
        ticket["isArchived"] = version.ticket_id in self._backend.archived
        ticket.update(version.overlay or {})
        if removal := self._backend.removals.get(version.ticket_id):
            ticket["isSpam"] = removal.kind is RemovalKind.SPAM
            if removal.kind is not RemovalKind.SPAM:
                ticket["isTrashed"] = True
        return ticket

    def authorize(self, request: Request) -> None:
        """See `Dialect.authorize`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        scopes = self.tokens.scopes_of(token) if scheme == "Zoho-oauthtoken" else None
        if scopes is None:
            raise ApiError(401, "The OAuth Token you provided is invalid.")
        org = request.headers.get("orgId", request.query_params.get("orgId"))
        may_be_absent = self._backend.is_friendly("zoho_desk.org_id_may_be_absent")
        if org != ORG_ID and (org is not None or not may_be_absent):
            message = "The organization of the OAuth token is not the one in the request."
            raise ApiError(403, message, code="OAUTH_ORG_MISMATCH")
        scope = SCOPES.get(request.url.path, "Desk.tickets.READ")
        is_readable = self._backend.is_friendly("zoho_desk.modules_are_readable")
        if scope not in scopes and not (request.url.path == MODULES and is_readable):
            message = "The OAuth Token does not have the scope for this API."
            raise ApiError(403, message, code="SCOPE_MISMATCH")

    def revoke(self) -> None:
        """See `Dialect.revoke`."""
        self.tokens.revoke_all()

    def accept(self, token: str) -> None:
        """See `Dialect.accept`."""
        self.tokens.accept(token)

    def api_error(self, api_error: ApiError) -> Any:
        """See `Dialect.api_error`."""
        code = api_error.code or CODES.get(api_error.status, "INTERNAL_SERVER_ERROR")
        # Only answers about the daily credits have a Retry-After.
        if api_error.status == 429 and api_error.headers and "Retry-After" in api_error.headers:
            code = "THRESHOLD_EXCEEDED"
        if code == "Access Denied":
            return {"error": code, "error_description": str(api_error), "status": "failure"}
        return {"errorCode": code, "message": str(api_error)}

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:
        """See `Dialect.rate_limit_headers`."""
        return {
            "X-Rate-Limit-Remaining-v3": str(rate_limit_status.remaining * CREDITS_OF_A_LIST),
            "X-Rate-Limit-Request-Weight-v3": str(CREDITS_OF_A_LIST),
        }

    def _issue(self, request: Request) -> EndpointResult:
        try:
            return EndpointResult(self.tokens.issue_token(request.state.body))
        except TooManyRequests:
            message = "You have made too many requests continuously. Please try again later."
            raise ApiError(400, message, code="Access Denied") from None

    def _search_endpoint(
        self, middleware: CallMiddleware
    ) -> Callable[[Request], Awaitable[Response]]:
        """Serve one path as two endpoints for faults: by modified time, and by creation time."""
        listing, search = (
            middleware.endpoint(name, self._search) for name in ("listing", "search")
        )

        async def serve(request: Request) -> Response:
            query = request.query_params
            is_listing = "createdTimeRange" in query and "modifiedTimeRange" not in query
            return await (listing if is_listing else search)(request)

        return serve

    def _search(self, request: Request) -> EndpointResult:
        backend, search_request = (
            self._backend,
            parse_search(request.query_params, self._backend.cap),
        )
        endpoint = search_request.endpoint
        backend.shift_while_paging(endpoint)
        search = SimulatedSearch(
            backend,
            ends_are_inclusive=backend.is_friendly("zoho_desk.range_includes_its_ends"),
            finds_archived=backend.is_friendly("zoho_desk.archived_are_found"),
            finds_spam=backend.is_friendly("zoho_desk.spam_is_found"),
        )
        found = search.find(search_request)
        page_versions = found[search_request.offset : search_request.offset + search_request.limit]
        page_versions = page_versions[
            : remaining_rows(backend.faults, endpoint, len(page_versions))
        ]
        if page_versions and backend.faults.consume("empty_page", endpoint) is not None:
            return EndpointResult({"data": [], "count": self._count(found)})
        is_last = search_request.offset + len(page_versions) == len(found)
        if is_last and (params := backend.faults.consume("future_row", endpoint)):
            page_versions = [*page_versions, self._future_version(params["modified"])]
        before = (
            found[search_request.offset - 1 : search_request.offset]
            if search_request.offset
            else []
        )
        rows = [self.raw_ticket(version) for version in [*before, *page_versions]]
        edge = rows.pop(0) if before else None
        rows = with_repeated_rows(backend.faults, endpoint, rows, edge)
        self._touch(endpoint, rows)
        corrupt_tickets(backend.faults, endpoint, rows)
        if not rows:
            return EndpointResult(None, status=204)
        return EndpointResult({"data": rows, "count": self._count(found)}, tickets=len(rows))

    def _touch(self, endpoint: str, rows: Sequence[Json]) -> None:
        """Apply the fault `volatile_fields`: they differ from answer to answer."""
        if self._backend.faults.consume("volatile_fields", endpoint) is None:
            return
        self._touched += 1
        for row in rows:
            row["isRead"] = row["isOverDue"] = self._touched % 2 == 0
            row["lastThread"] = {"channel": "EMAIL", "direction": "in", "isRead": self._touched}

    def _count(self, found: Sequence[TicketVersion]) -> int | str:
        is_number = self._backend.is_friendly("zoho_desk.count_is_a_number")
        return len(found) if is_number else str(len(found))

    def _modules(self, request: Request) -> EndpointResult:
        check_no_parameters(request.query_params)
        return EndpointResult({"data": modules()})

    def _future_version(self, modified: str) -> TicketVersion:
        """Return the ticket of the fault `future_row`."""
        now = self._backend.clock.tick()
        return TicketVersion(FUTURE_ID, now, now, 0, {"modifiedTime": modified})

    def _ticket(self, request: Request) -> EndpointResult:
        ticket_id, includes = request.path_params["ticket_id"], parse_includes(request.query_params)
        check_ticket_id(ticket_id)
        version = self._backend.find(ticket_id)
        if ticket_id == FUTURE_ID and (params := self._backend.faults.active("future_row")):
            version = self._future_version(params["modified"])
        if version is None or not self._is_readable(ticket_id):
            raise ApiError(404, "The URL you requested could not be found.")
        ticket = self.raw_ticket(version)
        for name in INCLUDES.values():
            if name not in includes:
                ticket.pop(name, None)
        if ticket.setdefault("isTrashed", False) is False:
            is_boolean = self._backend.is_friendly("zoho_desk.flags_are_booleans")
            ticket["isDeleted"] = False if is_boolean else "false"
        self._touch("ticket", [ticket])
        corrupt_tickets(self._backend.faults, "ticket", [ticket])
        return EndpointResult(ticket, tickets=1)

    def _is_readable(self, ticket_id: str) -> bool:
        removal = self._backend.removals.get(ticket_id)
        if removal is None or removal.kind is RemovalKind.SPAM:
            return True
        is_trashed = removal.kind is not RemovalKind.MERGED or self._merged_are_in_the_bin
        return is_trashed and self._backend.is_friendly("zoho_desk.trashed_are_readable")

    @property
    def _merged_are_in_the_bin(self) -> bool:
        return self._backend.is_friendly("zoho_desk.merged_are_in_the_bin")

    def _bin(self, request: Request) -> EndpointResult:
        backend = self._backend
        can_sort = backend.is_friendly("zoho_desk.bin_is_sorted")
        is_unlimited = backend.is_friendly("zoho_desk.bin_offset_is_unlimited")
        bin_request = parse_recycle_bin(
            request.query_params, can_sort=can_sort, is_unlimited=is_unlimited
        )
        offset, limit = bin_request.offset, bin_request.limit
        backend.shift_while_paging("gone")
        trashed = self._trashed(bin_request)
        page_versions = trashed[offset : offset + limit]
        page_versions = page_versions[: remaining_rows(backend.faults, "gone", len(page_versions))]
        rows = with_repeated_rows(
            backend.faults,
            "gone",
            page_versions,
            trashed[offset - 1] if offset and page_versions else None,
        )
        corrupt_tickets(backend.faults, "gone", rows, "deletedTime")
        return (
            EndpointResult({"data": rows}, len(rows)) if rows else EndpointResult(None, status=204)
        )

    def _trashed(self, bin_request: BinRequest) -> list[Json]:
        """Return all rows of the bin in the requested order."""
        backend = self._backend
        merged = [RemovalKind.MERGED] if self._merged_are_in_the_bin else []
        kinds = [RemovalKind.DELETED, *merged]
        rows = list(recycle_bin_rows(backend, self.raw_ticket, kinds))
        if backend.is_friendly("zoho_desk.bin_is_newest_first"):
            rows.reverse()
        if bin_request.module_id is not None:
            label = MODULE_IDS.get(bin_request.module_id)
            rows = [row for row in rows if row["type"] == label]
        rows = sorted_rows(rows, bin_request.order_by, is_ascending=bin_request.is_ascending)
        if backend.is_friendly("zoho_desk.bin_ids_are_text"):
            return rows
        return [{**row, "id": int(row["id"])} for row in rows]
