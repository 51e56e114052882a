"""Tables as they should be and as they are: makes what is absent, adds columns, refuses a change
of type.

All through the API, since making a table must cost no query job. Only ever adds: a column that a
table has and a description lacks is somebody else's and stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from google.cloud import bigquery

from helpdesk_assets.errors import SchemaMismatch
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.query import Query, quote
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec

DAY_MILLISECONDS = 86_400_000

# The API answers in the words of legacy SQL, whatever one has asked in.
_STANDARD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


class Schema:
    """The tables of one dataset. What the warehouse has told once is not asked again."""

    def __init__(self, warehouse: BigQueryClient) -> None:
        self._warehouse = warehouse

    def exists(self, spec: TableSpec) -> bool:
        return self._warehouse.get_table(spec.name) is not None

    def columns(self, spec: TableSpec) -> dict[str, str]:
        """Name and type of each column that the table has; nothing where there is no table."""
        found = self._warehouse.get_table(spec.name)
        return {} if found is None else _types(found)

    def ensure_dataset(self) -> None:
        self._warehouse.ensure_dataset()

    def ensure(self, spec: TableSpec, columns: Sequence[Column] | None = None) -> None:
        """Make the table, or add what it lacks of `columns` (the spec's own when None).

        Raises:
            SchemaMismatch: a column is there with another type.
        """
        expected = spec.columns if columns is None else columns
        found = self._warehouse.get_table(spec.name)
        if found is None:
            self.ensure_dataset()
            # An answer to the request, not a promise: somebody else may have been first, with
            # other columns, so what is there is checked all the same.
            found = self._warehouse.create_table(self._table_definition(spec, expected))
        missing = missing_columns(spec.name, expected, _types(found))
        if missing:
            self._add(spec.name, missing)

    def set_partition_expiry(self, spec: TableSpec, days: int) -> None:
        """Let BigQuery drop the table's partitions after so many days; 0: never.

        A partition's age counts from its beginning, so a day more keeps its last rows as long.
        """
        found = self._warehouse.get_table(spec.name)
        if found is None or found.time_partitioning is None:
            return
        expected = (days + 1) * DAY_MILLISECONDS if days else None
        if found.time_partitioning.expiration_ms == expected:
            return
        # None has to be sent: what a request leaves out stays as it is.
        found.time_partitioning.expiration_ms = expected
        self._warehouse.update_partitioning(found)

    def ensure_view(self, name: str, sql: str, description: str) -> None:
        """Make the view, or make it say what it should. It is told by a label whether it does: one
        stand-in does not give a view's text back.

        Raises:
            SchemaMismatch: a table has the name.
        """
        view = bigquery.Table(self._warehouse.dataset.table_id(name))
        view.view_query = sql
        view.description = description
        text = f"{description}\n{sql}"
        mark = hashlib.sha256(text.encode()).hexdigest()[:16]
        view.labels = {"app": "helpdesk-assets", "text": mark}
        found = self.view(name)
        if found is None:
            self._warehouse.create_table(view)
        elif found.labels.get("text") != mark:
            if self._warehouse.is_emulator:
                # local-bigquery would answer with the old view. Elsewhere who may read it is kept.
                self._warehouse.drop_table(name)
                self._warehouse.create_table(view)
            else:
                self._warehouse.update_view(view)

    def view(self, name: str) -> bigquery.Table | None:
        """
        Raises:
            SchemaMismatch: what has the name is no view, and may be somebody's only copy.
        """
        found = self._warehouse.get_table(name)
        if found is not None and found.table_type != "VIEW":
            raise SchemaMismatch(
                f"{name} is a {found.table_type}, and a sync keeps a view of that name. No ticket "
                f"was written. Rename it, or set BIGQUERY_DATASET to a dataset without {name}, "
                "and run again."
            )
        return found

    def _table_definition(self, spec: TableSpec, columns: Sequence[Column]) -> bigquery.Table:
        table = bigquery.Table(self._warehouse.dataset.table_id(spec.name), fields(columns))
        if spec.partition_by is not None:
            table.time_partitioning = bigquery.TimePartitioning(
                type_=spec.partition_unit, field=spec.partition_by
            )
        if spec.cluster_by:
            table.clustering_fields = list(spec.cluster_by)
        table.description = spec.description
        table.labels = {"app": "helpdesk-assets"}
        return table

    def _add(self, name: str, missing: Sequence[Column]) -> None:
        # Fresh, because the request sends the whole schema: an old copy would drop what another
        # run has added meanwhile.
        found = self._warehouse.get_table(name, fresh=True)
        if found is None:
            return
        missing = missing_columns(name, missing, _types(found))
        if not missing:
            return
        found.schema = [*found.schema, *fields(missing)]
        self._warehouse.update_schema(found)
        if self._warehouse.is_emulator:
            # bqemulator changes only its catalogue above and only its storage here. It also takes
            # one column per statement.
            for column in missing:
                self._warehouse.run(self._alter(name, column), run_id="schema", step=name)
        self._warehouse.get_table(name, fresh=True)

    def _alter(self, name: str, column: Column) -> Query:
        return Query(
            f"ALTER TABLE {self._warehouse.dataset.table(name)}\n"
            f"ADD COLUMN IF NOT EXISTS {quote(column.name)} {column.type}"
        )


def fields(columns: Iterable[Column]) -> list[bigquery.SchemaField]:
    """All NULLABLE: BigQuery takes a new column no other way, and keys are checked by the MERGE."""
    return [
        bigquery.SchemaField(column.name, str(column.type), description=column.description)
        for column in columns
    ]


def missing_columns(table: str, expected: Sequence[Column], actual: dict[str, str]) -> list[Column]:
    """Those of `expected` that the table lacks. BigQuery's column names ignore case.

    Raises:
        SchemaMismatch: naming each column that is there with another type.
    """
    there = {name.lower(): kind for name, kind in actual.items()}
    wrong = [
        f"{column.name} is {there[column.name.lower()]} in the table and {column.type} in the batch"
        for column in expected
        if column.name.lower() in there and not _fits(column, there[column.name.lower()])
    ]
    if wrong:
        raise SchemaMismatch(
            f"Table {table}: {'; '.join(wrong)}. Nothing was written. Change the column in the "
            "table (a copy with CAST under the same name) or in the asset, then run again."
        )
    return [column for column in expected if column.name.lower() not in there]


def is_json_as_text(column: Column, actual: dict[str, str]) -> bool:
    """Tables that exist in the field keep the vendor's object as STRING."""
    return column.type is ColumnType.JSON and actual.get(column.name) == "STRING"


def _fits(column: Column, actual: str) -> bool:
    return actual == column.type or (column.type is ColumnType.JSON and actual == "STRING")


def _types(table: bigquery.Table) -> dict[str, str]:
    return {
        field.name: _STANDARD_NAMES.get(field.field_type.upper(), field.field_type.upper())
        for field in table.schema
    }
