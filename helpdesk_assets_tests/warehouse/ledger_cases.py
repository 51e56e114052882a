"""Builds cases for the ledger: changes that polling saw, events that arrived, and judging runs.

Rows are written by the sync's own writer, as the receiver writes its events. Times are minutes
relative to noon, by one clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from helpdesk_assets.model.batch import Manifest, Version
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import JudgedBy, LedgerSource, WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.leases import one_writer

GRACE = timedelta(minutes=5)
POLICY = WebhookPolicy(enabled=True, ledger_source=LedgerSource.AUTO, grace=GRACE, lookback=GRACE)
EVENTS = Judging(JudgedBy.EVENTS, POLICY)
TABLE = Judging(JudgedBy.TABLE, POLICY)
BIG = 1_000_000


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


class LedgerCases:
    """Cases in one dataset.

    `poll` stores versions as a run that found them does, and `event` stores events.
    """

    def __init__(self, warehouse: BigQueryClient) -> None:
        self.warehouse = warehouse
        self.sync_tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=BIG)
        self.sync_tables.prepare()
        self._changes: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._numbers = count()

    def poll(
        self, ticket_id: str, changed: float, *, seen: float = 0, run: str = "run-1", **columns: Any
    ) -> None:
        """Polling saw at `seen` the version of `changed`."""
        self._changes.append(
            {
                "ticket_id": ticket_id,
                "createdTime": at(-10_000).isoformat(),
                "modifiedTime": at(changed).isoformat(),
                "_content_hash": _hash(ticket_id, changed),
                "_run_id": run,
                "_fetched_at": at(seen).isoformat(),
                "_seq": len(self._changes),
                "_tombstone": False,
                **columns,
            }
        )

    def event(
        self,
        ticket_id: str,
        version: float | None,
        received: float,
        *,
        committed: float | None = None,
        deleted: bool = False,
    ) -> None:
        """An event arrived with the version; None if it did not name one."""
        self._events.append(
            {
                "event_id": f"event {next(self._numbers)}",
                "ticket_id": ticket_id,
                "type": "ticket.updated",
                "kind": "deletion" if deleted else "hint",
                "modifiedTime": None if version is None else at(version).isoformat(),
                "deleted": deleted,
                "helpdesk": "rest",
                "received_at": at(received).isoformat(),
                "committed_at": at(received if committed is None else committed).isoformat(),
            }
        )

    def store(self, ticket_id: str, changed: float, **columns: Any) -> None:
        """The tickets table has this version."""
        row = {"ticket_id": ticket_id, "modifiedTime": at(changed).isoformat(), **columns}
        self._write(tables.TICKETS, [row], columns=row)

    def written(self) -> None:
        """Write the rows noted since the last call."""
        self._write(tables.RAW_TICKET_CHANGES, self._changes)
        self._write(tables.WEBHOOK_EVENTS, self._events)
        self._changes.clear()
        self._events.clear()

    def manifest(self, *versions: tuple[str, float], **changed: Any) -> Manifest:
        """Return the manifest of a run at noon over two hours; `versions` are its batch."""
        batch = tuple(Version(ticket, _hash(ticket, when)) for ticket, when in versions)
        plain = replace(
            SMALL,
            versions=batch,
            rows=len(batch),
            window=Window(at(-125), at(0)),
            initial_watermark=at(-120),
        )
        return replace(plain, **changed)

    def judge(self, manifest: Manifest, policy: WebhookPolicy = POLICY) -> dict[str, str]:
        """Judge, and return the ledger by ticket; fails if a ticket has two entries."""
        self.written()
        with one_writer(self.sync_tables):
            self.sync_tables.merge_missed(manifest, policy)
        rows = self.rows()
        found = {row["ticket_id"]: row["reason"] for row in rows}
        assert len(found) == len(rows)
        return found

    def close(self, manifest: Manifest, policy: WebhookPolicy = POLICY) -> RunCounts:
        """Merge the batch, close the run as the next one, and return its counts."""
        state = self.sync_tables.read_state()
        following = replace(manifest, expected_version=state.version if state else 0)
        with one_writer(self.sync_tables):
            self.sync_tables.merge_tickets(following)
            return self.sync_tables.commit_run(following, policy)[0]

    def rows(self) -> list[dict[str, Any]]:
        return list(self.warehouse.list_rows(tables.MISSED_UPDATES.name))

    def row(self, ticket_id: str) -> Mapping[str, Any]:
        return next(row for row in self.rows() if row["ticket_id"] == ticket_id)

    def _write(
        self,
        spec: TableSpec,
        rows: Iterable[Mapping[str, Any]],
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        held = [c for c in spec.columns if columns is None or c.name in columns]
        with Spool(BIG) as spool:
            for row in rows:
                spool.append(json.dumps(row).encode())
            if not spool.rows:
                return
            TableWriter(self.warehouse, small_batch_bytes=BIG).merge(
                replace(spec, newest_first=()), spool, run_id="book", step=spec.name, columns=held
            )


def _hash(ticket_id: str, changed: float) -> str:
    return f"{ticket_id} at {float(changed)}"
