"""What the `request_tracker` adapter speaks: the parts of RT's REST 2 that a sync may use.

A search knows neither deleted nor merged tickets; the transactions that took them out do. Spam is
deleted here. A list gives no more than 100 rows, by page number, and says nothing when more were
asked for. Times of a query are read in the zone of whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import Route

from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.dialects.request_tracker_sql import (
    BadQuery,
    Condition,
    conditions,
    holds,
    read_query,
    read_time,
)
from helpdesk_assets.local.simulator.dialects.request_tracker_tickets import (
    FIELDS,
    FIELDS_OF_LISTS,
    SITE,
    link,
    renamed,
    shown,
)
from helpdesk_assets.local.simulator.dialects.request_tracker_users import (
    SERVER_ZONE,
    USERS,
    User,
    told_of,
    who,
)
from helpdesk_assets.local.simulator.fault_registry import Allowance
from helpdesk_assets.local.simulator.helpdesk import Desk, End, Fate
from helpdesk_assets.local.simulator.middleware import Answer, Gate, Refusal
from helpdesk_assets.local.simulator.response_faults import repeated, rows_kept, spoil_tickets
from helpdesk_assets.local.simulator.ticket_factory import FUTURE_ID, Json, Version
from helpdesk_assets.local.simulator.ticket_store import Found

API = "/REST/2.0"
LARGEST_PAGE, USUAL_PAGE = 100, 20
END_OF_TIME = 253_402_300_799


def speak(desk: Desk, token: str) -> RequestTrackerDialect:
    return RequestTrackerDialect(desk, token)


class RequestTrackerDialect:
    """Searches for tickets and transactions, single tickets, and users, of one desk."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self._token: str | None = token

    def routes(self, gate: Gate) -> Sequence[Route]:
        return [
            Route(f"{API}/tickets", gate.endpoint("search", _complaining(self._search))),
            Route(f"{API}/ticket/{{ticket_id}}", gate.endpoint("ticket", self._ticket)),
            Route(f"{API}/transactions", gate.endpoint("gone", _complaining(self._transactions))),
            Route(f"{API}/user/{{name}}", gate.endpoint("login", self._user)),
        ]

    def whole(self, version: Version) -> Json:
        """As lists give it with all their fields; a deleted one, which is in no list, as its id
        answers, in the form of lists."""
        ticket = self._row(version)
        if self._fate(version.ticket_id) is None:
            return ticket
        for name in (*FIELDS_OF_LISTS, "type", "_url"):
            del ticket[name]
        return {**ticket, "EffectiveId": link("ticket", version.ticket_id)}

    def authorize(self, request: Request) -> None:
        name, password = who(request.headers.get("authorization", ""))
        if name not in USERS or password != self._token:
            raise Refusal(401, "Unauthorized")
        request.state.user = USERS[name]

    def revoke(self) -> None:
        self._token = None

    def accept(self, token: str) -> None:
        self._token = token

    def refusal(self, refusal: Refusal) -> Json:
        return {"message": str(refusal)}

    def limits(self, allowance: Allowance) -> Mapping[str, str]:  # noqa: ARG002 - RT has none
        return {}

    def _search(self, request: Request) -> Answer:
        query, user = request.query_params, request.state.user
        size, number = _paging(query)
        if not query.get("query"):
            return Answer(_page([], number, size, 0, query))
        wanted = list(conditions(read_query(query["query"])))
        self._desk.shift_while_paging("search")
        find = self._finder(wanted, query.getlist("orderby"), query.get("order", "ASC"), user)
        found = find((number - 1) * size, size)
        versions = found.versions if user.sees_tickets else []
        total = found.total if user.sees_tickets else 0
        rows = [shown(self._row(version), query) for version in versions]
        is_last = number * size >= total
        if is_last and (params := self._desk.faults.take("future_row", "search")):
            now = self._desk.clock.tick()
            late = Version(FUTURE_ID, now, now, 0, {"LastUpdated": params["modified"]})
            rows, total = [*rows, shown(self._row(late), query)], total + 1
        rows = self._damaged(rows)
        return Answer(_page(rows, number, size, total, query), tickets=len(rows))

    def _finder(
        self, wanted: Sequence[Condition], order: Sequence[str], way: str, user: User
    ) -> Callable[[int, int], Found]:
        """Looks for tickets by what the conditions leave of all times and ids."""
        store, zone = self._desk.store, ZoneInfo(user.zone or SERVER_ZONE)
        times, ids = [0, END_OF_TIME], [0, END_OF_TIME * 10**9]
        for condition in wanted:
            if condition.field == "id":
                _narrow(ids, condition, int(condition.value))
            elif condition.field == "LastUpdated":
                _narrow(times, condition, read_time(condition.value, zone))
            else:
                raise BadQuery(f"Unknown field: {condition.field}")
        lag = self._desk.faults.take("search_lag", "search")
        horizon = None if lag is None else int(self._desk.clock.tick() - lag["seconds"])
        start, end = times
        if order[:1] == ["LastUpdated"] and ids[0] <= 1:
            if way == "DESC":
                return store.newest_first
            return lambda offset, limit: store.modified_between(start, end, offset, limit, horizon)
        if order not in ([], ["id"]):
            raise BadQuery("this search is not simulated")
        numbers = sorted(int(each) for each in store.ids())
        versions = (store.get(str(each)) for each in numbers if ids[0] <= each <= ids[1])
        kept = [version for version in versions if version and start <= version.modified <= end]
        return lambda offset, limit: Found(kept[offset : offset + limit], len(kept))

    def _transactions(self, request: Request) -> Answer:
        query, user = request.query_params, request.state.user
        node, zone = read_query(query.get("query", "")), ZoneInfo(user.zone or SERVER_ZONE)
        size, number = _paging(query)
        rows = [
            row
            for row in self._notices()
            if user.sees_tickets and holds(node, lambda c, row=row: _is_true(c, row, zone))  # type: ignore[misc]
        ]
        page = [shown(row, query) for row in rows[(number - 1) * size : number * size]]
        total = len(rows) if user.is_superuser else None
        return Answer(_page(page, number, size, total, query))

    def _notices(self) -> Iterator[Json]:
        """What took tickets out, in the order it happened; a merge is written to both tickets."""
        number = 0
        for ticket_id, fate in self._desk.fates.items():
            for told in (ticket_id, fate.into) if fate.end is End.MERGED else (ticket_id,):
                number += 1
                yield self._notice(number, str(told), fate)

    def _notice(self, number: int, ticket_id: str, fate: Fate) -> Json:
        version = self._desk.find(ticket_id)
        is_merge = fate.end is End.MERGED
        into = f"fsck.com-rt://example/ticket/{fate.into}"
        return {
            **link("transaction", str(number)),
            "ObjectType": "RT::Ticket",
            "ObjectId": ticket_id,
            "Type": "AddLink" if is_merge else "Status",
            "Field": "MergedInto" if is_merge else "Status",
            "OldValue": "" if is_merge else "open",
            "NewValue": into if is_merge else "deleted",
            "Created": to_text(fate.at),
            "Creator": link("user", "root"),
            # Not shown, but searched for. A merge leaves the time of the ticket that is no more.
            "TicketType": "ticket",
            "TicketStatus": "open" if is_merge else "deleted",
            "TicketLastUpdated": to_text(version.modified if version and not is_merge else 0),
        }

    def _ticket(self, request: Request) -> Answer:
        version = self._desk.find(request.path_params["ticket_id"])
        while version and (fate := self._fate(version.ticket_id)) and fate.end is End.MERGED:
            version = self._desk.find(str(fate.into))
        if version is None:
            raise Refusal(404, "Not Found")
        if not request.state.user.sees_tickets:
            raise Refusal(403, "Forbidden")
        row = self._row(version)
        single = {name: row[name] for name in FIELDS}
        single["id"] = int(version.ticket_id)
        single["CustomFields"] = row["CustomFields"] or []
        single["EffectiveId"] = link("ticket", version.ticket_id)
        single["_hyperlinks"] = [{"ref": "self", **link("ticket", version.ticket_id)}]
        if "fields[Queue]" not in request.query_params:
            single["Queue"] = link("queue", row["Queue"]["id"])
        spoil_tickets(self._desk.faults, "ticket", [single], "LastUpdated")
        return Answer(single, tickets=1)

    def _user(self, request: Request) -> Answer:
        asked = request.path_params["name"]
        for name, user in USERS.items():
            if asked in (name, str(user.number)):
                return Answer(told_of(name, request.state.user))
        raise Refusal(404, "Not Found")

    def _fate(self, ticket_id: str) -> Fate | None:
        return self._desk.fates.get(ticket_id)

    def _row(self, version: Version) -> Json:
        """As a list gives it, with every field there is."""
        ticket = renamed(self._desk.body(version), version)
        told = {*FIELDS, *FIELDS_OF_LISTS}
        ticket.update({k: v for k, v in (version.overlay or {}).items() if k in told})
        if self._fate(version.ticket_id) is not None:
            ticket["Status"] = "deleted"
        return ticket

    def _damaged(self, rows: list[Json]) -> list[Json]:
        faults = self._desk.faults
        rows = repeated(faults, "search", rows, None)
        spoil_tickets(faults, "search", rows, "LastUpdated")
        rows = rows[: rows_kept(faults, "search", len(rows))]
        return [] if rows and faults.take("empty_page", "search") is not None else rows


def _paging(query: QueryParams) -> tuple[int, int]:
    """How many rows, and the number of the page. What is none, or too much, is not refused."""
    size, number = query.get("per_page", ""), query.get("page", "")
    rows = int(size) if size.isdecimal() and int(size) else USUAL_PAGE
    return min(rows, LARGEST_PAGE), int(number) if number.isdecimal() and int(number) else 1


def _page(rows: list[Json], number: int, size: int, total: int | None, query: QueryParams) -> Json:
    pages = None if total is None else -(-total // size)
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


def _narrow(bounds: list[int], condition: Condition, value: int) -> None:
    """Both ends of the bounds are inclusive."""
    operator = condition.operator
    if operator == "=" and condition.field == "LastUpdated":
        bounds[:] = value - value % 86_400, value - value % 86_400 + 86_399  # the whole day
    elif operator in (">", ">=", "="):
        bounds[0] = max(bounds[0], value + (operator == ">"))
    if operator in ("<", "<=") or (operator == "=" and condition.field == "id"):
        bounds[1] = min(bounds[1], value - (operator == "<"))


def _is_true(condition: Condition, row: Json, zone: ZoneInfo) -> bool:
    """`Created` is compared in the user's zone, a time of the transaction's ticket in UTC."""
    if condition.field not in row:
        raise BadQuery(f"Unknown field: {condition.field}")
    have, want = row[condition.field], condition.value
    if condition.field == "id":
        return condition.holds(int(have), int(want))
    if condition.field == "Created":
        return condition.holds(have, to_text(read_time(want, zone)))
    if condition.field == "TicketLastUpdated":
        return condition.holds(have, to_text(read_time(want, ZoneInfo("UTC"))))
    return condition.holds(have, want)


def _complaining(build: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """What cannot be understood of a query is a 400."""

    def built(request: Request) -> Answer:
        try:
            return build(request)
        except BadQuery as error:
            raise Refusal(400, str(error)) from None

    return built
