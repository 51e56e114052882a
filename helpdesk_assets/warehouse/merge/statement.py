"""Builds the MERGE from a table's description, as readable text.

Pure text: this module must not know a client, a clock or any google library.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from textwrap import indent

from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.query import NULL_KEY, check_name, quote
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

_STATUS = re.compile(r"[a-z_]{1,60}")


def rows_source(columns: Sequence[Column], *, json_as_text: Collection[str] = ()) -> str:
    """Return a SELECT that reads the rows of a JSON array from the parameter `@batch`.

    Args:
        columns: the columns of the rows.
        json_as_text: columns that are JSON in the rows and STRING in the target.
    """
    values = ",\n".join(
        f"  {_from_json(column, json_as_text)} AS {quote(column.name)}" for column in columns
    )
    # Without a wide_number_mode, a number that BigQuery's JSON cannot hold exactly is refused, not
    # rounded. Whoever creates the rows gives such numbers as text.
    rows = "UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@batch))) AS r"
    return f"SELECT\n{values}\nFROM {rows}"


def _from_json(column: Column, json_as_text: Collection[str]) -> str:
    path = f"'$.{column.name}'"
    if column.name in json_as_text:
        # Not around this SELECT: there bqemulator treats the JSON as a string.
        return f"NULLIF(TO_JSON_STRING(JSON_QUERY(r, {path})), 'null')"
    match column.type:
        case ColumnType.STRING:
            return f"JSON_VALUE(r, {path})"
        case ColumnType.JSON:
            # A JSON null would be a value. The row means SQL's NULL, which is what a load job
            # stores.
            query = f"JSON_QUERY(r, {path})"
            return f"IF(TO_JSON_STRING({query}) = 'null', NULL, {query})"
        case _:
            return f"CAST(JSON_VALUE(r, {path}) AS {column.type})"


def table_source(table: str, columns: Sequence[Column]) -> str:
    """Return a SELECT that reads the rows of a staging table; `table` is a quoted name."""
    names = ",\n".join(f"  {quote(column.name)}" for column in columns)
    return f"SELECT\n{names}\nFROM {table}"


def merge_statement(
    spec: TableSpec,
    target: str,
    source_sql: str,
    columns: Sequence[str],
    *,
    order: Sequence[str] | None = None,
    json_as_text: Collection[str] = (),
    partition_bounds: PartitionBounds | None = None,
    has_tombstones: bool = False,
) -> str:
    """Return the statement that writes a batch into a table. It is safe to repeat.

    Args:
        spec: the table's key and guard.
        target: the table's quoted name.
        source_sql: a SELECT with at least `columns` and the columns of `order`.
        columns: the columns to write, including the key.
        order: total order, newest first, by which one source row per key is chosen; the spec's
            if None. May name columns that only the source has.
        json_as_text: columns that are JSON in the source and STRING in the target.
        partition_bounds: the only partitions that can hold matching rows; None: all.
        has_tombstones: the source has the spec's `tombstone_flag`, and rows in which it is true.

    Raises:
        ValueError: the spec lacks what its merge policy needs.
    """
    flag = spec.tombstone_flag if has_tombstones else None
    parts = [
        f"MERGE INTO {target} AS T",
        "USING (",
        indent(_deduplicated(spec, source_sql, columns, order, json_as_text, flag), "  "),
        ") AS S",
        _on(spec, partition_bounds),
    ]
    if spec.merge_policy is MergePolicy.NEWER_WINS:
        parts += [_when_newer(spec, columns, flag)]
    if spec.merge_policy is MergePolicy.STATUS_TRANSITIONS:
        parts += [_when_transition(spec, columns)]
    names = ", ".join(map(quote, columns))
    values = ", ".join(f"S.{quote(name)}" for name in columns)
    parts += [f"WHEN NOT MATCHED THEN INSERT ({names})", f"VALUES ({values})"]
    return "\n".join(parts)


def _deduplicated(
    spec: TableSpec,
    source_sql: str,
    columns: Sequence[str],
    order: Sequence[str] | None,
    json_as_text: Collection[str],
    flag: str | None,
) -> str:
    """Select one row per key.

    Two source rows for one target row fail the statement; two for no target row are both inserted.
    """
    source_columns = [*columns, *([flag] if flag else [])]
    values = ",\n".join(f"  {_value(spec, name, json_as_text)}" for name in source_columns)
    newest = spec.newest_first if order is None else order
    window = [f"    PARTITION BY {', '.join(f'B.{quote(name)}' for name in spec.key)}"]
    if newest:
        window += [f"    ORDER BY {', '.join(f'B.{quote(name)} DESC' for name in newest)}"]
    return "\n".join(
        [
            "SELECT",
            values,
            "FROM (",
            indent(source_sql.strip(), "  "),
            ") AS B",
            "WHERE TRUE",
            "QUALIFY ROW_NUMBER() OVER (",
            *(line[2:] for line in window),
            ") = 1",
        ]
    )


def _value(spec: TableSpec, name: str, json_as_text: Collection[str]) -> str:
    column = f"B.{quote(name)}"
    if name in spec.key:
        # A NULL never equals anything, so such a row would be inserted again on every run.
        return f"IFNULL({column}, ERROR('{NULL_KEY} {spec.name}.{name}')) AS {quote(name)}"
    if name in json_as_text:
        return f"NULLIF(TO_JSON_STRING({column}), 'null') AS {quote(name)}"
    return column


def _on(spec: TableSpec, partition_bounds: PartitionBounds | None) -> str:
    # A plain `=` lets BigQuery skip clustered blocks; a null-safe comparison reads them all.
    equal = " AND ".join(f"T.{quote(name)} = S.{quote(name)}" for name in spec.key)
    if partition_bounds is None:
        return f"ON {equal}"
    part = f"T.{quote(partition_bounds.column)}"
    return f"ON {equal}\n  AND ({part} IS NULL OR {part} BETWEEN @prune_from AND @prune_to)"


def _when_newer(spec: TableSpec, columns: Sequence[str], flag: str | None) -> str:
    if spec.version is None:
        raise ValueError(f"{spec.name}: MergePolicy.NEWER_WINS needs a version column")
    version = quote(spec.version)
    tests = [f"  T.{version} IS NULL", f"  OR T.{version} < S.{version}"]
    if spec.content_hash_column in columns:
        mark = quote(str(spec.content_hash_column))
        same = f"T.{version} = S.{version} AND T.{mark} IS DISTINCT FROM S.{mark}"
        tests += [f"  OR ({same}{_unless_deleted(spec, columns)})"]
    kept = {*spec.key, *spec.write_once}
    updates = ",\n".join(f"  {_update(spec, name, flag)}" for name in columns if name not in kept)
    return "\n".join(["WHEN MATCHED AND (", *tests, ") THEN UPDATE SET", updates])


def _unless_deleted(spec: TableSpec, columns: Sequence[str]) -> str:
    """Keep a deleted row from being replaced by a live one with the same timestamp.

    A change and a deletion in the same clock tick have equal timestamps, and their webhooks may
    arrive in either order. No later run would see the deletion again.
    """
    if spec.deleted_column not in columns:
        return ""
    deleted_column = quote(str(spec.deleted_column))
    return f"\n    AND (T.{deleted_column} IS NULL OR S.{deleted_column} IS NOT NULL)"


def _when_transition(spec: TableSpec, columns: Sequence[str]) -> str:
    if spec.status is None or not spec.transitions:
        raise ValueError(
            f"{spec.name}: MergePolicy.STATUS_TRANSITIONS needs a status column and transitions"
        )
    status = quote(spec.status)
    tests = [
        f"(T.{status} = {_status_literal(before)} AND S.{status} = {_status_literal(after)})"
        for before, after in spec.transitions
    ]
    kept = {*spec.key, *spec.write_once}
    updates = ",\n".join(
        f"  {quote(name)} = S.{quote(name)}" for name in columns if name not in kept
    )
    return "\n".join(
        ["WHEN MATCHED AND (", "  " + "\n  OR ".join(tests), ") THEN UPDATE SET", updates]
    )


def _status_literal(status: str) -> str:
    """Return a status from a table's description as a literal."""
    check_name(_STATUS, status, "status", "a status in lower-case letters")
    return f"'{status}'"


def _update(spec: TableSpec, name: str, flag: str | None) -> str:
    column = quote(name)
    if flag and name in spec.tombstone_keeps:
        return f"{column} = IF(S.{quote(flag)}, T.{column}, S.{column})"
    if name == spec.partition_by:
        # A row without the partition's time must not move the stored row to another partition.
        return f"{column} = COALESCE(S.{column}, T.{column})"
    return f"{column} = S.{column}"
