"""What the `freshdesk` adapter speaks: the ticket list of Freshdesk's API v2, and single tickets.

The list is full of surprises for who asks for little: without `updated_since` it goes back 30 days,
it runs backwards, it has 30 tickets a page. It has 300 pages at most, deleted tickets and spam are
behind filters, and a merged ticket is a closed one that stays.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from helpdesk_assets.local.simulator.dialects.freshdesk_requests import (
    FILTERS,
    TICKET_INCLUDES,
    Ask,
    BadField,
    read_ask,
    read_include,
)
from helpdesk_assets.local.simulator.dialects.freshdesk_tickets import CLOSED, included, renamed
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.fault_registry import Allowance
from helpdesk_assets.local.simulator.helpdesk import Desk, End
from helpdesk_assets.local.simulator.middleware import Answer, Gate, Refusal
from helpdesk_assets.local.simulator.response_faults import repeated, rows_kept, spoil_tickets
from helpdesk_assets.local.simulator.ticket_factory import DAY, FUTURE_ID, Json, Version

TICKETS = "/api/v2/tickets"
DEFAULT_DAYS = 30
END_OF_TIME = 2**40
CODES = {401: "invalid_credentials", 403: "access_denied"}


def speak(desk: Desk, token: str) -> FreshdeskDialect:
    return FreshdeskDialect(desk, token)


class FreshdeskDialect:
    """The list and the tickets of one desk.

    Not documented, so either may be chosen: whether `since_is_inclusive`, and whether the list
    tells of archived tickets.
    """

    since_is_inclusive = True
    lists_archived = False

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self._token: str | None = token

    def routes(self, gate: Gate) -> Sequence[Route]:
        return [
            Route(TICKETS, self._list_endpoint(gate)),
            Route(f"{TICKETS}/{{ticket_id}}", gate.endpoint("ticket", self._ticket)),
        ]

    def whole(self, version: Version) -> Json:
        """As the list gives it where nothing is to be included."""
        ticket = renamed(self._desk.body(version), version)
        fate = self._desk.fates.get(version.ticket_id)
        if fate and fate.end is End.MERGED:
            ticket["status"] = CLOSED
        ticket.update(version.overlay or {})
        if fate and fate.end is End.DELETED:
            ticket["deleted"] = True
        ticket["spam"] = bool(fate and fate.end is End.SPAM)
        return ticket

    def authorize(self, request: Request) -> None:
        """The key is the user's name; any password will do."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        key = _user(value) if scheme == "Basic" else None
        if key == TOKEN_WITHOUT_RIGHTS:
            raise Refusal(403, "You are not authorized to perform this action.")
        if key is None or key != self._token:
            raise Refusal(401, "You have to be logged in to perform this action.")

    def revoke(self) -> None:
        self._token = None

    def accept(self, token: str) -> None:
        self._token = token

    def refusal(self, refusal: Refusal) -> Any:
        if isinstance(refusal, BadField):
            error = {"field": refusal.field, "message": str(refusal), "code": refusal.code}
            return {"description": "Validation failed", "errors": [error]}
        if refusal.status == 404:
            return None
        code = CODES.get(refusal.status)
        return {"code": code, "message": str(refusal)} if code else {"message": str(refusal)}

    def limits(self, allowance: Allowance) -> Mapping[str, str]:
        return {
            "X-RateLimit-Total": str(allowance.limit),
            "X-RateLimit-Remaining": str(allowance.remaining),
            "X-RateLimit-Used-CurrentRequest": "1",
        }

    def _list_endpoint(self, gate: Gate) -> Callable[[Request], Awaitable[Response]]:
        """One path, and two endpoints for faults: what is gone comes by a filter."""
        gone, living = (gate.endpoint(name, self._list) for name in ("gone", "search"))

        async def serve(request: Request) -> Response:
            is_gone = request.query_params.get("filter") in FILTERS
            return await (gone if is_gone else living)(request)

        return serve

    def _list(self, request: Request) -> Answer:
        desk, ask = self._desk, read_ask(request.query_params, self._desk.cap)
        desk.shift_while_paging(ask.endpoint)
        found = self._find(ask, ask.offset, ask.size + 1)
        here = found[: rows_kept(desk.faults, ask.endpoint, min(ask.size, len(found)))]
        goes_on = len(here) < len(found)
        if here and desk.faults.take("empty_page", ask.endpoint) is not None:
            here, goes_on = [], True
        if not goes_on and (params := desk.faults.take("future_row", ask.endpoint)):
            here = [*here, self._late(params["modified"])]
        before = self._find(ask, ask.offset - 1, 1) if ask.offset else []
        rows = [self._row(version, ask.include) for version in [*before, *here]]
        edge = rows.pop(0) if before else None
        rows = repeated(desk.faults, ask.endpoint, rows, edge)
        spoil_tickets(desk.faults, ask.endpoint, rows, "updated_at")
        following = request.url.include_query_params(page=ask.page + 1)
        headers = {"Link": f'<{following}>; rel="next"'} if goes_on else {}
        return Answer(rows, tickets=len(rows), headers=headers)

    def _late(self, modified: str) -> Version:
        """The ticket of the fault `future_row`."""
        now = self._desk.clock.tick()
        return Version(FUTURE_ID, now, now, 0, {"updated_at": modified})

    def _find(self, ask: Ask, offset: int, limit: int) -> list[Version]:
        low = 0 if ask.since is None else ask.since + (not self.since_is_inclusive)
        if self._is_simple(ask):
            return self._desk.store.modified_between(low, END_OF_TIME, offset, limit).versions
        return self._sorted(ask, low)[offset : offset + limit]

    def _is_simple(self, ask: Ask) -> bool:
        """Whether the store's own order will do."""
        is_in_order = ask.order_by == "updated_at" and ask.is_ascending and ask.since is not None
        is_all = ask.end is None and not self._desk.archived and not len(self._desk.gone)
        return is_in_order and is_all

    def _sorted(self, ask: Ask, low: int) -> list[Version]:
        desk = self._desk
        stores = [desk.gone] if ask.end else [desk.store, desk.gone]
        every = (store.modified_between(low, END_OF_TIME, 0, len(store)) for store in stores)
        found = [version for each in every for version in each.versions]
        if ask.since is None:
            since = desk.clock.tick() - DEFAULT_DAYS * DAY
            found = [version for version in found if version.created >= since]
        found = [version for version in found if self._is_listed(version.ticket_id, ask.end)]
        found.sort(key=lambda v: (self._place(v, ask.order_by), v.ticket_id))
        return found if ask.is_ascending else found[::-1]

    def _is_listed(self, ticket_id: str, end: End | None) -> bool:
        fate = self._desk.fates.get(ticket_id)
        if ticket_id in self._desk.archived and not self.lists_archived:
            return False
        return (None if fate is None or fate.end is End.MERGED else fate.end) is end

    def _place(self, version: Version, order_by: str) -> Any:
        return version.modified if order_by == "updated_at" else self.whole(version)[order_by]

    def _row(self, version: Version, include: Sequence[str]) -> Json:
        ticket = self.whole(version)
        body = self._desk.body(version) if include else {}
        for name in include:
            ticket.update(included(name, body, version))
        return ticket

    def _ticket(self, request: Request) -> Answer:
        """With its description, and whether it lives or lies in the trash."""
        wanted, query = request.path_params["ticket_id"], request.query_params
        include = read_include(query, TICKET_INCLUDES)
        version = self._desk.find(wanted)
        if wanted == FUTURE_ID and (params := self._desk.faults.standing("future_row")):
            version = self._late(params["modified"])
        if version is None:
            raise Refusal(404, "")
        rows = [self._row(version, ("description", *include))]
        spoil_tickets(self._desk.faults, "ticket", rows, "updated_at")
        return Answer(rows[0], tickets=1)


def _user(basic: str) -> str | None:
    try:
        user, colon, _ = base64.b64decode(basic, validate=True).decode().partition(":")
    except ValueError:
        return None
    return user if colon else None
