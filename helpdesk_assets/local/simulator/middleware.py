"""Handling of API calls that is the same for all vendors.

Counts calls, checks credentials, and applies the faults that delay, refuse or damage an answer.
Requests, answers and errors of a vendor are in `dialects`, which this module must not import.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
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
    """The answer is an error status. `code` is the vendor's error code, if it has one."""

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
    """A dialect's answer with a number of tickets. A `payload` of None gives an empty body."""

    payload: Json | list[Json] | None
    tickets: int = 0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """A vendor's API over one helpdesk."""

    def routes(self, middleware: CallMiddleware) -> Sequence[Route]:
        """Return the vendor's endpoints, wrapped by `middleware.endpoint`."""
        ...

    def raw_ticket(self, version: TicketVersion) -> Json:
        """Return the ticket as in this vendor's lists, which is what a sync should store."""
        ...

    def authorize(self, request: Request) -> None:
        """Check the credentials.

        Raises:
            ApiError: they are missing, unknown or insufficient.
        """
        ...

    def revoke(self) -> None:
        """Invalidate the current token."""
        ...

    def accept(self, token: str) -> None:
        """Make `token` the valid one, as when a person creates a new token."""
        ...

    def api_error(self, api_error: ApiError) -> Any:
        """Return the body of this vendor's error: JSON, text as it is, or None for an empty one."""
        ...

    def rate_limit_headers(self, rate_limit_status: RateLimitStatus) -> Mapping[str, str]:
        """Return this vendor's headers with the remaining calls."""
        ...


class CallMiddleware:
    """Wraps a dialect's handlers into endpoints of one helpdesk."""

    def __init__(self, backend: HelpdeskBackend, dialect: Dialect) -> None:
        self._backend = backend
        self._dialect = dialect

    def endpoint(
        self, name: str, handler: Callable[[Request], EndpointResult], *, public: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint for `handler`, which finds the body in `request.state.body`.

        Args:
            name: the endpoint's name for faults and counters.
            handler: makes the answer, or raises ApiError.
            public: accept calls without credentials.
        """

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
        if params := self._backend.faults.consume("date_ahead", endpoint):
            date = self._backend.clock.now() + timedelta(seconds=params["seconds"])
            response.headers["Date"] = format_datetime(date, usegmt=True)
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
        """Apply the faults that delay or refuse a call; returns the state of `rate_limit`."""
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
    if isinstance(body, str):
        return PlainTextResponse(body, api_error.status, api_error.headers)
    return JsonResponse(body, api_error.status, api_error.headers)
