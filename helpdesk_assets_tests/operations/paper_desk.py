"""A helpdesk of single tickets on paper, and a dataset in memory that a receiver appends to."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.operations.drain import DrainPolicy, DrainReport, drain
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets_tests.backends import InMemoryBackend
from helpdesk_assets_tests.contract.subject import event
from helpdesk_assets_tests.extract.fake_helpdesk import FakeHelpdesk

# Of this morning, since a drain looks at what came since yesterday by this machine's clock.
NOW = datetime.now(UTC).replace(microsecond=0)


def version(ticket_id: str, minutes_ago: float = 60, **columns: Any) -> Ticket:
    """Make a version that changed so long before now."""
    modified = NOW - timedelta(minutes=minutes_ago)
    body = columns.pop("body", "x")
    plain = Ticket(
        ticket_id=ticket_id,
        subject=f"Subject {ticket_id}",
        status="open",
        priority=None,
        assignee=None,
        created_time=NOW - timedelta(days=3),
        modified_time=modified,
        deleted_time=None,
        raw_json=orjson.dumps({"id": ticket_id, "body": body}).decode(),
        content_hash=f"{ticket_id}-{modified.timestamp()}-{body}",
    )
    return replace(plain, **columns)


def hint(change: Ticket, **changed: Any) -> WebhookEvent:
    """Make an event that names its ticket alone."""
    return event(change, **{"kind": EventKind.HINT, "ticket": None, **changed})


def deletion(change: Ticket, **changed: Any) -> WebhookEvent:
    """Make an event that only says that its ticket was deleted then."""
    named = {"kind": EventKind.DELETION, "ticket": None, "type": "ticket.deleted"}
    return event(change, **{**named, **changed})


@dataclass
class PaperDesk(FakeHelpdesk):
    """Tickets by id; an exception is raised in place of its ticket."""

    tickets: dict[str, Ticket | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    clock: datetime | None = NOW
    account: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    # What a list says if it is asked whether the account still may read it.
    lost: Exception | None = None

    def confirm_rights(self) -> None:
        if self.lost is not None:
            raise self.lost

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, account=self.account)

    @property
    def served_at(self) -> datetime | None:
        return self.clock if self.asked else None

    def ticket(self, ticket_id: str) -> Ticket | None:
        with self.lock:
            self.asked.append(ticket_id)
        found = self.tickets.get(ticket_id)
        if isinstance(found, Exception):
            raise found
        return found

    def holds(self, *versions: Ticket) -> None:
        """Hold these versions from now on."""
        self.tickets |= {each.ticket_id: each for each in versions}


class Desk:
    """A helpdesk, a dataset, and drains between them."""

    def __init__(self) -> None:
        self.helpdesk = PaperDesk()
        self.backend = InMemoryBackend()
        self.now = NOW
        self.seconds = 0.0
        self.policy = DrainPolicy(concurrency=2)

    def appended(self, *events: WebhookEvent) -> None:
        """A receiver appends these events, each once more if it is there already."""
        with Spool(1_000_000) as spool:
            for each in events:
                spool.append(orjson.dumps(each.row(), option=orjson.OPT_UTC_Z))
            self.backend.append(tables.WEBHOOK_EVENTS, spool)

    def drain(
        self, *, everything: bool = False, warehouse: Warehouse | None = None, **changed: Any
    ) -> DrainReport:
        """Drain once; `changed` overrides the policy."""
        with ExitStack() as stack:
            return drain(
                self.helpdesk,
                warehouse or stack.enter_context(self.backend.connected(settings())),
                run_id="drain",
                everything=everything,
                policy=replace(self.policy, **changed),
                now=lambda: self.now,
                monotonic=lambda: self.seconds,
            )

    def row(self, ticket_id: str) -> dict[str, Any] | None:
        """Return the one row of a ticket."""
        rows = [row for row in self.backend.rows("tickets") if row["ticket_id"] == ticket_id]
        assert len(rows) <= 1
        return rows[0] if rows else None

    def outcomes(self) -> dict[str, str]:
        """Return the outcome by event; fails where an event has two."""
        rows = self.backend.rows(tables.WEBHOOK_OUTCOMES.name)
        found = {row["event_id"]: str(row["outcome"]) for row in rows}
        assert len(found) == len(rows)
        return found


def settings() -> Settings:
    """Return settings without an environment."""
    return Settings(_env_file=None)  # type: ignore[call-arg,unused-ignore]


def ids(events: Iterable[WebhookEvent]) -> list[str]:
    """Return the ids of events."""
    return [each.event_id for each in events]
