"""What the `zoho_desk` adapter speaks: the search, the recycle bin and the tickets of Zoho Desk.

The search has ten tickets a page in the order of relevance for who asks for nothing else, and
answers with an empty body where there are none. Deleted and merged tickets are in the recycle bin,
for 60 days and among other things; spam stays where it is. Tokens are issued by `zoho_desk_tokens`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from helpdesk_assets.local.simulator.dialects.zoho_desk_requests import (
    INCLUDES,
    Range,
    SearchAsk,
    read_bin,
    read_includes,
    read_search,
)
from helpdesk_assets.local.simulator.dialects.zoho_desk_tickets import milliseconds, renamed
from helpdesk_assets.local.simulator.dialects.zoho_desk_tokens import (
    ORG_ID,
    TokenServer,
    TooManyRequests,
)
from helpdesk_assets.local.simulator.fault_registry import Allowance
from helpdesk_assets.local.simulator.helpdesk import Desk, End
from helpdesk_assets.local.simulator.middleware import Answer, Gate, Refusal
from helpdesk_assets.local.simulator.response_faults import repeated, rows_kept, spoil_tickets
from helpdesk_assets.local.simulator.ticket_factory import DAY, FUTURE_ID, Json, Version

TOKENS = "/oauth/v2/token"
SEARCH = "/api/v1/tickets/search"
TICKET = "/api/v1/tickets/{ticket_id}"
BIN = "/api/v1/recycleBin"
BIN_DAYS = 60
# A range by offset; one ticket costs 1.
CREDITS_OF_A_LIST = 3
# What a call to a path needs of the token.
SCOPES = {SEARCH: "Desk.search.READ", BIN: "Desk.settings.READ"}
CODES = {
    400: "BAD_REQUEST",
    401: "INVALID_OAUTH",
    403: "FORBIDDEN",
    404: "URL_NOT_FOUND",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
}


def speak(desk: Desk, token: str) -> ZohoDeskDialect:
    return ZohoDeskDialect(desk, token)


class ZohoDeskDialect:
    """One portal over one desk; the helpdesk's token is the refresh token.

    Not documented, so either may be chosen: whether the ends of a range are inclusive, whether the
    search finds archived tickets and spam, whether a ticket in the bin can be read by its id,
    whether a merged one is in the bin or nowhere, and which way round the bin is told.
    """

    ends_are_inclusive = True
    finds_archived = True
    finds_spam = True
    shows_trashed = True
    merged_are_in_the_bin = True
    bin_is_newest_first = True

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self.tokens = TokenServer(token, lambda: desk.clock.now().timestamp())

    def routes(self, gate: Gate) -> Sequence[Route]:
        login = gate.endpoint("login", self._issue, open_to_all=True)
        return [
            Route(TOKENS, login, methods=["POST"]),
            Route(SEARCH, self._search_endpoint(gate), methods=["GET"]),
            Route(TICKET, gate.endpoint("ticket", self._ticket), methods=["GET"]),
            Route(BIN, gate.endpoint("gone", self._bin), methods=["GET"]),
        ]

    def whole(self, version: Version) -> Json:
        """As the search gives it; one in the bin as its id gives it with all that goes with it."""
        ticket = renamed(self._desk.body(version), version)
        ticket["isArchived"] = version.ticket_id in self._desk.archived
        ticket.update(version.overlay or {})
        if fate := self._desk.fates.get(version.ticket_id):
            ticket["isSpam"] = fate.end is End.SPAM
            if fate.end is not End.SPAM:
                ticket["isTrashed"] = True
        return ticket

    def authorize(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        scopes = self.tokens.scopes_of(token) if scheme == "Zoho-oauthtoken" else None
        if scopes is None:
            raise Refusal(401, "The OAuth Token you provided is invalid.")
        org = request.headers.get("orgId", request.query_params.get("orgId", ORG_ID))
        if org != ORG_ID:
            message = "The organization of the OAuth token is not the one in the request."
            raise Refusal(403, message, code="OAUTH_ORG_MISMATCH")
        if SCOPES.get(request.url.path, "Desk.tickets.READ") not in scopes:
            message = "The OAuth Token does not have the scope for this API."
            raise Refusal(403, message, code="SCOPE_MISMATCH")

    def revoke(self) -> None:
        self.tokens.end_all()

    def accept(self, token: str) -> None:
        self.tokens.accept(token)

    def refusal(self, refusal: Refusal) -> Any:
        code = refusal.code or CODES.get(refusal.status, "INTERNAL_SERVER_ERROR")
        # Only the credits of the day are told when they come back.
        if refusal.status == 429 and refusal.headers and "Retry-After" in refusal.headers:
            code = "THRESHOLD_EXCEEDED"
        if code == "Access Denied":
            return {"error": code, "error_description": str(refusal), "status": "failure"}
        return {"errorCode": code, "message": str(refusal)}

    def limits(self, allowance: Allowance) -> Mapping[str, str]:
        return {
            "X-Rate-Limit-Remaining-v3": str(allowance.remaining * CREDITS_OF_A_LIST),
            "X-Rate-Limit-Request-Weight-v3": str(CREDITS_OF_A_LIST),
        }

    def _issue(self, request: Request) -> Answer:
        try:
            return Answer(self.tokens.answer(request.state.body))
        except TooManyRequests:
            message = "You have made too many requests continuously. Please try again later."
            raise Refusal(400, message, code="Access Denied") from None

    def _search_endpoint(self, gate: Gate) -> Callable[[Request], Awaitable[Response]]:
        """One path, and two endpoints for faults."""
        listing, search = (gate.endpoint(name, self._search) for name in ("listing", "search"))

        async def serve(request: Request) -> Response:
            query = request.query_params
            is_listing = "createdTimeRange" in query and "modifiedTimeRange" not in query
            return await (listing if is_listing else search)(request)

        return serve

    def _search(self, request: Request) -> Answer:
        desk, ask = self._desk, read_search(request.query_params, self._desk.cap)
        endpoint = ask.endpoint
        desk.shift_while_paging(endpoint)
        found = self._found(ask)
        here = found[ask.offset : ask.offset + ask.limit]
        here = here[: rows_kept(desk.faults, endpoint, len(here))]
        if here and desk.faults.take("empty_page", endpoint) is not None:
            return Answer({"data": [], "count": len(found)})
        is_last = ask.offset + len(here) == len(found)
        if is_last and (params := desk.faults.take("future_row", endpoint)):
            here = [*here, self._late(params["modified"])]
        before = found[ask.offset - 1 : ask.offset] if ask.offset else []
        rows = [self.whole(version) for version in [*before, *here]]
        edge = rows.pop(0) if before else None
        rows = repeated(desk.faults, endpoint, rows, edge)
        spoil_tickets(desk.faults, endpoint, rows)
        if not rows:
            return Answer(None, status=204)
        return Answer({"data": rows, "count": len(found)}, tickets=len(rows))

    def _late(self, modified: str) -> Version:
        """The ticket of the fault `future_row`."""
        now = self._desk.clock.tick()
        return Version(FUTURE_ID, now, now, 0, {"modifiedTime": modified})

    def _found(self, ask: SearchAsk) -> list[Version]:
        found = [version for version in self._candidates(ask) if self._is_in(version, ask)]
        keys: Mapping[str, Callable[[Version], Any]] = {
            "modifiedTime": lambda version: (version.modified, version.ticket_id),
            "createdTime": lambda version: (version.created, version.ticket_id),
            # Whatever it is, it is no order to page by.
            "relevance": lambda version: version.ticket_id[::-1],
        }
        return sorted(found, key=keys[ask.order_by], reverse=not ask.is_ascending)

    def _candidates(self, ask: SearchAsk) -> Iterator[Version]:
        desk = self._desk
        lag = desk.faults.take("search_lag", ask.endpoint)
        horizon = None if lag is None else int(desk.clock.tick() - lag["seconds"])
        low, high = ask.modified or (0, 2**50)
        for store in (desk.store, desk.gone):
            if not len(store):
                continue
            within = low // 1000, high // 1000, 0, len(store)
            yield from store.modified_between(*within, horizon).versions

    def _is_in(self, version: Version, ask: SearchAsk) -> bool:
        ticket_id = version.ticket_id
        fate = self._desk.fates.get(ticket_id)
        if fate is not None and not (fate.end is End.SPAM and self.finds_spam):
            return False
        if ticket_id in self._desk.archived and not self.finds_archived:
            return False
        return (
            self._holds(ask.modified, version.modified)
            and self._holds(ask.created, version.created)
            and (ask.ids is None or ticket_id in ask.ids)
        )

    def _holds(self, ends: Range | None, second: int) -> bool:
        if ends is None:
            return True
        low, high = ends
        if self.ends_are_inclusive:
            return low <= second * 1000 <= high
        return low < second * 1000 < high

    def _ticket(self, request: Request) -> Answer:
        wanted, includes = request.path_params["ticket_id"], read_includes(request.query_params)
        version = self._desk.find(wanted)
        if wanted == FUTURE_ID and (params := self._desk.faults.standing("future_row")):
            version = self._late(params["modified"])
        if version is None or not self._is_readable(wanted):
            raise Refusal(404, "The URL you requested could not be found.")
        ticket = self.whole(version)
        for name in INCLUDES.values():
            if name not in includes:
                ticket.pop(name, None)
        ticket.setdefault("isTrashed", False)
        spoil_tickets(self._desk.faults, "ticket", [ticket])
        return Answer(ticket, tickets=1)

    def _is_readable(self, ticket_id: str) -> bool:
        fate = self._desk.fates.get(ticket_id)
        if fate is None or fate.end is End.SPAM:
            return True
        return self.shows_trashed and (self.merged_are_in_the_bin or fate.end is not End.MERGED)

    def _bin(self, request: Request) -> Answer:
        desk, (offset, limit) = self._desk, read_bin(request.query_params)
        desk.shift_while_paging("gone")
        trashed = list(self._trashed())
        if self.bin_is_newest_first:
            trashed.reverse()
        here = trashed[offset : offset + limit]
        here = here[: rows_kept(desk.faults, "gone", len(here))]
        rows = repeated(desk.faults, "gone", here, trashed[offset - 1] if offset and here else None)
        spoil_tickets(desk.faults, "gone", rows, "deletedTime")
        return Answer({"data": rows}, len(rows)) if rows else Answer(None, status=204)

    def _trashed(self) -> Iterator[Json]:
        """What lies in the bin, oldest first; each third ticket took a contact along."""
        since = self._desk.clock.tick() - BIN_DAYS * DAY
        ends = {End.DELETED, *([End.MERGED] if self.merged_are_in_the_bin else [])}
        for number, (ticket_id, fate) in enumerate(self._desk.fates.items()):
            version = self._desk.gone.get(ticket_id)
            if version is None or fate.end not in ends or fate.at < since:
                continue
            ticket = self.whole(version)
            row = {
                "id": ticket_id,
                "type": "Tickets",
                "displayName": ticket["subject"],
                "departmentId": ticket["departmentId"],
                "deletedById": "421370000000056000",
                "deletedTime": milliseconds(fate.at),
            }
            yield row
            if number % 3 == 0:
                yield {**row, "id": f"{ticket_id}9", "type": "Contacts", "displayName": "Ann Lee"}
