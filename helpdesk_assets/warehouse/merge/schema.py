"""Creates tables and views, adds columns, and refuses changes of type.

Uses API calls only, since creating a table must cost no query job. Never removes anything: a
column that a table has and its description lacks is somebody else's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from helpdesk_assets.errors import SchemaMismatch, WarehouseUnavailable
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge import lifetimes
from helpdesk_assets.warehouse.merge.column_names import check_names
from helpdesk_assets.warehouse.merge.table_check import check_table, missing_columns, types_of
from helpdesk_assets.warehouse.query import Query, quote
from helpdesk_assets.warehouse.table_spec import Column, TableSpec

if TYPE_CHECKING:
    from google.cloud import bigquery

# How often columns are added when others change the table at the same moment.
SCHEMA_TRIES = 5


class Schema:
    """The schemas of one dataset, cached."""

    def __init__(self, warehouse: BigQueryClient) -> None:
        self._warehouse = warehouse

    def exists(self, spec: TableSpec) -> bool:
        """Return whether the table exists."""
        return self._warehouse.get_table(spec.name) is not None

    def columns(self, spec: TableSpec) -> dict[str, str]:
        """Return the type of each column of the table by name; empty if there is no table."""
        found = self._warehouse.get_table(spec.name)
        return {} if found is None else types_of(found)

    def absent(self, spec: TableSpec, columns: Sequence[Column]) -> tuple[str, ...]:
        """Return which of the columns the table lacks by name; none if there is no table."""
        held = {name.lower() for name in self.columns(spec)}
        return tuple(each.name for each in columns if held and each.name.lower() not in held)

    def check(self, spec: TableSpec) -> None:
        """Fail if the table, where there is one, has columns that no statement of ours can use.

        Raises:
            SchemaMismatch: says which column, its type, the type it must have and what to do.
        """
        found = self._warehouse.get_table(spec.name)
        if found is not None:
            check_table(found, spec, spec.columns)

    def ensure_dataset(self) -> None:
        """Create the dataset if it does not exist."""
        self._warehouse.ensure_dataset()

    def ensure(self, spec: TableSpec, columns: Sequence[Column] | None = None) -> None:
        """Create the table, or add the columns it lacks.

        Args:
            spec: the table.
            columns: the columns it must have; the spec's if None.

        Raises:
            SchemaMismatch: a column exists with a different type, it lacks a column of the key, a
                column's name is not BigQuery's to take, or it is a view.
        """
        expected = spec.columns if columns is None else columns
        check_names(spec.name, expected)
        found = self._warehouse.get_table(spec.name)
        if found is None:
            self.ensure_dataset()
            # Another process may have created the table first, with other columns, so the result
            # is checked all the same.
            found = self._warehouse.create_table(self._table_definition(spec, expected))
            lifetimes.undo_inherited(self._warehouse, spec, found)
        missing = check_table(found, spec, expected)
        lifetimes.keep_rows(self._warehouse, spec)
        if missing:
            self._add(spec.name, missing)

    def label(self, spec: TableSpec, name: str) -> str | None:
        """Return a label of the table, None without the table or the label."""
        # Fresh, since it may have been set since: who is refused is asked again.
        found = self._warehouse.get_table(spec.name, fresh=True)
        return None if found is None else found.labels.get(name)

    def ensure_label(self, spec: TableSpec, name: str, value: str) -> None:
        """Set a label of the table, if there is the table."""
        found = self._warehouse.get_table(spec.name)
        if found is None or found.labels.get(name) == value:
            return
        found.labels = {**found.labels, name: value}
        self._warehouse.update_labels(found)

    def set_partition_expiry(self, spec: TableSpec, days: int) -> None:
        """Let BigQuery drop the table's partitions after `days` days; 0: never."""
        found = self._warehouse.get_table(spec.name)
        if found is None or found.time_partitioning is None:
            return
        expected = lifetimes.milliseconds(days)
        if found.time_partitioning.expiration_ms != expected:
            lifetimes.set_partitions(self._warehouse, found, expected)

    def ensure_view(self, name: str, sql: str, description: str) -> None:
        """Create the view, or update it if its text has changed.

        A label with a hash of the text shows the change: one emulator does not return the text of
        a view.

        Args:
            name: the view's name.
            sql: its SELECT.
            description: shown in BigQuery.

        Raises:
            SchemaMismatch: a table has this name.
        """
        from google.cloud import bigquery

        view = bigquery.Table(self._warehouse.dataset.table_id(name))
        view.view_query = sql
        view.description = description
        text = f"{description}\n{sql}"
        mark = hashlib.sha256(text.encode()).hexdigest()[:16]
        view.labels = {"app": "helpdesk-assets", "text": mark}
        found = self.view(name)
        if found is None:
            lifetimes.keep_view(self._warehouse, self._warehouse.create_table(view))
        elif found.labels.get("text") != mark:
            if self._warehouse.is_emulator:
                # local-bigquery would keep answering with the old view. The real service updates
                # it in place, which keeps its access rights.
                self._warehouse.drop_table(name)
                self._warehouse.create_table(view)
            else:
                self._warehouse.update_view(view)

    def view(self, name: str) -> bigquery.Table | None:
        """Return the view's metadata, None if it does not exist.

        Raises:
            SchemaMismatch: a table has this name, and may be somebody's only copy.
        """
        found = self._warehouse.get_table(name)
        if found is not None and found.table_type != "VIEW":
            raise SchemaMismatch(
                f"{name} is a {found.table_type}, and a sync keeps a view of that name. Nothing "
                f"was written. Rename it, or set BIGQUERY_DATASET to a dataset without {name}, "
                "and run again."
            )
        return found

    def _table_definition(self, spec: TableSpec, columns: Sequence[Column]) -> bigquery.Table:
        from google.cloud import bigquery

        table = bigquery.Table(self._warehouse.dataset.table_id(spec.name), fields(columns))
        if spec.partition_by is not None:
            table.time_partitioning = bigquery.TimePartitioning(
                type_=spec.partition_unit,
                field=spec.partition_by,
                expiration_ms=lifetimes.milliseconds(spec.partition_days),
            )
        if spec.cluster_by:
            table.clustering_fields = list(spec.cluster_by)
        table.description = spec.description
        table.labels = {"app": "helpdesk-assets"}
        return table

    def _add(self, name: str, columns: Sequence[Column]) -> None:
        for _ in range(SCHEMA_TRIES):
            # Fresh, because the request sends the whole schema: a cached one would drop the
            # columns that another run has added meanwhile.
            found = self._warehouse.get_table(name, fresh=True)
            missing = missing_columns(name, columns, types_of(found)) if found else ()
            if found is None or not missing:
                return
            found.schema = [*found.schema, *fields(missing)]
            if self._warehouse.update_schema(found):
                self._add_to_storage(name, missing)
                self._warehouse.get_table(name, fresh=True)
                return
        raise WarehouseUnavailable(
            f"Adding columns to table {name}: other programs changed it each time. Nothing was "
            "written; run again."
        )

    def _add_to_storage(self, name: str, missing: Sequence[Column]) -> None:
        # In bqemulator, `update_schema` changes only the catalogue and this statement only the
        # storage. It accepts one column per statement.
        if self._warehouse.is_emulator:
            for column in missing:
                self._warehouse.run(self._alter(name, column), run_id="schema", step=name)

    def _alter(self, name: str, column: Column) -> Query:
        return Query(
            f"ALTER TABLE {self._warehouse.dataset.table(name)}\n"
            f"ADD COLUMN IF NOT EXISTS {quote(column.name)} {column.type}"
        )


def fields(columns: Iterable[Column]) -> list[bigquery.SchemaField]:
    """Return the columns for the API.

    All are NULLABLE: BigQuery adds no other kind, and the MERGE checks the keys.
    """
    from google.cloud import bigquery

    return [
        bigquery.SchemaField(column.name, str(column.type), description=column.description)
        for column in columns
    ]
