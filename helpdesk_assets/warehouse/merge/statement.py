"""Builds the MERGE from a table's description, as readable text.

Pure text: this module must not know a client, a clock or any google library.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from textwrap import indent

from helpdesk_assets.warehouse.merge.newer_wins import NewerWins
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
    # The default mode refuses a decimal as ordinary as 0.915908. Rounding changes no value: whoever
    # creates the rows gives numbers that no double holds exactly as text.
    rows = "UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@batch, wide_number_mode => 'round'))) AS r"
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
    key_listed: str | None = None,
    has_tombstones: bool = False,
    has_alive_at: bool = False,
    forced: bool = False,
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
        key_listed: the column of the key of which `@keys` has all values of the source; None: none.
        has_tombstones: the source has the spec's `tombstone_flag`, and rows in which it is true.
        has_alive_at: the source has the spec's `alive_at_column`.
        forced: for NEWER_WINS, a row of an equal version is replaced if any column differs.

    Raises:
        ValueError: the spec lacks what its merge policy needs.
    """
    guard = NewerWins(spec, columns, json_as_text, has_tombstones, has_alive_at, forced)
    source_only = _source_only(spec, has_tombstones=has_tombstones, has_alive_at=has_alive_at)
    parts = [
        f"MERGE INTO {target} AS T",
        "USING (",
        indent(_deduplicated(spec, source_sql, columns, order, json_as_text, source_only), "  "),
        ") AS S",
        _on(spec, partition_bounds, key_listed),
    ]
    if spec.merge_policy is MergePolicy.NEWER_WINS:
        parts += [guard.clauses()]
    if spec.merge_policy is MergePolicy.STATUS_TRANSITIONS:
        parts += [_when_transition(spec, columns)]
    names = ", ".join(map(quote, columns))
    values = ", ".join(map(guard.inserted, columns))
    parts += [f"WHEN NOT MATCHED THEN INSERT ({names})", f"VALUES ({values})"]
    return "\n".join(parts)


def first_load_statement(
    spec: TableSpec,
    target: str,
    source_sql: str,
    columns: Sequence[str],
    *,
    order: Sequence[str] | None = None,
    json_as_text: Collection[str] = (),
    has_tombstones: bool = False,
) -> str:
    """Return the statement that writes a batch into an empty table, without comparing.

    It writes nothing unless the table is still empty, so repeating it is safe, and whoever runs it
    must MERGE if it wrote nothing. The arguments are those of `merge_statement`.
    """
    guard = NewerWins(spec, columns, json_as_text, has_tombstones)
    source_only = _source_only(spec, has_tombstones=has_tombstones, has_alive_at=False)
    values = ",\n".join(f"  {guard.inserted(name)}" for name in columns)
    source = _deduplicated(spec, source_sql, columns, order, json_as_text, source_only)
    return f"""\
INSERT INTO {target} ({", ".join(map(quote, columns))})
SELECT
{values}
FROM (
{indent(source, "  ")}
) AS S
WHERE (SELECT COUNT(*) FROM {target}) = 0"""


def _source_only(spec: TableSpec, *, has_tombstones: bool, has_alive_at: bool) -> list[str]:
    """Return the columns of the source that only the guard reads."""
    given = ((spec.tombstone_flag, has_tombstones), (spec.alive_at_column, has_alive_at))
    return [str(name) for name, is_given in given if name and is_given]


def _deduplicated(
    spec: TableSpec,
    source_sql: str,
    columns: Sequence[str],
    order: Sequence[str] | None,
    json_as_text: Collection[str],
    source_only: Sequence[str],
) -> str:
    """Select one row per key.

    Two source rows for one target row fail the statement; two for no target row are both inserted.
    """
    values = ",\n".join(
        f"  {_value(spec, name, json_as_text)}" for name in (*columns, *source_only)
    )
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


def _on(spec: TableSpec, partition_bounds: PartitionBounds | None, key_listed: str | None) -> str:
    # A plain `=` lets BigQuery skip clustered blocks; a null-safe comparison reads them all.
    tests = [" AND ".join(f"T.{quote(name)} = S.{quote(name)}" for name in spec.key)]
    if key_listed is not None:
        # A join alone skips no block, constants do.
        tests.append(f"T.{quote(key_listed)} IN UNNEST(@keys)")
    if partition_bounds is not None:
        tests.append(partition_bounds.condition("T"))
    return "ON " + "\n  AND ".join(tests)


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
