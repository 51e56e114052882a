"""Converts a DataFrame to rows for the warehouse, and a table to a DataFrame.

pandas is imported inside the functions: most runs never need it, and its import takes a third of a
second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpdesk_assets.errors import DataRefused
from helpdesk_assets.providers.parsing.exact_json import dump
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.frame_columns import FrameColumn, frame_columns
from helpdesk_assets.warehouse.merge.frame_values import is_null, to_cell
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.table_spec import Column, TableSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class FrameRows:
    """A DataFrame's rows and columns, for `TableWriter.merge`. The caller closes the spool."""

    spool: Spool
    columns: tuple[Column, ...]


def spool_frame(
    frame: pd.DataFrame, spec: TableSpec, held: Mapping[str, str], small_bytes: int
) -> FrameRows:
    """Convert a DataFrame to rows.

    Args:
        frame: the rows.
        spec: gives the types; a column that it lacks gets the table's, else that of its values. A
            column without either is left out.
        held: the type of each column that the table has by now, by name.
        small_bytes: up to this size the rows stay in memory.

    Raises:
        DataRefused: a value or a name cannot be stored, such as a time without a zone.
    """
    columns = frame_columns(frame, spec, held)
    spool = Spool(small_bytes)
    try:
        for row_number, values in enumerate(frame.itertuples(index=False, name=None), start=1):
            spool.append(dump(_row(columns, values, row_number)))
    except BaseException:
        spool.close()
        raise
    return FrameRows(spool, tuple(each.column for each in columns))


def _row(
    columns: Sequence[FrameColumn], values: tuple[Any, ...], row_number: int
) -> dict[str, Any]:
    return {
        each.column.name: _cell(each.column, values[each.position], row_number) for each in columns
    }


def _cell(column: Column, value: Any, row_number: int) -> Any:
    if is_null(value):
        return None
    try:
        return to_cell(value, column.type)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataRefused(
            f"Column {column.name}, row {row_number}: {str(value)[:60]!r} cannot be stored as "
            f"{column.type}: {error}. Nothing was written; correct the DataFrame."
        ) from error


def read_frame(
    warehouse: BigQueryClient, spec: TableSpec, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read a table: times in UTC, whole numbers as Int64, JSON as text.

    Runs no query job, and holds every row in memory.

    Args:
        warehouse: where the table is.
        spec: the table.
        columns: which columns to read; None: all.
    """
    import pandas as pd

    types = Schema(warehouse).columns(spec)
    asked = None if columns is None else {name.lower() for name in columns}
    names = [name for name in types if asked is None or name.lower() in asked]
    rows = [
        [_plain(row[name], types[name], is_emulator=warehouse.is_emulator) for name in names]
        for row in warehouse.list_rows(spec.name, names)
    ]
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    return frame.astype({name: _DTYPES.get(types[name], "object") for name in names})


_DTYPES = {
    "INT64": "Int64",
    "FLOAT64": "Float64",
    "BOOL": "boolean",
    "TIMESTAMP": "datetime64[us, UTC]",
}


def _plain(value: Any, kind: str, *, is_emulator: bool) -> Any:
    if kind != "JSON" or value is None:
        return value
    if is_emulator and isinstance(value, str) and _is_json(value):
        return value  # bqemulator returns the JSON text, the real service the value
    return json.dumps(value, ensure_ascii=False)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
