"""What every call of the production side passes, whichever vendor's dialect is spoken behind it.

Counting, the login, and the faults that slow, refuse or damage an answer are the same for all. How
a vendor asks, answers and refuses is in `dialects`; this module must not know any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.response_faults import (
    JsonResponse,
    TruncatedResponse,
    build_response,
)
from helpdesk_assets.local.simulator.ticket_factory import Json, TicketVersion


class ApiError(Exception):
    """The call is answered with an error status. `code` is the vendor's word for it, if any."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.code = code


@dataclass(frozen=True, slots=True)
class EndpointResult:
    """What a dialect answers; `tickets` is how many it serves. Payload None: an empty body."""

    payload: Json | list[Json] | None
    tickets: int = 0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One vendor's way of speaking, over one desk."""

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]: ...

    def raw_ticket(self, version: TicketVersion) -> Json:
        """The ticket as this vendor's lists give it: what a sync should have stored."""
        ...

    def authorize(self, request: Request) -> None:
        """Raises Refusal where the credentials are not good."""
        ...

    def revoke(self) -> None:
        """End the token that is in use."""
        ...

    def accept(self, token: str) -> None:
        """A person has made a new token: from now on it is the good one."""
        ...

    def api_error(self, api_error: ApiError) -> Any:
        """The body of an error, as this vendor writes it."""
        ...

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:
        """The headers by which this vendor tells how many calls are left."""
        ...


class CallMiddleware:
    """Turns a dialect's answers into responses of one desk."""

    def __init__(self, backend: HelpdeskBackend, dialect: Dialect) -> None:
        self._backend = backend
        self._dialect = dialect

    def endpoint(
        self, name: str, handler: Callable[[Request], EndpointResult], *, public: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that faults know as `name`. The request's body is read before `handler` is
        called and is in `request.state.body`. `public`: there is no login before it."""

        async def serve(request: Request) -> Response:
            counters = self._backend.counters
            counters.begin()
            try:
                request.state.body = await request.body()
                response, tickets = await self._respond(name, request, handler, public)
            finally:
                counters.end()
            cut = isinstance(response, TruncatedResponse)
            outcome = "dropped" if cut else str(response.status_code)
            counters.record_response(name, outcome, tickets, len(response.body))
            return response

        return serve

    async def _respond(
        self,
        endpoint: str,
        request: Request,
        handler: Callable[[Request], EndpointResult],
        public: bool,
    ) -> tuple[Response, int]:
        rate_limit_status: RateLimitStatus | None = None
        try:
            if not public:
                self._expire_token(endpoint)
                self._dialect.authorize(request)
            rate_limit_status = await self._apply_faults(endpoint)
            answer = handler(request)
        except ApiError as api_error:
            response = _error_response(self._dialect.api_error(api_error), api_error)
            tickets = 0
        else:
            response, tickets = self._to_response(endpoint, answer), answer.tickets
        if rate_limit_status is not None:
            response.headers.update(self._dialect.rate_limit_headers(rate_limit_status))
        return response, tickets

    def _expire_token(self, endpoint: str) -> None:
        if self._backend.faults.consume("token_ends", endpoint) is not None:
            self._dialect.revoke()

    def _to_response(self, endpoint: str, answer: EndpointResult) -> Response:
        if answer.payload is None:
            return Response(status_code=answer.status, headers=dict(answer.headers))
        response = build_response(self._backend.faults, endpoint, answer.payload)
        response.status_code = answer.status
        response.headers.update(answer.headers)
        return response

    async def _apply_faults(self, endpoint: str) -> RateLimitStatus | None:
        """The faults that slow a call down or keep it from being answered. What is left of the
        steady `rate_limit` is handed on."""
        faults = self._backend.faults
        if params := faults.consume("latency", endpoint):
            await asyncio.sleep(params["seconds"])
        rate_limit_status = None
        if params := faults.consume("rate_limit", endpoint):
            now = self._backend.clock.now().timestamp()
            rate_limit_status = self._backend.rate_window.count_call(
                now, params["calls"], params["window_seconds"]
            )
            if rate_limit_status.exceeded:
                raise ApiError(
                    429, "too many calls", {"Retry-After": str(rate_limit_status.reset_seconds)}
                )
        if params := faults.consume("rate_limit_429", endpoint):
            after = params["retry_after"]
            raise ApiError(
                429, "too many calls", None if after is None else {"Retry-After": str(after)}
            )
        if params := faults.consume("error_500", endpoint):
            raise ApiError(params["status"], "something went wrong on our side")
        return rate_limit_status


def _error_response(body: Any, api_error: ApiError) -> Response:
    if body is None:
        return Response(status_code=api_error.status, headers=api_error.headers)
    return JsonResponse(body, api_error.status, api_error.headers)
