"""What the `rest` adapter speaks: the plain ticket API that this project defines.

`GET /v2/tickets/search`, `GET /v2/tickets` and `GET /v2/tickets/{id}`, behind a bearer token. A
deleted ticket is no more: it leaves the lists, and its id is a 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from helpdesk_assets.local.simulator.fault_registry import Allowance
from helpdesk_assets.local.simulator.helpdesk import Desk
from helpdesk_assets.local.simulator.middleware import Answer, Gate, Refusal
from helpdesk_assets.local.simulator.paging import (
    BadParameter,
    PageAsk,
    read_page_ask,
    read_range,
    write_token,
)
from helpdesk_assets.local.simulator.response_faults import (
    PageAnswer,
    damage_page,
    needs_values,
    spoil_tickets,
)
from helpdesk_assets.local.simulator.ticket_factory import FUTURE_ID, Json, Version
from helpdesk_assets.local.simulator.ticket_store import Found

# Known to the helpdesk, but with no right to anything: 403 where the other token gets 200.
TOKEN_WITHOUT_RIGHTS = "local-demo-token-without-rights"  # noqa: S105 - opens nothing


def speak(desk: Desk, token: str) -> RestDialect:
    return RestDialect(desk, token)


class RestDialect:
    """The three endpoints over one desk."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self._token: str | None = token

    def routes(self, gate: Gate) -> Sequence[Route]:
        return [
            Route("/v2/tickets/search", gate.endpoint("search", _complaining(self._search))),
            Route("/v2/tickets", gate.endpoint("listing", _complaining(self._listing))),
            Route("/v2/tickets/{ticket_id}", gate.endpoint("ticket", self._ticket)),
        ]

    def whole(self, version: Version) -> Json:
        return self._desk.whole(version)

    def authorize(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and token == TOKEN_WITHOUT_RIGHTS:
            raise Refusal(403, "this token has no right to read tickets")
        if scheme != "Bearer" or token != self._token:
            raise Refusal(401, "no such token", {"WWW-Authenticate": "Bearer"})

    def revoke(self) -> None:
        self._token = None

    def accept(self, token: str) -> None:
        self._token = token

    def refusal(self, refusal: Refusal) -> Json:
        return {"errorCode": refusal.status, "message": str(refusal)}

    def limits(self, allowance: Allowance) -> Mapping[str, str]:
        return {
            "X-RateLimit-Limit": str(allowance.limit),
            "X-RateLimit-Remaining": str(allowance.remaining),
            "X-RateLimit-Reset": str(allowance.reset_seconds),
        }

    def _search(self, request: Request) -> Answer:
        start, end = read_range(request.query_params)
        ask = read_page_ask("search", request.query_params)
        lag = self._desk.faults.take("search_lag", "search")

        def find(offset: int, limit: int) -> Found:
            horizon = None if lag is None else int(self._desk.clock.tick() - lag["seconds"])
            return self._desk.store.modified_between(start, end, offset, limit, horizon)

        return self._page("search", ask, find)

    def _listing(self, request: Request) -> Answer:
        ask = read_page_ask("listing", request.query_params)
        return self._page("listing", ask, self._desk.store.newest_first)

    def _page(self, endpoint: str, ask: PageAsk, find: Callable[[int, int], Found]) -> Answer:
        desk = self._desk
        desk.shift_while_paging(endpoint)
        found = find(ask.offset, ask.size)
        following = ask.offset + len(found.versions)
        before = find(ask.offset - 1, 1).versions if ask.offset else []
        row: Callable[[Version], Any] = desk.whole if needs_values(desk.faults) else desk.written
        page = PageAnswer(
            rows=list(map(row, found.versions)),
            next_token=write_token(endpoint, following) if following < found.total else None,
            row_before=row(before[0]) if before else None,
        )
        self._add_future_row(endpoint, ask, page)
        damage_page(desk.faults, endpoint, ask, page)
        return Answer(page.payload(), tickets=len(page.rows))

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

    def _ticket(self, request: Request) -> Answer:
        wanted = request.path_params["ticket_id"]
        future = self._desk.faults.standing("future_row")
        if wanted == FUTURE_ID and future is not None:
            return Answer(self._future_ticket(future["modified"]), tickets=1)
        version = self._desk.store.get(wanted)
        if version is None:
            raise Refusal(404, f"no ticket {wanted}")
        ticket = self._desk.whole(version)
        spoil_tickets(self._desk.faults, "ticket", [ticket])
        return Answer(ticket, tickets=1)


def _complaining(build: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """What cannot be understood of a call is a 400."""

    def built(request: Request) -> Answer:
        try:
            return build(request)
        except BadParameter as error:
            raise Refusal(400, str(error)) from None

    return built
