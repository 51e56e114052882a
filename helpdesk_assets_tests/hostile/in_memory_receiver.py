"""A receiver in memory, called as by a server; handles thousands of posts in a few seconds.

Its tables are a list: other tests cover what the warehouse does with rows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.webhooks.events import WebhookFormat
from helpdesk_assets.receiver import store
from helpdesk_assets.receiver.app import build_app
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.receiver.group_commit import BatchingPolicy
from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.receiver.wiring import Dependencies, InterruptibleSleep
from helpdesk_assets_tests.hostile.strategies import MODIFIED
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, START


@dataclass
class ListStore:
    """The rows that would go to the warehouse, byte for byte."""

    rows: list[bytes] = field(default_factory=list)

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        read = (store.ReadTicket(each.ticket, each.read_at) for each in deliveries)
        for each in store.newest_versions(read):
            self.rows.append(
                store._to_json_line(store._ticket_row(each, START, run_id, has_tombstones=True))
            )

    def write_events(
        self, deliveries: Sequence[Delivery], run_id: str, committed_at: datetime
    ) -> int:
        for each in deliveries:
            self.rows.append(store._to_json_line(store._event_row(each, committed_at, run_id)))
        return len(deliveries)

    def find_known(self, ticket_ids: Collection[str]) -> frozenset[str]:
        return frozenset(ticket_ids)

    def refresh_schemas(self) -> None:
        pass

    def write_refusals(self, refusals: Sequence[Refusal]) -> None:
        pass

    def close(self) -> None:
        pass


class AnyTicketSource:
    """A helpdesk that has every requested ticket."""

    served_at = START

    async def ticket(self, ticket_id: str) -> Ticket:
        found = TicketReader(FieldMap(), skip_bad=False).ticket(
            {"id": ticket_id, "modifiedTime": MODIFIED}, ticket_id
        )
        assert isinstance(found, Ticket)
        return found

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
        fetcher=cast(Any, AnyTicketSource()),
        store=cast(Any, lines),
        refusals=lines,
        batching=BatchingPolicy(10, 0.0, 0.0),
        queue_size=10,
        shown_within=timedelta(minutes=15),
        interruptible_sleep=InterruptibleSleep(),
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
