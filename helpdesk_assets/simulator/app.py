"""The production side of the simulated helpdesk: what the `rest` adapter speaks.

`GET /v2/tickets/search`, `GET /v2/tickets` and `GET /v2/tickets/{id}`, behind a bearer token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpdesk_assets.simulator.admin import AdminApi
from helpdesk_assets.simulator.damage import (
    CutResponse,
    JsonResponse,
    PageAnswer,
    damage_page,
    spoil_tickets,
    write_answer,
)
from helpdesk_assets.simulator.desk import Desk
from helpdesk_assets.simulator.paging import (
    BadParameter,
    PageAsk,
    read_page_ask,
    read_range,
    write_token,
)
from helpdesk_assets.simulator.store import Found
from helpdesk_assets.simulator.tickets import FUTURE_ID, Json, Version

# Known to the helpdesk, but with no right to anything: 403 where the other token gets 200.
TOKEN_WITHOUT_RIGHTS = "local-demo-token-without-rights"  # noqa: S105 - opens nothing


class Refusal(Exception):
    """The call is answered with an error status."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class ProductionApi:
    """The three endpoints over one desk."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self._token = token

    def routes(self) -> list[Route]:
        return [
            Route("/v2/tickets/search", self._endpoint("search", self._search)),
            Route("/v2/tickets", self._endpoint("listing", self._listing)),
            Route("/v2/tickets/{ticket_id}", self._endpoint("ticket", self._ticket)),
        ]

    def _endpoint(
        self, name: str, build: Callable[[Request], Json]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            counters = self._desk.counters
            counters.begin()
            try:
                response, tickets = await self._respond(name, request, build)
            finally:
                counters.end()
            cut = isinstance(response, CutResponse)
            outcome = "dropped" if cut else str(response.status_code)
            counters.answered(name, outcome, tickets, len(response.body))
            return response

        return serve

    async def _respond(
        self, endpoint: str, request: Request, build: Callable[[Request], Json]
    ) -> tuple[Response, int]:
        try:
            self._authorize(request)
            await self._pass_faults(endpoint)
            payload = build(request)
        except Refusal as refusal:
            body = {"errorCode": refusal.status, "message": str(refusal)}
            return JsonResponse(body, refusal.status, refusal.headers), 0
        except BadParameter as error:
            return JsonResponse({"errorCode": 400, "message": str(error)}, 400), 0
        response = write_answer(self._desk.faults, endpoint, payload)
        return response, len(payload["tickets"]) if "tickets" in payload else 1

    def _authorize(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and token == TOKEN_WITHOUT_RIGHTS:
            raise Refusal(403, "this token has no right to read tickets")
        if scheme != "Bearer" or token != self._token:
            raise Refusal(401, "no such token", {"WWW-Authenticate": "Bearer"})

    async def _pass_faults(self, endpoint: str) -> None:
        """The faults that slow a call down or keep it from being answered."""
        faults = self._desk.faults
        if params := faults.take("latency", endpoint):
            await asyncio.sleep(params["seconds"])
        if params := faults.take("rate_limit", endpoint):
            now = self._desk.clock.now().timestamp()
            wait = self._desk.rate_window.seconds_to_wait(
                now, params["calls"], params["window_seconds"]
            )
            if wait is not None:
                raise Refusal(429, "too many calls", {"Retry-After": str(wait)})
        if params := faults.take("rate_limit_429", endpoint):
            after = params["retry_after"]
            raise Refusal(
                429, "too many calls", None if after is None else {"Retry-After": str(after)}
            )
        if params := faults.take("error_500", endpoint):
            raise Refusal(params["status"], "something went wrong on our side")

    def _search(self, request: Request) -> Json:
        start, end = read_range(request.query_params)
        ask = read_page_ask("search", request.query_params)
        lag = self._desk.faults.take("search_lag", "search")

        def find(offset: int, limit: int) -> Found:
            horizon = None if lag is None else int(self._desk.clock.tick() - lag["seconds"])
            return self._desk.store.modified_between(start, end, offset, limit, horizon)

        return self._page("search", ask, find)

    def _listing(self, request: Request) -> Json:
        ask = read_page_ask("listing", request.query_params)
        return self._page("listing", ask, self._desk.store.newest_first)

    def _page(self, endpoint: str, ask: PageAsk, find: Callable[[int, int], Found]) -> Json:
        desk = self._desk
        if shift := desk.faults.take("changes_while_paging", endpoint):
            desk.change(desk.choose(shift["changes"]), spread_seconds=shift["advance_seconds"])
        found = find(ask.offset, ask.size)
        following = ask.offset + len(found.versions)
        before = find(ask.offset - 1, 1).versions if ask.offset else []
        page = PageAnswer(
            rows=[desk.whole(version) for version in found.versions],
            next_token=write_token(endpoint, following) if following < found.total else None,
            row_before=desk.whole(before[0]) if before else None,
        )
        self._add_future_row(endpoint, ask, page)
        damage_page(desk.faults, endpoint, ask, page)
        return page.payload()

    def _add_future_row(self, endpoint: str, ask: PageAsk, page: PageAnswer) -> None:
        """Where its time puts it: at the end of the search, at the beginning of the listing."""
        at_its_place = page.next_token is None if endpoint == "search" else ask.offset == 0
        if at_its_place and (params := self._desk.faults.take("future_row", endpoint)):
            place = len(page.rows) if endpoint == "search" else 0
            page.rows.insert(place, self._future_ticket(params["modified"]))

    def _future_ticket(self, modified: str) -> Json:
        now = self._desk.clock.tick()
        version = Version(FUTURE_ID, now, now, 0, {"modifiedTime": modified})
        return self._desk.whole(version)

    def _ticket(self, request: Request) -> Json:
        wanted = request.path_params["ticket_id"]
        future = self._desk.faults.standing("future_row")
        if wanted == FUTURE_ID and future is not None:
            return self._future_ticket(future["modified"])
        version = self._desk.store.get(wanted)
        if version is None:
            raise Refusal(404, f"no ticket {wanted}")
        ticket = self._desk.whole(version)
        spoil_tickets(self._desk.faults, "ticket", [ticket])
        return ticket


class ClockHeader:
    """Puts the `Date` of the helpdesk's own clock on every answer, errors included."""

    def __init__(self, app: ASGIApp, now: Callable[[], datetime]) -> None:
        self._app = app
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._now(), usegmt=True).encode()
                message["headers"] = [*message.get("headers", ()), (b"date", date)]
            await send(message)

        await self._app(scope, receive, send_dated)


async def _say_in_json(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body = {"errorCode": error.status_code, "message": f"{error.detail}: {request.url.path}"}
    return JsonResponse(body, error.status_code, error.headers)


def build_app(desk: Desk, token: str) -> ASGIApp:
    """The whole helpdesk as an ASGI application."""
    app = Starlette(
        routes=[*ProductionApi(desk, token).routes(), *AdminApi(desk).routes()],
        exception_handlers={HTTPException: _say_in_json},
    )
    return ClockHeader(app, desk.clock.now)
