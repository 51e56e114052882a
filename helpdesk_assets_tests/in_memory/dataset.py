"""Tables in memory, written by the guards that a `TableSpec` describes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.errors import HelpdeskAssetsError, NullKey
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.reconciliation import InventoryPart
from helpdesk_assets.model.state import RunRecord, SyncState
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.statements.batch import stored_since
from helpdesk_assets.warehouse.stores.lease_cell import StoredLease
from helpdesk_assets.warehouse.table_spec import (
    ColumnType,
    MergePolicy,
    MergeReport,
    TableFacts,
    TableSpec,
)
from helpdesk_assets.warehouse.write_access import DatasetReport, DatasetTraits
from helpdesk_assets_tests.in_memory.newer_wins import Row, inserted_row, newer_update


class InMemoryDataset:
    """What outlives a run: tables, staging tables, state rows and the log of runs.

    `beside` are rows beyond the first of their key, by table. `refusal` is what a statement that
    changes data ends in when it is tried.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[Any, ...], Row]] = {}
        self.beside: dict[str, list[Row]] = {}
        self.created: dict[str, datetime] = {}
        self.labels: dict[str, str] = {}
        self.stagings: dict[str, list[Row]] = {}
        self.parts: dict[str, InventoryPart] = {}
        self.states: dict[str, SyncState] = {}
        self.log: dict[tuple[int, str], RunRecord] = {}
        self.report = DatasetReport("in.memory", dataset=DatasetTraits())
        self.refusal: HelpdeskAssetsError | None = None
        self.lease = StoredLease(None, object())
        self.lock = threading.Lock()

    def create(self, name: str) -> dict[tuple[Any, ...], Row]:
        """Return the table's rows; make it if there is none."""
        if name not in self.tables:
            self.created[name] = datetime.now(UTC)
        return self.tables.setdefault(name, {})

    def drop(self, name: str) -> None:
        """Drop a table."""
        self.tables.pop(name, None)
        self.beside.pop(name, None)
        self.labels.pop(name, None)

    def claim(self, account: str) -> None:
        """Note whose tickets these are."""
        self.create(tables.TICKETS.name)
        self.labels[tables.TICKETS.name] = account

    def owner(self) -> str | None:
        """Return whose tickets the table says to hold."""
        return self.labels.get(tables.TICKETS.name)

    def facts(self, spec: TableSpec) -> TableFacts | None:
        """Return what the table's metadata would say."""
        if spec.name not in self.tables:
            return None
        return TableFacts(len(self.rows(spec)), self.created[spec.name])

    def rows(self, spec: TableSpec) -> list[Row]:
        """Return the rows themselves, not copies."""
        return [*self.tables.get(spec.name, {}).values(), *self.beside.get(spec.name, ())]

    def put_beside(self, spec: TableSpec, row: Row) -> None:
        """Insert a row whatever its key, as writers that do not wait for each other do."""
        stored, key = self.create(spec.name), key_of(spec, row)
        if key in stored:
            self.beside.setdefault(spec.name, []).append(row)
        else:
            stored[key] = row

    def replace_rows(self, spec: TableSpec, rows: Iterable[Row]) -> None:
        """Replace all rows of a table."""
        self.create(spec.name).clear()
        self.beside[spec.name] = []
        for row in rows:
            self.put_beside(spec, row)

    def ticket(self, ticket_id: str) -> Row | None:
        """Return the row of a ticket."""
        return self.tables.get(tables.TICKETS.name, {}).get((ticket_id,))

    def merge(
        self,
        spec: TableSpec,
        rows: Iterable[Row],
        *,
        forced: bool = False,
        since: datetime | None = None,
    ) -> MergeReport:
        """Write the newest row of each key, as the spec's guard allows: all of them or none.

        Rows of partitions before `since` are not seen.
        """
        stored = self.create(spec.name)
        inserted = updated = 0
        for key, row in _newest_by_key(spec, rows).items():
            beside = self.beside.get(spec.name, ())
            doubles = (each for each in beside if key_of(spec, each) == key)
            held = [each for each in (stored.get(key), *doubles) if each and _seen(each, since)]
            if not held:
                self.put_beside(spec, inserted_row(spec, row))
                inserted += 1
                continue
            for each in held:
                update = _update(spec, each, row, forced=forced)
                each.update(update)
                updated += bool(update)
        return MergeReport(spec.name, inserted + updated, inserted, updated)

    def batch(self, manifest: Manifest) -> list[Row]:
        """Return the batch's versions with their place in it as `_seq`, tombstones not filled."""
        if manifest.staging is not None:
            return [dict(row) for row in self.stagings[manifest.staging]]
        since = stored_since(manifest)
        by_version: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows(tables.RAW_TICKET_CHANGES):
            if _seen(row, since):
                by_version.setdefault((row["ticket_id"], row["_content_hash"]), []).append(row)
        return [
            {**row, "_seq": seq}
            for seq, version in enumerate(manifest.versions or ())
            for row in by_version.get((version.ticket_id, version.content_hash), ())
        ]


def read_rows(spool: Spool, spec: TableSpec) -> Iterator[Row]:
    """Yield a spool's rows as a table of `spec` would give them back."""
    times = [column.name for column in spec.columns if column.type is ColumnType.TIMESTAMP]
    for line in spool.lines():
        row = json.loads(line)
        for name in times:
            if row.get(name) is not None:
                row[name] = datetime.fromisoformat(row[name]).astimezone(UTC)
        yield row


def key_of(spec: TableSpec, row: Row) -> tuple[Any, ...]:
    """Return the values that identify a row."""
    return tuple(row.get(name) for name in spec.key)


def _seen(row: Row, since: datetime | None) -> bool:
    return since is None or row["_fetched_at"] is None or row["_fetched_at"] >= since


def _newest_by_key(spec: TableSpec, rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    newest: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = key_of(spec, row)
        if None in key:
            raise NullKey(f"{spec.name}: a row has no {', '.join(spec.key)}.")
        if key not in newest or _order(spec, newest[key]) < _order(spec, row):
            newest[key] = row
    return newest


def _order(spec: TableSpec, row: Row) -> list[tuple[bool, Any]]:
    """Return what newer rows have more of; a NULL is less than any value."""
    values = [row.get(name) for name in spec.newest_first]
    return [(value is not None, value) for value in values]


def _update(spec: TableSpec, held: Row, row: Row, *, forced: bool) -> Row:
    """Return what a stored row takes over; nothing where the guard keeps it."""
    match spec.merge_policy:
        case MergePolicy.NEWER_WINS:
            return newer_update(spec, held, row, forced=forced)
        case MergePolicy.STATUS_TRANSITIONS:
            status = str(spec.status)
            kept = {*spec.key, *spec.write_once}
            taken = {c.name: row.get(c.name) for c in spec.columns if c.name not in kept}
            return taken if (held[status], row[status]) in spec.transitions else {}
        case _:
            return {}
