"""API of the `zendesk` adapter: the parts of Zendesk's Support API that a sync can use.

The incremental export contains every ticket, also archived and deleted ones, in the order of
`generated_timestamp`, except changes of the last minute. The list contains neither archived nor
deleted tickets. Merged tickets are closed, and tickets marked as spam are deleted.

Sources: developer.zendesk.com, /api-reference/ticketing/ticket-management/incremental_exports/,
/api-reference/ticketing/tickets/tickets/ and /api-reference/introduction/requests/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.dialects.zendesk_export import ExportEndpoint
from helpdesk_assets.local.simulator.dialects.zendesk_lists import ListEndpoints
from helpdesk_assets.local.simulator.dialects.zendesk_requests import (
    ListedError,
    ScopeError,
    TextError,
    check_parameters,
    parse_password,
)
from helpdesk_assets.local.simulator.dialects.zendesk_tickets import (
    API,
    ORDER_FIELD,
    to_vendor_ticket,
)
from helpdesk_assets.local.simulator.dialects.zendesk_tokens import ZendeskTokenServer
from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, RemovalKind
from helpdesk_assets.local.simulator.middleware import ApiError, CallMiddleware, EndpointResult
from helpdesk_assets.local.simulator.response_faults import (
    corrupt_tickets,
)
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion

TOKENS = "/oauth/tokens"
EXPORT = f"{API}/incremental/tickets/cursor"

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
    """Create the dialect; `token` is the API token, an OAuth token, and the client's secret."""
    return ZendeskDialect(backend, token)


class ZendeskDialect:
    """Export, list and single tickets of one helpdesk."""

    def __init__(self, backend: HelpdeskBackend, token: str) -> None:
        self._backend = backend
        self._token: str | None = token
        self._tokens = ZendeskTokenServer(token, lambda: backend.clock.now().timestamp())

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        """See `Dialect.routes`."""
        export = middleware.endpoint("search", ExportEndpoint(self._backend, self.raw_ticket))
        lists = ListEndpoints(self._backend, self._listed_ticket)
        listing = middleware.endpoint("listing", lists.listing)
        search = middleware.endpoint("listing", lists.search)
        show_many = middleware.endpoint("listing", lists.show_many)
        login = middleware.endpoint("login", self._issue_token, public=True)
        # The suffix `.json` is optional on every endpoint.
        return [
            Route(TOKENS, login, methods=["POST"]),
            *(Route(f"{EXPORT}{suffix}", export) for suffix in ("", ".json")),
            *(Route(f"{API}/tickets{suffix}", listing) for suffix in ("", ".json")),
            *(Route(f"{API}/search{suffix}", search) for suffix in ("", ".json")),
            *(Route(f"{API}/tickets/show_many{suffix}", show_many) for suffix in ("", ".json")),
            Route(f"{API}/tickets/{{ticket_id}}", middleware.endpoint("ticket", self._ticket)),
            # Also what another plan has.
            Route(f"{API}/{{path:path}}", middleware.endpoint("listing", _no_endpoint)),
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
        if scheme == "Bearer" and (issued := self._tokens.find(value)):
            if "read" not in issued.scopes:
                raise ScopeError(403, "You are missing the following required scopes: read")
            _check_role(request, is_admin=issued.is_admin)
            return
        token = (
            value if scheme == "Bearer" else parse_password(value) if scheme == "Basic" else None
        )
        if token != TOKEN_WITHOUT_RIGHTS and (token is None or token != self._token):
            if scheme == "Bearer":
                message = "The access token provided is expired, revoked, malformed or invalid."
                raise ApiError(401, message, code="invalid_token")
            raise ApiError(401, "")
        _check_role(request, is_admin=token != TOKEN_WITHOUT_RIGHTS)

    def revoke(self) -> None:
        """See `Dialect.revoke`."""
        self._token = None
        self._tokens.revoke_all()

    def accept(self, token: str) -> None:
        """See `Dialect.accept`."""
        self._token = token
        self._tokens.accept(token)

    def api_error(self, api_error: ApiError) -> Any:
        """See `Dialect.api_error`."""
        error = api_error.code or ERRORS.get(api_error.status, "InternalError")
        if isinstance(api_error, TextError):
            return str(api_error)
        if isinstance(api_error, ListedError):
            return {"errors": [{"code": error, "title": error, "detail": str(api_error)}]}
        if error.islower():
            # OAuth's own, whose codes are in lower case (RFC 6749, 5.2).
            return {"error": error, "error_description": str(api_error)}
        if api_error.status == 403 and not isinstance(api_error, ScopeError):
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
            "zendesk-ratelimit-incremental-exports": f"total={limit}; remaining={remaining}; "
            f"resets={rate_limit_status.reset_seconds}",
        }

    def _ticket(self, request: Request) -> EndpointResult:
        check_parameters(self._backend, request.query_params, frozenset())
        ticket_id = request.path_params["ticket_id"].removesuffix(".json")
        rows = [self._listed_ticket(ticket_id)]
        corrupt_tickets(self._backend.faults, "ticket", rows, "updated_at")
        return EndpointResult({"ticket": rows[0]}, tickets=1)

    def _issue_token(self, request: Request) -> EndpointResult:
        is_200 = self._backend.is_friendly("zendesk.token_answer_is_200")
        answer = self._tokens.issue_token(request.state.body)
        return EndpointResult(answer, status=200 if is_200 else 201)

    def _listed_ticket(self, ticket_id: str) -> Json:
        """Return the ticket as in the list and by id; a deleted one is a 404."""
        version = self._backend.find(ticket_id)
        ticket = None if version is None else self.raw_ticket(version)
        if ticket is None or ticket["status"] == "deleted":
            raise ApiError(404, "Not found")
        del ticket[ORDER_FIELD]
        return ticket


def _no_endpoint(_: Request) -> EndpointResult:
    raise ApiError(404, "Not found", code="InvalidEndpoint")


def _check_role(request: Request, *, is_admin: bool) -> None:
    """Check that whoever exports is an admin (incremental_exports/, "Allowed for")."""
    if not is_admin and request.url.path.startswith(f"{API}/incremental/"):
        raise ApiError(403, "You do not have access to this page.")
