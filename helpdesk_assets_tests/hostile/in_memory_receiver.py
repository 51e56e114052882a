"""A receiver in memory, called as by a server; handles thousands of posts in a few seconds.

Its tables are a list: other tests cover what the warehouse does with rows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from helpdesk_assets.errors import DataRefused, HelpdeskAssetsError
from helpdesk_assets.model.webhook_events import WebhookEvent
from helpdesk_assets.providers.webhooks.events import WebhookFormat
from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.receiver.wiring import Dependencies
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.proto_rows import RowType
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, START

EVENT_ROW, REFUSAL_ROW = RowType(tables.WEBHOOK_EVENTS), RowType(tables.WEBHOOK_REFUSALS)


@dataclass
class ListStore:
    """The rows that would go to the warehouse, byte for byte."""

    rows: list[bytes] = field(default_factory=list)

    def append_events(self, events: Sequence[WebhookEvent]) -> Mapping[int, HelpdeskAssetsError]:
        refused: dict[int, HelpdeskAssetsError] = {}
        for place, event in enumerate(events):
            try:
                EVENT_ROW.serialize(event.row())
            except ValueError as error:
                refused[place] = DataRefused(str(error))
            else:
                self.rows.append(orjson.dumps(event.row()))
        return refused

    def append_refusals(self, refusals: Sequence[Refusal]) -> None:
        for refusal in refusals:
            REFUSAL_ROW.serialize(refusal.row())

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class ReceiverResponse:
    status: int
    body: Any
    rows: list[bytes]


def answer(
    vendor: WebhookFormat, body: bytes, headers: Mapping[str, bytes], query: bytes = b""
) -> ReceiverResponse:
    """Return the answer of a new receiver to one post."""
    lines = ListStore()
    parts = Dependencies(
        vendor,
        (SECRET,),
        store=lines,
        queue_size=10,
        helpdesk=cast(Any, lines),
        drain=None,
        drain_seconds=0,
    )
    app = build_app(parts, now=lambda: START)
    said: list[Any] = []

    async def ask() -> None:
        incoming = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            return next(incoming, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            said.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/webhooks/{vendor.name}",
            "query_string": query,
            "headers": [(name.encode("latin-1"), value) for name, value in headers.items()],
        }
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    asyncio.run(ask())
    whole = b"".join(message.get("body", b"") for message in said)
    return ReceiverResponse(said[0]["status"], json.loads(whole), lines.rows)
