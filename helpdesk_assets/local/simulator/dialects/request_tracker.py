"""API of the `request_tracker` adapter: the parts of RT's REST 2 that a sync can use.

The search finds neither deleted nor merged tickets; the transactions that removed them are listed
separately. Spam is deleted. A page has at most 100 rows, and a larger `per_page` is reduced without
an error. Times in a query are in the time zone of the calling user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import Route

from helpdesk_assets.local.simulator.dialects.request_tracker_search import ticket_finder
from helpdesk_assets.local.simulator.dialects.request_tracker_sql import (
    InvalidQuery,
    conditions,
    matches,
    parse_query,
)
from helpdesk_assets.local.simulator.dialects.request_tracker_tickets import (
    FIELDS,
    FIELDS_OF_LISTS,
    SITE,
    link,
    selected_fields,
    to_vendor_ticket,
)
from helpdesk_assets.local.simulator.dialects.request_tracker_transactions import (
    matches_row,
    removal_transactions,
)
from helpdesk_assets.local.simulator.dialects.request_tracker_users import (
    SERVER_ZONE,
    USERS,
    describe_user,
    parse_authorization,
)
from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, Removal, RemovalKind
from helpdesk_assets.local.simulator.middleware import ApiError, CallMiddleware, EndpointResult
from helpdesk_assets.local.simulator.response_faults import (
    corrupt_tickets,
    remaining_rows,
    with_repeated_rows,
)
from helpdesk_assets.local.simulator.ticket_factory import FUTURE_ID, Json, TicketVersion

API = "/REST/2.0"
# Fields of answers; `fields[Owner]` and the like name sub-fields.
FIELD_PARAMETER = re.compile(r"fields(\[\w+\])*")
LIST_PARAMETERS = ("query", "orderby", "order", "page", "per_page")
MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE = 100, 20


def create_dialect(backend: HelpdeskBackend, token: str) -> RequestTrackerDialect:
    """Create the dialect; `token` is the password of every user."""
    return RequestTrackerDialect(backend, token)


class RequestTrackerDialect:
    """Search of tickets and transactions, single tickets, and users of one helpdesk."""

    def __init__(self, backend: HelpdeskBackend, token: str) -> None:
        self._backend = backend
        self._token: str | None = token

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        """See `Dialect.routes`."""
        return [
            Route(
                f"{API}/tickets", middleware.endpoint("search", _bad_request_on_error(self._search))
            ),
            Route(
                f"{API}/ticket/{{ticket_id}}",
                middleware.endpoint("ticket", self._ticket),
            ),
            Route(
                f"{API}/transactions",
                middleware.endpoint("gone", _bad_request_on_error(self._transactions)),
            ),
            Route(
                f"{API}/user/{{name}}",
                middleware.endpoint("login", self._user),
            ),
        ]

    def raw_ticket(self, version: TicketVersion) -> Json:
        """See `Dialect.raw_ticket`; the ticket as in a list with all fields.

        A deleted ticket is in no list. It has the single ticket's fields, with values as in lists.
        """
        ticket = self._row(version)
        if self._removal(version.ticket_id) is None:
            return ticket
        for name in (*FIELDS_OF_LISTS, "type", "_url"):
            del ticket[name]
        return {**ticket, "EffectiveId": link("ticket", version.ticket_id)}

    def authorize(self, request: Request) -> None:
        """See `Dialect.authorize`."""
        name, password = parse_authorization(request.headers.get("authorization", ""))
        if name not in USERS or password != self._token:
            raise ApiError(401, "Unauthorized")
        request.state.user = USERS[name]

    def revoke(self) -> None:
        """See `Dialect.revoke`."""
        self._token = None

    def accept(self, token: str) -> None:
        """See `Dialect.accept`."""
        self._token = token

    def api_error(self, api_error: ApiError) -> Json:
        """See `Dialect.api_error`."""
        return {"message": str(api_error)}

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:  # noqa: ARG002 - the signature of `Dialect`
        """Return no headers, since RT has none."""
        return {}

    def _search(self, request: Request) -> EndpointResult:
        self._refuse_unknown(request, *LIST_PARAMETERS)
        query, user = request.query_params, request.state.user
        size, number = _paging(query)
        if not query.get("query"):
            return EndpointResult(_page([], number, size, 0, query))
        query_conditions = list(conditions(parse_query(query["query"])))
        self._backend.shift_while_paging("search")
        find = ticket_finder(
            self._backend,
            query_conditions,
            query.getlist("orderby"),
            query.get("order", "ASC"),
            ZoneInfo(user.zone or SERVER_ZONE),
        )
        found = find((number - 1) * size, size)
        versions = found.versions if user.can_see_tickets else []
        total = found.total if user.can_see_tickets else 0
        rows = [selected_fields(self._row(version), query) for version in versions]
        is_last = number * size >= total
        if is_last and (params := self._backend.faults.consume("future_row", "search")):
            now = self._backend.clock.tick()
            future_version = TicketVersion(
                FUTURE_ID, now, now, 0, {"LastUpdated": params["modified"]}
            )
            rows, total = [*rows, selected_fields(self._row(future_version), query)], total + 1
        rows = self._with_row_faults(rows)
        return EndpointResult(_page(rows, number, size, total, query), tickets=len(rows))

    def _transactions(self, request: Request) -> EndpointResult:
        self._refuse_unknown(request, *LIST_PARAMETERS)
        query, user = request.query_params, request.state.user
        node, zone = parse_query(query.get("query", "")), ZoneInfo(user.zone or SERVER_ZONE)
        is_utc = self._backend.is_friendly("request_tracker.ticket_times_are_utc")
        ticket_zone = ZoneInfo("UTC") if is_utc else zone
        size, number = _paging(query)
        rows = [
            row
            for row in removal_transactions(self._backend)
            if user.can_see_tickets
            and matches(node, lambda c, row=row: matches_row(c, row, zone, ticket_zone))  # type: ignore[misc]
        ]
        page = [selected_fields(row, query) for row in rows[(number - 1) * size : number * size]]
        total = len(rows) if user.is_superuser else None
        return EndpointResult(_page(page, number, size, total, query))

    def _ticket(self, request: Request) -> EndpointResult:
        self._refuse_unknown(request)
        version = self._backend.find(request.path_params["ticket_id"])
        while (
            version
            and (removal := self._removal(version.ticket_id))
            and removal.kind is RemovalKind.MERGED
        ):
            version = self._backend.find(str(removal.into))
        if version is None:
            raise ApiError(404, "Not Found")
        if not request.state.user.can_see_tickets:
            raise ApiError(403, "Forbidden")
        row = self._row(version)
        single = {name: row[name] for name in FIELDS}
        single["id"] = int(version.ticket_id)
        single["CustomFields"] = row["CustomFields"] or []
        single["EffectiveId"] = link("ticket", version.ticket_id)
        single["_hyperlinks"] = [{"ref": "self", **link("ticket", version.ticket_id)}]
        if "fields[Queue]" not in request.query_params:
            single["Queue"] = link("queue", row["Queue"]["id"])
        corrupt_tickets(self._backend.faults, "ticket", [single], "LastUpdated")
        return EndpointResult(single, tickets=1)

    def _user(self, request: Request) -> EndpointResult:
        self._refuse_unknown(request)
        requested = request.path_params["name"]
        for name, user in USERS.items():
            if requested in (name, str(user.number)):
                return EndpointResult(describe_user(name, request.state.user))
        raise ApiError(404, "Not Found")

    def _refuse_unknown(self, request: Request, *known: str) -> None:
        if self._backend.is_friendly("request_tracker.unknown_parameter_is_ignored"):
            return
        for name in request.query_params:
            if name not in known and not FIELD_PARAMETER.fullmatch(name):
                raise ApiError(400, f"Unknown parameter: {name}")

    def _removal(self, ticket_id: str) -> Removal | None:
        return self._backend.removals.get(ticket_id)

    def _row(self, version: TicketVersion) -> Json:
        """Return the ticket as in a list with all fields."""
        ticket = to_vendor_ticket(self._backend.body(version), version)
        fields_shown = {*FIELDS, *FIELDS_OF_LISTS}
        ticket.update({k: v for k, v in (version.overlay or {}).items() if k in fields_shown})
        if self._removal(version.ticket_id) is not None:
            ticket["Status"] = "deleted"
        return ticket

    def _with_row_faults(self, rows: list[Json]) -> list[Json]:
        faults = self._backend.faults
        rows = with_repeated_rows(faults, "search", rows, None)
        corrupt_tickets(faults, "search", rows, "LastUpdated")
        rows = rows[: remaining_rows(faults, "search", len(rows))]
        return [] if rows and faults.consume("empty_page", "search") is not None else rows


def _paging(query: QueryParams) -> tuple[int, int]:
    """Return page size and page number; invalid or too large values are replaced, not refused."""
    size, number = query.get("per_page", ""), query.get("page", "")
    rows = int(size) if size.isdecimal() and int(size) else DEFAULT_PAGE_SIZE
    return min(rows, MAX_PAGE_SIZE), int(number) if number.isdecimal() and int(number) else 1


def _page(rows: list[Json], number: int, size: int, total: int | None, query: QueryParams) -> Json:
    # Without rows, RT's number of pages is 0.0.
    pages = None if total is None else -(-total // size) or 0.0
    page: Json = {
        "count": len(rows),
        "total": total,
        "per_page": size,
        "page": number,
        "pages": pages,
        "items": rows,
    }
    if pages and number < pages:
        page["next_page"] = f"{SITE}/tickets?{query}&page={number + 1}"
    return page


def _bad_request_on_error(
    handler: Callable[[Request], EndpointResult],
) -> Callable[[Request], EndpointResult]:
    """Wrap a handler: an invalid query becomes a 400."""

    def built(request: Request) -> EndpointResult:
        try:
            return handler(request)
        except InvalidQuery as error:
            raise ApiError(400, str(error)) from None

    return built
