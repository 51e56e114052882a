"""A warehouse under contract: batches are made, written and committed as operations do it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import orjson

from helpdesk_assets.extract.batch_writer import BatchWriter
from helpdesk_assets.model.batch import Manifest, batch_staging_name
from helpdesk_assets.model.reconciliation import InventorySnapshot
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.tickets import Page, Ticket, Window
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.model.webhooks import LedgerSource, WebhookPolicy
from helpdesk_assets.naming import batch_id
from helpdesk_assets.operations.write_batch import write_batch
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets_tests.backends import Backend
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.extract import fake_helpdesk

GRACE = timedelta(minutes=5)
POLICY = WebhookPolicy(enabled=True, ledger_source=LedgerSource.AUTO, grace=GRACE, lookback=GRACE)
_numbers = count(1)


def ticket(ticket_id: str, minutes_ago: float = 60, **columns: Any) -> Ticket:
    """Make a version that changed so long before noon."""
    body = columns.pop("body", "x")
    return replace(fake_helpdesk.ticket(ticket_id, minutes_ago, body=body), **columns)


def event(change: Ticket, **changed: Any) -> WebhookEvent:
    """Make the event of a change, a minute after it unless `changed` says otherwise."""
    came = changed.get("received_at", change.modified_time + timedelta(minutes=1))
    plain = WebhookEvent(
        f"event{next(_numbers)}",
        change.ticket_id,
        "ticket.updated",
        EventKind.TICKET,
        "paper",
        came,
        change.modified_time,
        change,
        came,
    )
    return replace(plain, **changed)


@dataclass
class Subject:
    """A warehouse, and its tables as others see them.

    `staging` is the same warehouse for batches of any size that are to be staged.
    """

    warehouse: Warehouse
    staging: Warehouse
    backend: Backend
    settings: Settings
    spools: ExitStack

    def batch(
        self, *tickets: Ticket, is_staged: bool = False, **changed: Any
    ) -> tuple[Manifest, Spool]:
        """Make a batch of a run that begins now; `changed` overrides its manifest.

        It is read a moment after all earlier ones, or at `read_at`.
        """
        read_at = changed.pop("read_at", NOON + timedelta(milliseconds=next(_numbers)))
        run_id = changed.pop("run_id", f"run{next(_numbers)}")
        name = batch_id(NOON, run_id, 0)
        spool = self.spools.enter_context(Spool(0 if is_staged else 1_000_000))
        writer = BatchWriter(spool, run_id=run_id, batch_id=name, rng=random.Random(0))
        writer.add(Page(tickets, served_at=read_at, until=NOON))
        state = self.warehouse.read_state()
        plain = replace(
            SMALL,
            batch_id=name,
            run_id=run_id,
            window=Window(NOON - timedelta(hours=3), NOON),
            expected_version=state.version if state else 0,
            initial_watermark=state.watermark if state else NOON - timedelta(hours=2),
            rows=writer.rows,
            versions=None if is_staged else tuple(writer.versions or ()),
            digests=() if is_staged else writer.digests,
            staging=batch_staging_name(name) if is_staged else None,
            created_months=writer.created_months(),
            oldest_modified=writer.oldest_modified,
            tombstones=writer.tombstones,
            read_since=read_at,
        )
        return replace(plain, **changed), spool

    def write(self, *tickets: Ticket, **changed: Any) -> Manifest:
        """Write a batch and commit nothing."""
        policy = changed.pop("policy", POLICY)
        manifest, spool = self.batch(*tickets, **changed)
        warehouse = self.staging if manifest.staging else self.warehouse
        write_batch(warehouse, manifest, spool, policy)
        return manifest

    def run(self, *tickets: Ticket, **changed: Any) -> tuple[RunCounts, SyncState | None]:
        """Write a batch and commit the run."""
        policy = changed.get("policy", POLICY)
        return self.warehouse.commit_run(self.write(*tickets, **changed), policy)

    def state(self) -> SyncState:
        """Return the state row."""
        state = self.warehouse.read_state()
        assert state is not None
        return state

    def row(self, ticket_id: str) -> dict[str, Any]:
        """Return the one row of a ticket."""
        (row,) = (row for row in self.backend.rows("tickets") if row["ticket_id"] == ticket_id)
        return row

    def versions(self) -> list[tuple[str, datetime, str]]:
        """Return the keys of raw_ticket_changes, in order."""
        rows = self.backend.rows(tables.RAW_TICKET_CHANGES.name)
        return sorted((r["ticket_id"], r["modifiedTime"], r["_content_hash"]) for r in rows)

    def missed(self) -> dict[str, str]:
        """Return the ledger's reasons by ticket, each once."""
        rows = self.backend.rows(tables.MISSED_UPDATES.name)
        reasons = {row["ticket_id"]: row["reason"] for row in rows}
        assert len(reasons) == len(rows)
        return reasons

    def hear(self, change: Ticket, *, delay: timedelta) -> None:
        """Store the event of a change that came so long after it."""
        came = change.modified_time + delay
        self.append(event(change, received_at=came, ticket=None, kind=EventKind.HINT))

    def append(self, *events: WebhookEvent) -> None:
        """Append events as a receiver does, each once more if it is there already."""
        with Spool(1_000_000) as spool:
            for each in events:
                spool.append(orjson.dumps(each.row(), option=orjson.OPT_UTC_Z))
            self.backend.append(tables.WEBHOOK_EVENTS, spool)

    def pending(self, since: datetime = NOON - timedelta(days=35)) -> list[WebhookEvent]:
        """Return the events that wait."""
        return list(self.warehouse.pending_events(since, run_id=f"run{next(_numbers)}"))

    def snapshot(self, listed: Iterable[tuple[str, datetime | None, bool]]) -> InventorySnapshot:
        """Store what a helpdesk lists at noon: id, modified time, and whether it is gone."""
        name, entries = f"sweep{next(_numbers)}", list(listed)
        snapshot = InventorySnapshot(name, "mender", NOON, NOON, len(entries), pages=1)
        with Spool(1_000_000) as spool:
            for ticket_id, modified, gone in entries:
                row = {
                    "sweep_id": name,
                    "ticket_id": ticket_id,
                    "modifiedTime": modified.isoformat() if modified else None,
                    "gone": gone,
                    "listed_at": NOON.isoformat(),
                }
                spool.append(json.dumps(row).encode())
            self.warehouse.inventories().store(snapshot, spool)
        return snapshot
