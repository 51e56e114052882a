"""What the `zendesk` adapter speaks: the parts of Zendesk's Support API that a sync may use.

The incremental export tells of every ticket, archived and deleted ones too, in the order of
`generated_timestamp`, and holds back the last minute; the list knows neither kind. A merged ticket
is a closed one here, and a ticket marked as spam a deleted one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from heapq import merge
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.routing import Route

from helpdesk_assets.local.simulator import fixture_text
from helpdesk_assets.local.simulator.clock import to_text
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.fault_registry import Allowance
from helpdesk_assets.local.simulator.helpdesk import Desk, End
from helpdesk_assets.local.simulator.middleware import Answer, Gate, Refusal
from helpdesk_assets.local.simulator.response_faults import repeated, rows_kept, spoil_tickets
from helpdesk_assets.local.simulator.ticket_factory import FUTURE_ID, Json, Version

API = "/api/v2"
EXPORT = f"{API}/incremental/tickets/cursor"
SITE = f"https://example.zendesk.com{API}"
LARGEST_EXPORT_PAGE = 1000
LARGEST_LIST_PAGE = 100
HELD_BACK_SECONDS = 60
# Only exports tell it.
ORDER = "generated_timestamp"

# What a status is called in `error`, where the call itself names no other word.
ERRORS = {
    400: "BadRequest",
    401: "Couldn't authenticate you",
    403: "Forbidden",
    404: "RecordNotFound",
    422: "RecordInvalid",
    429: "TooManyRequests",
}
STATUSES = {
    "Open": "open",
    "On Hold": "hold",
    "Escalated": "pending",
    "Waiting on Customer": "pending",
    "Closed": "closed",
}
PRIORITIES = {"Low": "low", "Medium": "normal", "High": "high", "Urgent": "urgent"}
AGENT_IDS = {f"{name}@example.com": 7_001 + n for n, name in enumerate(fixture_text.AGENTS)}


class Place(NamedTuple):
    """A place in the export: behind this ticket at this second. `hop` tells apart the cursors of
    pages that came no further."""

    second: int
    ticket_id: str
    hop: int = 0

    def cursor(self) -> str:
        return base64.b64encode(f"{self.second}.{self.hop}||{self.ticket_id}|".encode()).decode()


def speak(desk: Desk, token: str) -> ZendeskDialect:
    return ZendeskDialect(desk, token)


class ZendeskDialect:
    """The export, the list and single tickets of one desk."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self._token: str | None = token

    def routes(self, gate: Gate) -> Sequence[Route]:
        export = gate.endpoint("search", self._export)
        listing = gate.endpoint("listing", self._listing)
        # The suffix may be left out everywhere.
        return [
            *(Route(f"{EXPORT}{suffix}", export) for suffix in ("", ".json")),
            *(Route(f"{API}/tickets{suffix}", listing) for suffix in ("", ".json")),
            Route(f"{API}/tickets/{{ticket_id}}", gate.endpoint("ticket", self._ticket)),
        ]

    def whole(self, version: Version) -> Json:
        """As the export gives it."""
        ticket = _renamed(self._desk.body(version), version)
        fate = self._desk.fates.get(version.ticket_id)
        if fate and fate.end is End.MERGED:
            ticket["status"] = "closed"
            ticket["tags"] = [*ticket["tags"], "closed_by_merge"]
        ticket.update(version.overlay or {})
        if fate and fate.end is not End.MERGED:
            ticket["status"] = "deleted"
        return ticket

    def authorize(self, request: Request) -> None:
        """An API token as the password of `{email}/token`, or an OAuth token as bearer. The token
        without rights is an agent's, who may read tickets and may not export them."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = value if scheme == "Bearer" else _password(value) if scheme == "Basic" else None
        if token == TOKEN_WITHOUT_RIGHTS:
            if request.url.path.startswith(EXPORT):
                raise Refusal(403, "You do not have access to this page.")
        elif token is None or token != self._token:
            raise Refusal(401, "")

    def revoke(self) -> None:
        self._token = None

    def accept(self, token: str) -> None:
        self._token = token

    def refusal(self, refusal: Refusal) -> Any:
        error = refusal.code or ERRORS.get(refusal.status, "InternalError")
        if refusal.status == 403:
            return {"error": {"title": error, "message": str(refusal)}}
        return {"error": error, "description": str(refusal)} if str(refusal) else {"error": error}

    def limits(self, allowance: Allowance) -> Mapping[str, str]:
        limit, remaining = str(allowance.limit), str(allowance.remaining)
        return {
            "X-Rate-Limit": limit,
            "X-Rate-Limit-Remaining": remaining,
            "ratelimit-limit": limit,
            "ratelimit-remaining": remaining,
            "ratelimit-reset": str(allowance.reset_seconds),
        }

    def _export(self, request: Request) -> Answer:
        desk, query = self._desk, request.query_params
        size = _whole_number(query.get("per_page", str(LARGEST_EXPORT_PAGE)), "per_page")
        if not 1 <= size <= LARGEST_EXPORT_PAGE:
            raise Refusal(400, f"per_page must be between 1 and {LARGEST_EXPORT_PAGE}")
        asked = query.get("cursor")
        place = self._start(query.get("start_time")) if asked is None else _read_cursor(asked)
        desk.shift_while_paging("search")
        lag = desk.faults.take("search_lag", "search")
        until = int(desk.clock.tick() - HELD_BACK_SECONDS - (lag["seconds"] if lag else 0))
        following = self._following(place, until, size + 1)
        here = following[: rows_kept(desk.faults, "search", min(size, len(following)))]
        is_end = len(here) == len(following)
        if here:
            before, place = place, Place(here[-1].modified, here[-1].ticket_id)
            if desk.faults.take("empty_page", "search") is not None:
                here, is_end, place = [], False, before._replace(hop=before.hop + 1)
        after: str | None = place.cursor()
        if asked is None and is_end and not here:
            after = None
        elif asked and not is_end and desk.faults.take("repeated_token", "search") is not None:
            after = asked
        rows = self._damaged([self.whole(version) for version in here], is_end)
        return Answer(_export_page(rows, asked, after, is_end), tickets=len(rows))

    def _start(self, start_time: str | None) -> Place:
        if start_time is None:
            raise Refusal(400, "start_time or cursor is required")
        start = _whole_number(start_time, "start_time")
        if start > self._desk.clock.tick() - HELD_BACK_SECONDS:
            raise Refusal(400, "Too recent start_time. Use a start_time older than 60 seconds")
        return Place(start, "")

    def _following(self, place: Place, until: int, limit: int) -> list[Version]:
        """What follows in the export: the living and the gone, in one order."""
        stores = (self._desk.store, self._desk.gone)
        found = (store.following(place[:2], until, limit) for store in stores)
        return list(merge(*found, key=lambda v: (v.modified, v.ticket_id)))[:limit]

    def _damaged(self, rows: list[Json], is_end: bool) -> list[Json]:
        faults = self._desk.faults
        if is_end and (params := faults.take("future_row", "search")):
            now = self._desk.clock.tick()
            late = Version(FUTURE_ID, now, now, 0, {"updated_at": params["modified"]})
            rows = [*rows, self.whole(late)]
        rows = repeated(faults, "search", rows, None)
        spoil_tickets(faults, "search", rows, "updated_at")
        return rows

    def _listing(self, request: Request) -> Answer:
        """By cursor, ascending by id; without archived and deleted tickets."""
        query = request.query_params
        size = _whole_number(query.get("page[size]", str(LARGEST_LIST_PAGE)), "page[size]")
        if not 1 <= size <= LARGEST_LIST_PAGE:
            raise Refusal(400, f"page[size] must be between 1 and {LARGEST_LIST_PAGE}")
        after = _whole_number(query.get("page[after]", "0"), "page[after]")
        shown = (int(each) for each in self._desk.store.ids() if each not in self._desk.archived)
        ids = sorted(each for each in shown if each > after)
        rows = [self._shown(str(each)) for each in ids[:size]]
        more = len(ids) > size
        meta = {"has_more": more, "after_cursor": str(rows[-1]["id"]) if rows else None}
        return Answer({"tickets": rows, "meta": meta}, tickets=len(rows))

    def _ticket(self, request: Request) -> Answer:
        wanted = request.path_params["ticket_id"].removesuffix(".json")
        rows = [self._shown(wanted)]
        spoil_tickets(self._desk.faults, "ticket", rows, "updated_at")
        return Answer({"ticket": rows[0]}, tickets=1)

    def _shown(self, ticket_id: str) -> Json:
        """As the list and the single ticket give it: what is deleted is not there."""
        version = self._desk.find(ticket_id)
        ticket = None if version is None else self.whole(version)
        if ticket is None or ticket["status"] == "deleted":
            raise Refusal(404, "Not found")
        del ticket[ORDER]
        return ticket


def _export_page(rows: list[Json], asked: str | None, after: str | None, is_end: bool) -> Json:
    def url(cursor: str | None) -> str | None:
        return cursor and f"{SITE}/incremental/tickets/cursor.json?cursor={cursor}"

    return {
        "tickets": rows,
        "after_url": url(after),
        "after_cursor": after,
        "before_url": url(asked),
        "before_cursor": asked,
        "end_of_stream": is_end,
    }


def _renamed(body: Json, version: Version) -> Json:
    ticket_id, requester = int(version.ticket_id), body["requester"]
    custom = [{"id": field["id"], "value": field["value"]} for field in body["customFields"]]
    custom.append({"id": 360_001, "value": body["updateCount"]})
    return {
        "url": f"{SITE}/tickets/{ticket_id}.json",
        "id": ticket_id,
        "external_id": None,
        "via": {"channel": body["channel"].lower(), "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": to_text(version.created),
        "updated_at": to_text(version.shown_time),
        ORDER: version.modified,
        "type": "incident",
        "subject": body["subject"],
        "raw_subject": body["subject"],
        "description": body["description"],
        "priority": PRIORITIES.get(body["priority"]),
        "status": STATUSES[body["status"]],
        "recipient": None,
        "requester_id": requester["id"],
        "submitter_id": requester["id"],
        "assignee_id": AGENT_IDS.get(body["assignee"]),
        "organization_id": requester["company"]["id"],
        "group_id": body["department"]["id"],
        "collaborator_ids": [],
        "follower_ids": [],
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": body["dueDate"],
        "tags": body["tags"],
        "custom_fields": custom,
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "custom_status_id": 1001,
        "ticket_form_id": 360,
        "brand_id": 1,
        "fields": custom,
    }


def _read_cursor(text: str) -> Place:
    try:
        place, ticket_id, _ = base64.b64decode(text, validate=True).decode().rsplit("|", 2)
        second, hop = place.removesuffix("|").split(".")
        return Place(int(second), ticket_id, int(hop))
    except (ValueError, binascii.Error):
        raise Refusal(400, "cursor is not valid", code="InvalidCursor") from None


def _password(basic: str) -> str | None:
    """The password of a user that is an e-mail address and `/token`."""
    try:
        user, _, password = base64.b64decode(basic, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password if "@" in user and user.endswith("/token") else None


def _whole_number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, f"{name} must be a whole number")
    return int(text)
