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

from helpdesk_assets.local.simulator.fault_registry import Allowance
from helpdesk_assets.local.simulator.helpdesk import Desk
from helpdesk_assets.local.simulator.response_faults import CutResponse, JsonResponse, write_answer
from helpdesk_assets.local.simulator.ticket_factory import Json, Version


class Refusal(Exception):
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
class Answer:
    """What a dialect answers; `tickets` is how many it serves. Payload None: an empty body."""

    payload: Json | list[Json] | None
    tickets: int = 0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One vendor's way of speaking, over one desk."""

    def routes(self, gate: Gate) -> Sequence[Route]: ...

    def whole(self, version: Version) -> Json:
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

    def refusal(self, refusal: Refusal) -> Any:
        """The body of an error, as this vendor writes it."""
        ...

    def limits(self, allowance: Allowance) -> Mapping[str, str]:
        """The headers by which this vendor tells how many calls are left."""
        ...


class Gate:
    """Turns a dialect's answers into responses of one desk."""

    def __init__(self, desk: Desk, dialect: Dialect) -> None:
        self._desk = desk
        self._dialect = dialect

    def endpoint(
        self, name: str, build: Callable[[Request], Answer], *, open_to_all: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that faults know as `name`. The request's body is read before `build` is
        called and is in `request.state.body`. `open_to_all`: there is no login before it."""

        async def serve(request: Request) -> Response:
            counters = self._desk.counters
            counters.begin()
            try:
                request.state.body = await request.body()
                response, tickets = await self._respond(name, request, build, open_to_all)
            finally:
                counters.end()
            cut = isinstance(response, CutResponse)
            outcome = "dropped" if cut else str(response.status_code)
            counters.answered(name, outcome, tickets, len(response.body))
            return response

        return serve

    async def _respond(
        self,
        endpoint: str,
        request: Request,
        build: Callable[[Request], Answer],
        open_to_all: bool,
    ) -> tuple[Response, int]:
        allowance: Allowance | None = None
        try:
            if not open_to_all:
                self._end_token(endpoint)
                self._dialect.authorize(request)
            allowance = await self._pass_faults(endpoint)
            answer = build(request)
        except Refusal as refusal:
            response = _refused(self._dialect.refusal(refusal), refusal)
            tickets = 0
        else:
            response, tickets = self._written(endpoint, answer), answer.tickets
        if allowance is not None:
            response.headers.update(self._dialect.limits(allowance))
        return response, tickets

    def _end_token(self, endpoint: str) -> None:
        if self._desk.faults.take("token_ends", endpoint) is not None:
            self._dialect.revoke()

    def _written(self, endpoint: str, answer: Answer) -> Response:
        if answer.payload is None:
            return Response(status_code=answer.status, headers=dict(answer.headers))
        response = write_answer(self._desk.faults, endpoint, answer.payload)
        response.status_code = answer.status
        response.headers.update(answer.headers)
        return response

    async def _pass_faults(self, endpoint: str) -> Allowance | None:
        """The faults that slow a call down or keep it from being answered. What is left of the
        steady `rate_limit` is handed on."""
        faults = self._desk.faults
        if params := faults.take("latency", endpoint):
            await asyncio.sleep(params["seconds"])
        allowance = None
        if params := faults.take("rate_limit", endpoint):
            now = self._desk.clock.now().timestamp()
            allowance = self._desk.rate_window.spend(now, params["calls"], params["window_seconds"])
            if allowance.exceeded:
                raise Refusal(429, "too many calls", {"Retry-After": str(allowance.reset_seconds)})
        if params := faults.take("rate_limit_429", endpoint):
            after = params["retry_after"]
            raise Refusal(
                429, "too many calls", None if after is None else {"Retry-After": str(after)}
            )
        if params := faults.take("error_500", endpoint):
            raise Refusal(params["status"], "something went wrong on our side")
        return allowance


def _refused(body: Any, refusal: Refusal) -> Response:
    if body is None:
        return Response(status_code=refusal.status, headers=refusal.headers)
    return JsonResponse(body, refusal.status, refusal.headers)
