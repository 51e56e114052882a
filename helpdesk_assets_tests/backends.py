"""Where a harness keeps its tables: in the stand-in for BigQuery, or in memory."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.schema import Schema, fields
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import ColumnType, TableSpec
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset, read_rows
from helpdesk_assets_tests.in_memory.newer_wins import Row
from helpdesk_assets_tests.in_memory.warehouse import InMemoryWarehouse

_SPECS = {
    spec.name: spec
    for spec in (
        *tables.SYNC_TABLES,
        tables.WEBHOOK_EVENTS,
        tables.WEBHOOK_OUTCOMES,
        *tables.RECONCILIATION_TABLES,
    )
}


class Backend(Protocol):
    """Tables, and what others than the sync do to them."""

    def connected(self, settings: Settings) -> AbstractContextManager[Warehouse]:
        """Open the warehouse as a run does."""
        ...

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        ...

    def merge(self, spec: TableSpec, spool: Spool) -> None:
        """Write rows as a webhook function or a receiver does."""
        ...

    def append(self, spec: TableSpec, spool: Spool) -> None:
        """Insert rows whatever their keys, as a receiver does."""
        ...

    def delete_rows(self, table: str, ids: Iterable[str] | None) -> None:
        """Delete the rows of these tickets by hand, from any table; None: all."""
        ...

    def double_rows(self, table: str, **changed: str | None) -> None:
        """Insert every row once more, as writers do that do not wait for each other.

        Args:
            table: the table.
            changed: columns in which the new rows differ, as text; None is NULL.
        """
        ...

    def delete_tickets(self, ids: Iterable[str] | None) -> None:
        """Delete rows of tickets by hand; None: all."""
        ...

    def alter_tickets(self, ids: Iterable[str], shift: timedelta, word: str) -> None:
        """Shift `modifiedTime` by hand; subject and content hash become the word."""
        ...

    def empty_column(self, column: str, ids: Iterable[str]) -> None:
        """Set a column of tickets to NULL by hand."""
        ...

    def drop_table(self, table: str) -> None:
        """Drop a table by hand."""
        ...

    def edit_state(self, column: str, value: Any) -> None:
        """Set a cell of every state row by hand, by SQL."""
        ...

    def keep_copy(self, table: str) -> None:
        """Remember a table as it is now."""
        ...

    def put_copy_back(self, table: str, *, in_place: bool) -> None:
        """Put the remembered rows back: by CREATE OR REPLACE, or in place by DELETE and INSERT."""
        ...

    def stagings(self) -> list[str]:
        """Return the names of staging tables."""
        ...

    def drop_staging(self, name: str) -> None:
        """Drop a staging table by hand."""
        ...


@dataclass(frozen=True, slots=True)
class BigQueryBackend:
    """A dataset of the stand-in or of the service."""

    client: BigQueryClient

    def connected(self, settings: Settings) -> AbstractContextManager[SyncTables]:
        return connected(settings)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self.client.list_rows(table))

    def merge(self, spec: TableSpec, spool: Spool) -> None:
        writer = TableWriter(self.client, small_batch_bytes=4_000_000)
        writer.merge(spec, spool, run_id=uuid.uuid4().hex, step=spec.name)

    def append(self, spec: TableSpec, spool: Spool) -> None:
        schema = Schema(self.client)
        schema.ensure(spec)
        schema_fields = fields(spec.columns)
        self.client.load(spool.stream(), spec.name, schema_fields, run_id="receiver", step="load")

    def double_rows(self, table: str, **changed: str | None) -> None:
        name, kinds = self.client.dataset.table(table), _SPECS[table].columns
        types = {column.name: column.type for column in kinds}
        new = [f"CAST(@{column} AS {types[column]}) AS {column}" for column in changed]
        values = f"* REPLACE ({', '.join(new)})" if new else "*"
        values_of = (Parameter(each, ColumnType.STRING, value) for each, value in changed.items())
        query = Query(f"INSERT INTO {name} SELECT {values} FROM {name}", tuple(values_of))
        self.client.run(query, run_id=uuid.uuid4().hex, step="double")

    def delete_rows(self, table: str, ids: Iterable[str] | None) -> None:
        condition = "TRUE" if ids is None else "ticket_id IN UNNEST(@ids)"
        self._run(f"DELETE FROM {self.client.dataset.table(table)} WHERE {condition}", ids or ())

    def delete_tickets(self, ids: Iterable[str] | None) -> None:
        self.delete_rows(tables.TICKETS.name, ids)

    def alter_tickets(self, ids: Iterable[str], shift: timedelta, word: str) -> None:
        seconds = int(shift.total_seconds())
        self._run(
            f"UPDATE {self._tickets} SET subject = '{word}', _content_hash = '{word}', "
            f"modifiedTime = TIMESTAMP_ADD(modifiedTime, INTERVAL {seconds} SECOND) "
            "WHERE ticket_id IN UNNEST(@ids)",
            ids,
        )

    def empty_column(self, column: str, ids: Iterable[str]) -> None:
        sql = f"UPDATE {self._tickets} SET {column} = NULL WHERE ticket_id IN UNNEST(@ids)"
        self._run(sql, ids)

    def drop_table(self, table: str) -> None:
        self.client.drop_table(table)

    def edit_state(self, column: str, value: Any) -> None:
        types = {each.name: each.type for each in tables.SYNC_STATE.columns}
        state = self.client.dataset.table(tables.SYNC_STATE.name)
        sql = f"UPDATE {state} SET {column} = @value WHERE TRUE"
        query = Query(sql, (Parameter("value", types[column], value),))
        self.client.run(query, run_id=uuid.uuid4().hex, step="tamper")

    def keep_copy(self, table: str) -> None:
        source, kept = (self.client.dataset.table(name) for name in (table, f"{table}_copy"))
        self._run(f"CREATE OR REPLACE TABLE {kept} AS SELECT * FROM {source}", ())

    def put_copy_back(self, table: str, *, in_place: bool) -> None:
        target, kept = (self.client.dataset.table(name) for name in (table, f"{table}_copy"))
        if not in_place:
            self._run(f"CREATE OR REPLACE TABLE {target} AS SELECT * FROM {kept}", ())
            return
        self._run(f"DELETE FROM {target} WHERE TRUE", ())
        self._run(f"INSERT INTO {target} SELECT * FROM {kept}", ())

    def stagings(self) -> list[str]:
        names = (item.table_id for item in self.client.list_tables())
        return [name for name in names if "__stg_" in name]

    def drop_staging(self, name: str) -> None:
        self.client.drop_table(name)

    @property
    def _tickets(self) -> str:
        return self.client.dataset.table(tables.TICKETS.name)

    def _run(self, sql: str, ids: Iterable[str]) -> None:
        query = Query(sql, (Parameter("ids", ColumnType.STRING, tuple(ids)),))
        self.client.run(query, run_id=uuid.uuid4().hex, step="tamper")


class InMemoryBackend:
    """A dataset in memory."""

    def __init__(self) -> None:
        self.dataset = InMemoryDataset()
        self.copies: dict[str, dict[tuple[Any, ...], Row]] = {}

    @contextmanager
    def connected(self, settings: Settings) -> Iterator[InMemoryWarehouse]:
        yield InMemoryWarehouse(
            self.dataset,
            sync_name=settings.sync_name,
            small_batch_bytes=settings.bigquery_small_batch_bytes,
            listing_delay=settings.listing_delay,
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        beside = self.dataset.beside.get(table, ())
        return [dict(row) for row in (*self.dataset.tables.get(table, {}).values(), *beside)]

    def merge(self, spec: TableSpec, spool: Spool) -> None:
        self.dataset.merge(spec, read_rows(spool, spec))

    def append(self, spec: TableSpec, spool: Spool) -> None:
        for row in read_rows(spool, spec):
            self.dataset.put_beside(spec, row)

    def double_rows(self, table: str, **changed: str | None) -> None:
        spec = _SPECS[table]
        times = {each.name for each in spec.columns if each.type is ColumnType.TIMESTAMP}
        new: dict[str, Any] = {
            name: datetime.fromisoformat(value) if value and name in times else value
            for name, value in changed.items()
        }
        for row in self.dataset.rows(spec):
            self.dataset.put_beside(spec, row | new)

    def delete_rows(self, table: str, ids: Iterable[str] | None) -> None:
        named = None if ids is None else set(ids)
        if table in self.dataset.stagings:
            kept = self.dataset.stagings[table]
            kept[:] = [row for row in kept if named is not None and row["ticket_id"] not in named]
            return
        spec = _SPECS[table]
        rows = self.dataset.rows(spec)
        left = [row for row in rows if named is not None and row["ticket_id"] not in named]
        self.dataset.replace_rows(spec, left)

    def delete_tickets(self, ids: Iterable[str] | None) -> None:
        self.delete_rows(tables.TICKETS.name, ids)

    def alter_tickets(self, ids: Iterable[str], shift: timedelta, word: str) -> None:
        some = set(ids)
        for row in self.dataset.rows(tables.TICKETS):
            if row["ticket_id"] in some:
                row |= {
                    "modifiedTime": row["modifiedTime"] + shift,
                    "subject": word,
                    "_content_hash": word,
                }

    def empty_column(self, column: str, ids: Iterable[str]) -> None:
        for ticket_id in ids:
            self.dataset.tables[tables.TICKETS.name][ticket_id,][column] = None

    def drop_table(self, table: str) -> None:
        self.dataset.drop(table)

    def edit_state(self, column: str, value: Any) -> None:
        for name, state in self.dataset.states.items():
            changed: dict[str, Any] = {column: value}
            self.dataset.states[name] = replace(state, **changed)

    def keep_copy(self, table: str) -> None:
        self.copies[table] = copy.deepcopy(self.dataset.tables[table])

    def put_copy_back(self, table: str, *, in_place: bool) -> None:
        if not in_place:
            self.dataset.drop(table)
        stored = self.dataset.create(table)
        stored.clear()
        stored.update(copy.deepcopy(self.copies[table]))

    def stagings(self) -> list[str]:
        return list(self.dataset.stagings)

    def drop_staging(self, name: str) -> None:
        self.dataset.stagings.pop(name, None)


@contextmanager
def connected(settings: Settings) -> Iterator[SyncTables]:
    """Open the stand-in, or the service, as a run does."""
    client = connect(settings)
    try:
        yield SyncTables.from_settings(client, settings)
    finally:
        client.close()
