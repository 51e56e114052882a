"""API of the `freshdesk` adapter: lists of Freshdesk's API v2, single tickets, and the key's agent.

The list has surprising defaults: tickets of the last 30 days unless `updated_since` is given,
newest first, 30 tickets per page. It ends after 300 pages. Deleted tickets and spam need a filter.
A merged ticket is closed and stays in the list. An archived ticket is in no list and a 404 by its
id: it has a path of its own, which some plans lack. (developers.freshdesk.com/api; where a source
is another one, it stands beside the fact.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from helpdesk_assets.local.simulator.dialects.freshdesk_limits import (
    LIST_CREDITS,
    ListLimit,
    count_credits,
    to_headers,
    with_limit_headers,
)
from helpdesk_assets.local.simulator.dialects.freshdesk_requests import (
    FILTERS,
    LIST_PARAMETERS,
    TICKET_INCLUDES,
    InvalidField,
    ListRequest,
    basic_user,
    check_accept,
    check_names,
    parse_include,
    parse_list_request,
)
from helpdesk_assets.local.simulator.dialects.freshdesk_tickets import (
    CLOSED,
    included_fields,
    to_vendor_ticket,
)
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, RemovalKind
from helpdesk_assets.local.simulator.middleware import ApiError, CallMiddleware, EndpointResult
from helpdesk_assets.local.simulator.response_faults import (
    corrupt_tickets,
    remaining_rows,
    with_repeated_rows,
)
from helpdesk_assets.local.simulator.ticket_factory import DAY, FUTURE_ID, Json, TicketVersion

TICKETS = "/api/v2/tickets"
SUSPENDED_KEY = "local-demo-key-of-a-suspended-account"
DEFAULT_DAYS = 30
END_OF_TIME = 2**40
CODES = {401: "invalid_credentials", 403: "access_denied"}
# What accounts of a plan without it were answered (seen on trial accounts in August 2026).
NO_ARCHIVE = "The Archive Tickets feature(s) is/are not supported in your plan."
GLOBAL_SCOPE = 1


def create_dialect(backend: HelpdeskBackend, token: str) -> FreshdeskDialect:
    """Create the dialect; `token` is the API key."""
    return FreshdeskDialect(backend, token)


class FreshdeskDialect:
    """Lists and single tickets of one helpdesk.

    Attributes:
        plan_has_archive: whether the plan has the path of archived tickets.
        ticket_scope: of the key's agent; 1 global, 2 its groups, 3 restricted.
        lists_per_minute: what the plan allows for the ticket list, in calls; None: no limit.
            Growth 20, Pro 100, Enterprise 200 (support.freshdesk.com 225439).
    """

    plan_has_archive = True
    ticket_scope = GLOBAL_SCOPE
    lists_per_minute: int | None = None

    def __init__(self, backend: HelpdeskBackend, token: str) -> None:
        self._backend = backend
        self._token: str | None = token
        self._list_limit = ListLimit()

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        """See `Dialect.routes`."""
        return [
            Route(path, with_limit_headers(endpoint, LIST_CREDITS if path == TICKETS else 1))
            for path, endpoint in (
                (TICKETS, self._list_endpoint(middleware)),
                (
                    f"{TICKETS}/archived/{{ticket_id}}",
                    middleware.endpoint("ticket", self._archived),
                ),
                (f"{TICKETS}/{{ticket_id}}", middleware.endpoint("ticket", self._ticket)),
                ("/api/v2/agents/me", middleware.endpoint("login", self._me)),
            )
        ]

    def raw_ticket(self, version: TicketVersion) -> Json:
        """See `Dialect.raw_ticket`; the ticket as in the list without `include`."""
        ticket = to_vendor_ticket(self._backend.body(version), version)
        removal = self._backend.removals.get(version.ticket_id)
        if removal and removal.kind is RemovalKind.MERGED:
            ticket["status"] = CLOSED
        ticket.update(version.overlay or {})
        if removal and removal.kind is RemovalKind.DELETED:
            ticket["deleted"] = True
        ticket["spam"] = bool(removal and removal.kind is RemovalKind.SPAM)
        return ticket

    def authorize(self, request: Request) -> None:
        """See `Dialect.authorize`; the API key is the user name, with any password."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        key = basic_user(value) if scheme == "Basic" else None
        if key == SUSPENDED_KEY:
            raise ApiError(403, "Your account has been suspended.", code="account_suspended")
        if key == TOKEN_WITHOUT_RIGHTS:
            raise ApiError(403, "You are not authorized to perform this action.")
        if key is None or key != self._token:
            raise ApiError(401, "You have to be logged in to perform this action.")

    def revoke(self) -> None:
        """See `Dialect.revoke`."""
        self._token = None

    def accept(self, token: str) -> None:
        """See `Dialect.accept`."""
        self._token = token

    def api_error(self, api_error: ApiError) -> Any:
        """See `Dialect.api_error`."""
        if isinstance(api_error, InvalidField):
            error = {"field": api_error.field, "message": str(api_error), "code": api_error.code}
            return {"description": "Validation failed", "errors": [error]}
        if api_error.status == 404:
            return None
        code = api_error.code or CODES.get(api_error.status)
        return {"code": code, "message": str(api_error)} if code else {"message": str(api_error)}

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:
        """See `Dialect.rate_limit_headers`."""
        return to_headers(rate_limit_status)

    def _check_request(self, request: Request, known: Sequence[str]) -> None:
        """Check what every request must keep to; `known` are its parameters."""
        check_accept(request.headers)
        if not self._backend.is_friendly("freshdesk.unknown_parameter_is_ignored"):
            check_names(request.query_params, known)

    def _list_endpoint(
        self, middleware: CallMiddleware
    ) -> Callable[[Request], Awaitable[Response]]:
        """Serve one path as two endpoints for faults, since a filter selects removed tickets."""
        removed_endpoint, live_endpoint = (
            middleware.endpoint(name, self._list) for name in ("gone", "search")
        )

        async def serve(request: Request) -> Response:
            is_removed = request.query_params.get("filter") in FILTERS
            return await (removed_endpoint if is_removed else live_endpoint)(request)

        return serve

    def _list(self, request: Request) -> EndpointResult:
        backend, query = self._backend, request.query_params
        is_spared = backend.is_friendly("freshdesk.include_spares_the_list_limit")
        credits_used = 1 if is_spared else count_credits(query, LIST_CREDITS)
        # Before anything else: an invalid request counts too (support.freshdesk.com 225439).
        self._list_limit.charge(
            backend.clock.now().timestamp(), self.lists_per_minute, credits_used
        )
        self._check_request(request, LIST_PARAMETERS)
        page_request = parse_list_request(query, backend.cap)
        backend.shift_while_paging(page_request.endpoint)
        found = self._find(page_request, page_request.offset, page_request.size + 1)
        page_versions = found[
            : remaining_rows(
                backend.faults, page_request.endpoint, min(page_request.size, len(found))
            )
        ]
        has_more = len(page_versions) < len(found)
        if (
            page_versions
            and backend.faults.consume("empty_page", page_request.endpoint) is not None
        ):
            page_versions, has_more = [], True
        if not has_more and (params := backend.faults.consume("future_row", page_request.endpoint)):
            page_versions = [*page_versions, self._future_version(params["modified"])]
        before = self._find(page_request, page_request.offset - 1, 1) if page_request.offset else []
        rows = [self._row(version, page_request.include) for version in [*before, *page_versions]]
        edge = rows.pop(0) if before else None
        rows = with_repeated_rows(backend.faults, page_request.endpoint, rows, edge)
        corrupt_tickets(backend.faults, page_request.endpoint, rows, "updated_at")
        next_url = request.url.include_query_params(page=page_request.page + 1)
        headers = {"Link": f'<{next_url}>; rel="next"'} if has_more else {}
        return EndpointResult(rows, tickets=len(rows), headers=headers)

    def _future_version(self, modified: str) -> TicketVersion:
        """Return the ticket of the fault `future_row`."""
        now = self._backend.clock.tick()
        return TicketVersion(FUTURE_ID, now, now, 0, {"updated_at": modified})

    def _find(self, page_request: ListRequest, offset: int, limit: int) -> list[TicketVersion]:
        is_inclusive = self._backend.is_friendly("freshdesk.since_includes_its_second")
        low = 0 if page_request.since is None else page_request.since + (not is_inclusive)
        if self._is_simple(page_request):
            return self._backend.store.modified_between(low, END_OF_TIME, offset, limit).versions
        return self._sorted(page_request, low)[offset : offset + limit]

    def _is_simple(self, page_request: ListRequest) -> bool:
        """Return whether the store's order gives the answer, without sorting."""
        is_in_order = (
            page_request.order_by == "updated_at"
            and page_request.is_ascending
            and page_request.since is not None
        )
        is_all = (
            page_request.removal_kind is None
            and not self._backend.archived
            and not len(self._backend.removed)
        )
        return is_in_order and is_all

    def _sorted(self, page_request: ListRequest, low: int) -> list[TicketVersion]:
        backend = self._backend
        stores = (
            [backend.removed] if page_request.removal_kind else [backend.store, backend.removed]
        )
        candidates = (store.modified_between(low, END_OF_TIME, 0, len(store)) for store in stores)
        found = [version for each in candidates for version in each.versions]
        if page_request.since is None:
            since = backend.clock.tick() - DEFAULT_DAYS * DAY
            found = [version for version in found if version.created >= since]
        found = [
            version
            for version in found
            if self._is_listed(version.ticket_id, page_request.removal_kind)
        ]
        found.sort(key=lambda v: (self._sort_value(v, page_request.order_by), v.ticket_id))
        return found if page_request.is_ascending else found[::-1]

    def _is_listed(self, ticket_id: str, kind: RemovalKind | None) -> bool:
        removal = self._backend.removals.get(ticket_id)
        if ticket_id in self._backend.archived:
            return False
        return (
            None if removal is None or removal.kind is RemovalKind.MERGED else removal.kind
        ) is kind

    def _sort_value(self, version: TicketVersion, order_by: str) -> Any:
        return version.modified if order_by == "updated_at" else self.raw_ticket(version)[order_by]

    def _row(self, version: TicketVersion, include: Sequence[str]) -> Json:
        ticket = self.raw_ticket(version)
        body = self._backend.body(version) if include else {}
        for name in include:
            ticket.update(included_fields(name, body, version))
        return ticket

    def _ticket(self, request: Request) -> EndpointResult:
        """Answer with the ticket and its description."""
        self._check_request(request, ("include",))
        ticket_id, backend = request.path_params["ticket_id"], self._backend
        include = parse_include(request.query_params, TICKET_INCLUDES)
        shows_removed = backend.is_friendly("freshdesk.deleted_answer_to_their_id")
        is_shown = shows_removed or self._is_listed(ticket_id, None)
        version = backend.find(ticket_id) if is_shown else None
        if ticket_id in backend.archived:
            version = None
        if ticket_id == FUTURE_ID and (params := self._backend.faults.active("future_row")):
            version = self._future_version(params["modified"])
        if version is None:
            raise ApiError(404, "")
        return self._one(self._row(version, ("description", *include)))

    def _archived(self, request: Request) -> EndpointResult:
        """Answer with an archived ticket; one that was deleted there is gone for good."""
        self._check_request(request, ())
        if not self.plan_has_archive:
            raise ApiError(403, NO_ARCHIVE, code="require_feature")
        ticket_id = request.path_params["ticket_id"]
        is_archived = ticket_id in self._backend.archived
        version = self._backend.store.get(ticket_id) if is_archived else None
        if version is None:
            raise ApiError(404, "")
        return self._one({**self._row(version, ("description",)), "archived": True})

    def _one(self, ticket: Json) -> EndpointResult:
        corrupt_tickets(self._backend.faults, "ticket", [ticket], "updated_at")
        return EndpointResult(ticket, tickets=1)

    def _me(self, request: Request) -> EndpointResult:
        """Answer with the key's agent (developers.freshdesk.com/api/#me)."""
        self._check_request(request, ())
        contact = {"name": "Sync", "email": "sync@example.com"}
        return EndpointResult({"id": 1, "ticket_scope": self.ticket_scope, "contact": contact})
