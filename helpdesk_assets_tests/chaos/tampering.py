"""What people and other programs do to a dataset behind the sync's back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

TICKETS, RAW, STATE = "tickets", "raw_ticket_changes", "sync_state"
# What a restored dataset has of an earlier time.
RESTORED = (TICKETS, RAW, tables.MISSED_UPDATES.name, STATE)


class Tampering:
    """Statements by hand, each on the dataset itself and not through the fault proxy."""

    def __init__(self, client: BigQueryClient) -> None:
        self._client = client

    def exists(self, table: str) -> bool:
        return self._client.get_table(table, fresh=True) is not None

    def drop(self, table: str) -> None:
        self._client.drop_table(table)

    def empty(self, table: str) -> None:
        if self.exists(table):
            self._run(f"DELETE FROM {self._name(table)} WHERE TRUE")

    def delete_tickets(self, ids: Iterable[str]) -> None:
        if self.exists(TICKETS):
            self._run(f"DELETE FROM {self._name(TICKETS)} WHERE ticket_id IN UNNEST(@ids)", ids)

    def edit_tickets(self, assignment: str, ids: Iterable[str]) -> None:
        if self.exists(TICKETS):
            where = "WHERE ticket_id IN UNNEST(@ids)"
            self._run(f"UPDATE {self._name(TICKETS)} SET {assignment} {where}", ids)

    def edit_state(self, assignment: str) -> None:
        if self.exists(STATE):
            self._run(f"UPDATE {self._name(STATE)} SET {assignment} WHERE TRUE")

    def double(self, table: str, ids: Iterable[str]) -> None:
        """Insert rows of these tickets once more."""
        if self.exists(table):
            name = self._name(table)
            where = "WHERE ticket_id IN UNNEST(@ids)"
            self._run(f"INSERT INTO {name} SELECT * FROM {name} {where}", ids)

    def take_copies(self) -> None:
        """Keep every table as it is now, as time travel does."""
        for table in RESTORED:
            if self.exists(table):
                self._replace(f"copy_of_{table}", table)

    def restore(self, names: Iterable[str], *, in_place: bool) -> None:
        """Put tables back to their copies, by a new table or row by row."""
        for table in names:
            copy = f"copy_of_{table}"
            if not self.exists(copy):
                continue
            if in_place and self.exists(table):
                self.empty(table)
                columns = ", ".join(field.name for field in self._schema(copy))
                source = f"SELECT {columns} FROM {self._name(copy)}"
                self._run(f"INSERT INTO {self._name(table)} ({columns}) {source}")
            else:
                self._replace(table, copy)

    def _replace(self, table: str, source: str) -> None:
        select = f"SELECT * FROM {self._name(source)}"
        self._run(f"CREATE OR REPLACE TABLE {self._name(table)} AS {select}")

    def _schema(self, table: str) -> list:  # type: ignore[type-arg]
        found = self._client.get_table(table, fresh=True)
        assert found is not None
        return list(found.schema)

    def _name(self, table: str) -> str:
        return self._client.dataset.table(table)

    def _run(self, sql: str, ids: Iterable[str] = ()) -> None:
        query = Query(sql, (Parameter("ids", ColumnType.STRING, tuple(ids)),))
        self._client.run(query, run_id=uuid.uuid4().hex, step="tamper")
