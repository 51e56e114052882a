"""What faults do to an answer: to the rows of a page, or to the bytes of a body.

Faults that stop a call before it is answered (limits, errors, latency) are in `app`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from helpdesk_assets.local.simulator.fault_registry import FaultBoard
from helpdesk_assets.local.simulator.paging import PageAsk, write_token
from helpdesk_assets.local.simulator.ticket_factory import Json

_THIN_FIELDS = ("id", "createdTime", "modifiedTime")
_MAINTENANCE = (
    "<!DOCTYPE html><html><head><title>Wartung</title></head>"
    "<body><h1>We will be back soon</h1></body></html>"
)


@dataclass(slots=True)
class PageAnswer:
    """A page on its way out: rows as values or as text that is written already. `row_before` is
    the last row of the page before this one."""

    rows: list[Any]
    next_token: str | None
    row_before: Any

    def payload(self) -> Json:
        if self.next_token is None:
            return {"tickets": self.rows}
        return {"tickets": self.rows, "nextPageToken": self.next_token}


class JsonResponse(JSONResponse):
    """UTF-8 as it is, not escaped: that is what the sizes are about."""

    def render(self, content: object) -> bytes:
        return msgspec.json.encode(content)


class CutResponse(Response):
    """Promises the whole body, sends half of it and leaves; the server then closes the socket."""

    media_type = "application/json"

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - ASGI's signature
        receive: Receive,  # noqa: ARG002
        send: Send,
    ) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def needs_values(faults: FaultBoard) -> bool:
    """Whether a fault in force reaches into the rows."""
    return any(faults.standing(name) is not None for name in ("bad_ticket", "thin_rows"))


def damage_page(faults: FaultBoard, endpoint: str, ask: PageAsk, page: PageAnswer) -> None:
    """Apply the row faults in force, in place."""
    page.rows = repeated(faults, endpoint, page.rows, page.row_before)
    spoil_tickets(faults, endpoint, page.rows)
    if page.rows and faults.take("thin_rows", endpoint) is not None:
        page.rows = [{key: row[key] for key in _THIN_FIELDS if key in row} for row in page.rows]
    _cut_rows(faults, endpoint, ask, page)
    can_repeat = ask.token is not None and page.next_token is not None
    if can_repeat and faults.take("repeated_token", endpoint) is not None:
        page.next_token = ask.token


def repeated(
    faults: FaultBoard, endpoint: str, rows: list[Json], row_before: Json | None
) -> list[Json]:
    """The fault `repeated_rows`: the last row of the page before, and the first rows twice."""
    if not rows or (params := faults.take("repeated_rows", endpoint)) is None:
        return rows
    times = params["rows"]
    twice = [row for row in rows[:times] for _ in range(2)]
    edge = [] if row_before is None else [row_before]
    return edge + twice + rows[times:]


def rows_kept(faults: FaultBoard, endpoint: str, rows: int) -> int:
    """How many of a page's rows the fault `page_cut_short` leaves."""
    short = faults.standing("page_cut_short")
    if short and rows > short["keep"] and faults.take("page_cut_short", endpoint):
        kept: int = short["keep"]
        return kept
    return rows


def _cut_rows(faults: FaultBoard, endpoint: str, ask: PageAsk, page: PageAnswer) -> None:
    kept = rows_kept(faults, endpoint, len(page.rows))
    if kept < len(page.rows):
        page.rows = page.rows[:kept]
        # The token stays the whole page's. A last page has none: without one, nobody could tell
        # a cut from the end, so there it points behind the cut.
        page.next_token = page.next_token or write_token(endpoint, ask.offset + len(page.rows))
    if page.rows and faults.take("empty_page", endpoint) is not None:
        # Another token for the same place: an equal one would be the fault `repeated_token`.
        page.rows = []
        page.next_token = write_token(endpoint, ask.offset, ask.hop + 1)


def spoil_tickets(
    faults: FaultBoard, endpoint: str, rows: list[Json], modified: str = "modifiedTime"
) -> None:
    """The fault `bad_ticket`: the named tickets, or the first rows where none are named.

    `modified`: the spoken dialect's name of the modified time.
    """
    params = faults.standing("bad_ticket")
    if params is None:
        return
    ids = frozenset(params["ids"])
    bad = [row for row in rows if str(row["id"]) in ids] if ids else rows[: params["rows"]]
    if not bad or faults.take("bad_ticket", endpoint) is None:
        return
    for row in bad:
        if params["kind"] == "no_id":
            row.pop("id", None)
        else:
            row[modified] = "not-a-time"


def write_answer(faults: FaultBoard, endpoint: str, payload: Json | list[Json]) -> Response:
    """The answer's bytes, as the body faults in force leave them."""
    if faults.take("not_json", endpoint) is not None:
        return HTMLResponse(_MAINTENANCE)
    if faults.take("missing_fields", endpoint) is not None:
        return JsonResponse({"status": "ok", "info": {"code": 0}})
    whole = JsonResponse(payload)
    if faults.take("truncated_json", endpoint) is not None:
        body = bytes(whole.body)
        return Response(body[: len(body) // 2], media_type="application/json")
    if faults.take("drop_connection", endpoint) is not None:
        return CutResponse(whole.body)
    return whole
