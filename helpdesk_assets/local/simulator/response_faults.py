"""Faults in answers: in the rows of a page, or in the bytes of a body.

Faults that delay or refuse a call (limits, errors, latency) are in `middleware`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from helpdesk_assets.local.simulator.fault_registry import FaultRegistry
from helpdesk_assets.local.simulator.paging import PageRequest, encode_page_token
from helpdesk_assets.local.simulator.ticket_factory import Json

_THIN_FIELDS = ("id", "createdTime", "modifiedTime")
_MAINTENANCE = (
    "<!DOCTYPE html><html><head><title>Wartung</title></head>"
    "<body><h1>We will be back soon</h1></body></html>"
)


@dataclass(slots=True)
class PageResult:
    """A page before it is sent.

    `rows` are values or encoded JSON; `previous_row` is the last row of the page before.
    """

    rows: list[Any]
    next_token: str | None
    previous_row: Any

    def payload(self) -> Json:
        """Return the body of the `rest` API."""
        if self.next_token is None:
            return {"tickets": self.rows}
        return {"tickets": self.rows, "nextPageToken": self.next_token}


class JsonResponse(JSONResponse):
    """JSON with unescaped UTF-8, so that bodies have the size that real helpdesks send."""

    def render(self, content: object) -> bytes:
        """Encode `content` as JSON."""
        return msgspec.json.encode(content)


class TruncatedResponse(Response):
    """Announces the whole body but sends half of it; the server then closes the socket."""

    media_type = "application/json"

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - ASGI's signature
        receive: Receive,  # noqa: ARG002
        send: Send,
    ) -> None:
        """Send the first half of the body; see ASGI."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def needs_parsed_rows(faults: FaultRegistry) -> bool:
    """Return whether an active fault changes the fields of rows."""
    return any(faults.active(name) is not None for name in ("bad_ticket", "thin_rows"))


def apply_page_faults(
    faults: FaultRegistry, endpoint: str, page_request: PageRequest, page: PageResult
) -> None:
    """Apply the active row faults to `page` in place.

    Args:
        faults: the helpdesk's faults.
        endpoint: the endpoint that is called.
        page_request: the requested page.
        page: the page without faults.
    """
    page.rows = with_repeated_rows(faults, endpoint, page.rows, page.previous_row)
    corrupt_tickets(faults, endpoint, page.rows)
    if page.rows and faults.consume("thin_rows", endpoint) is not None:
        page.rows = [{key: row[key] for key in _THIN_FIELDS if key in row} for row in page.rows]
    _truncate_rows(faults, endpoint, page_request, page)
    can_repeat = page_request.token is not None and page.next_token is not None
    if can_repeat and faults.consume("repeated_token", endpoint) is not None:
        page.next_token = page_request.token


def with_repeated_rows(
    faults: FaultRegistry, endpoint: str, rows: list[Json], previous_row: Json | None
) -> list[Json]:
    """Apply the fault `repeated_rows`: the previous page's last row, and the first rows twice.

    Args:
        faults: the helpdesk's faults.
        endpoint: the endpoint that is called.
        rows: the page's rows.
        previous_row: the last row of the page before; None on a first page.

    Returns:
        The rows to send.
    """
    if not rows or (params := faults.consume("repeated_rows", endpoint)) is None:
        return rows
    times = params["rows"]
    twice = [row for row in rows[:times] for _ in range(2)]
    edge = [] if previous_row is None else [previous_row]
    return edge + twice + rows[times:]


def remaining_rows(faults: FaultRegistry, endpoint: str, rows: int) -> int:
    """Return the number of rows that the fault `page_cut_short` leaves.

    Args:
        faults: the helpdesk's faults.
        endpoint: the endpoint that is called.
        rows: number of rows on the whole page.
    """
    cut_fault = faults.active("page_cut_short")
    if cut_fault and rows > cut_fault["keep"] and faults.consume("page_cut_short", endpoint):
        remaining: int = cut_fault["keep"]
        return remaining
    return rows


def _truncate_rows(
    faults: FaultRegistry, endpoint: str, page_request: PageRequest, page: PageResult
) -> None:
    remaining = remaining_rows(faults, endpoint, len(page.rows))
    if remaining < len(page.rows):
        page.rows = page.rows[:remaining]
        # The token stays that of the whole page. A last page has none, and without a token a client
        # cannot distinguish a cut from the end; there, the token points behind the cut.
        page.next_token = page.next_token or encode_page_token(
            endpoint, page_request.offset + len(page.rows)
        )
    if page.rows and faults.consume("empty_page", endpoint) is not None:
        # A new token for the same offset: an equal one would be the fault `repeated_token`.
        page.rows = []
        page.next_token = encode_page_token(
            endpoint, page_request.offset, page_request.repeat_count + 1
        )


def corrupt_tickets(
    faults: FaultRegistry, endpoint: str, rows: list[Json], modified: str = "modifiedTime"
) -> None:
    """Apply the fault `bad_ticket` in place, to the tickets in its `ids` or to the first rows.

    Args:
        faults: the helpdesk's faults.
        endpoint: the endpoint that is called.
        rows: the page's rows.
        modified: the dialect's field for the modified time.
    """
    params = faults.active("bad_ticket")
    if params is None:
        return
    ids = frozenset(params["ids"])
    bad = [row for row in rows if str(row["id"]) in ids] if ids else rows[: params["rows"]]
    if not bad or faults.consume("bad_ticket", endpoint) is None:
        return
    for row in bad:
        if params["kind"] == "no_id":
            row.pop("id", None)
        else:
            row[modified] = "not-a-time"


def build_response(faults: FaultRegistry, endpoint: str, payload: Json | list[Json]) -> Response:
    """Return the response for `payload`, with the active body faults.

    Args:
        faults: the helpdesk's faults.
        endpoint: the endpoint that is called.
        payload: the answer without faults.
    """
    if faults.consume("not_json", endpoint) is not None:
        return HTMLResponse(_MAINTENANCE)
    if faults.consume("missing_fields", endpoint) is not None:
        return JsonResponse({"status": "ok", "info": {"code": 0}})
    raw_ticket = JsonResponse(payload)
    if faults.consume("truncated_json", endpoint) is not None:
        body = bytes(raw_ticket.body)
        return Response(body[: len(body) // 2], media_type="application/json")
    if faults.consume("drop_connection", endpoint) is not None:
        return TruncatedResponse(raw_ticket.body)
    return raw_ticket
