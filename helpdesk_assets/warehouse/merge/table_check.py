"""Compares a table's metadata with the columns that its rows need. Sends no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from helpdesk_assets.errors import SchemaMismatch
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec

if TYPE_CHECKING:
    from google.cloud import bigquery

# The API answers with the type names of legacy SQL, whatever names the request used.
_STANDARD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def check_table(found: bigquery.Table, spec: TableSpec, expected: Sequence[Column]) -> list[Column]:
    """Return the expected columns that the table lacks, if rows can be merged into it at all.

    Raises:
        SchemaMismatch: says what keeps rows out, and what to do.
    """
    if found.table_type not in ("TABLE", None):
        raise SchemaMismatch(
            f"{spec.name} is a {found.table_type}, and only a table takes rows. Nothing was "
            "written. Rename it, or set BIGQUERY_DATASET to a dataset without it, and run "
            "again: what is missing is made anew and read from the helpdesk."
        )
    missing = missing_columns(spec.name, expected, types_of(found))
    keys = [each.name for each in missing if each.name in spec.key]
    if keys:
        raise SchemaMismatch(
            f"Table {spec.name} has no column {' and '.join(keys)}, by which its rows are found: "
            "each would be inserted again. Nothing was written. Name the column so in the table, "
            "or set BIGQUERY_DATASET to a dataset without that table, and run again."
        )
    ours = {column.name.lower() for column in expected}
    required = [
        field.name
        for field in found.schema
        if field.mode == "REQUIRED"
        and field.name.lower() not in ours
        and not field.default_value_expression
    ]
    if required:
        raise SchemaMismatch(
            f"Table {spec.name}: no row of ours has {' or '.join(required)}, which the table "
            "requires. Nothing was written. Run `ALTER TABLE ... ALTER COLUMN ... DROP NOT NULL`, "
            "then run again."
        )
    return missing


def missing_columns(
    table: str, expected: Sequence[Column], actual: Mapping[str, str]
) -> list[Column]:
    """Return the expected columns that the table lacks. Column names ignore case, as in BigQuery.

    Args:
        table: the table's name, for the error.
        expected: the columns it should have.
        actual: the type of each column it has, by name.

    Raises:
        SchemaMismatch: some columns exist with a different type; names each.
    """
    there = {name.lower(): kind for name, kind in actual.items()}
    wrong = [
        f"{column.name} is {there[column.name.lower()]} in the table and must be {column.type}"
        for column in expected
        if column.name.lower() in there and not _fits(column, there[column.name.lower()])
    ]
    if wrong:
        raise SchemaMismatch(
            f"Table {table}: {'; '.join(wrong)}. Nothing was written. Change the column in the "
            "table (a copy with CAST under the same name) or in the asset, then run again."
        )
    return [column for column in expected if column.name.lower() not in there]


def is_json_as_text(column: Column, actual: Mapping[str, str]) -> bool:
    """Return whether a JSON column is STRING in the table, as in tables of an older sync."""
    kinds = {name.lower(): kind for name, kind in actual.items()}
    return column.type is ColumnType.JSON and kinds.get(column.name.lower()) == "STRING"


def _fits(column: Column, actual: str) -> bool:
    return actual == column.type or (column.type is ColumnType.JSON and actual == "STRING")


def types_of(table: bigquery.Table) -> dict[str, str]:
    """Return the type of each column by name, as a statement writes it."""
    return {field.name: _type_of(field) for field in table.schema}


def _type_of(field: bigquery.SchemaField) -> str:
    """Return the type as a statement writes it: a list or a limit of length is another type."""
    kind = _STANDARD_NAMES.get(field.field_type.upper(), field.field_type.upper())
    if field.max_length is not None:
        kind = f"{kind}({field.max_length})"
    return f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind
