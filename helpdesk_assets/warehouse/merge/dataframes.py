"""Converts a DataFrame to rows for the warehouse, and a table to a DataFrame.

pandas is imported inside the functions: most runs never need it, and its import takes a third of a
second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from helpdesk_assets.errors import DataRefused
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class FrameRows:
    """A DataFrame's rows and columns, for `TableWriter.merge`. The caller closes the spool."""

    spool: Spool
    columns: tuple[Column, ...]


def spool_frame(frame: pd.DataFrame, spec: TableSpec, small_bytes: int) -> FrameRows:
    """Convert a DataFrame to rows.

    Args:
        frame: the rows.
        spec: gives the types; a column that it lacks gets the type of its values.
        small_bytes: up to this size the rows stay in memory.

    Raises:
        DataRefused: the column's type cannot hold a value, such as a time without a zone.
    """
    known = {column.name: column for column in spec.columns}
    columns = tuple(
        known.get(str(name)) or Column(str(name), _type_of(frame[name])) for name in frame.columns
    )
    spool = Spool(small_bytes)
    try:
        for row_number, values in enumerate(frame.itertuples(index=False, name=None), start=1):
            row = {
                column.name: _cell(column, value, row_number)
                for column, value in zip(columns, values, strict=True)
            }
            spool.append(json.dumps(row, ensure_ascii=False, allow_nan=False).encode())
    except BaseException:
        spool.close()
        raise
    return FrameRows(spool, columns)


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
    names = [name for name in types if columns is None or name in columns]
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


def _type_of(values: pd.Series[Any]) -> ColumnType:
    from pandas.api import types

    if types.is_bool_dtype(values.dtype):
        return ColumnType.BOOL
    if types.is_integer_dtype(values.dtype):
        return ColumnType.INT64
    if types.is_float_dtype(values.dtype):
        return ColumnType.FLOAT64
    if types.is_datetime64_any_dtype(values.dtype):
        return ColumnType.TIMESTAMP
    return _type_of_objects(values)


def _type_of_objects(values: pd.Series[Any]) -> ColumnType:
    first = next((value for value in values if not _is_null(value)), None)
    match first:
        case bool():
            return ColumnType.BOOL
        case int():
            return ColumnType.INT64
        case float():
            return ColumnType.FLOAT64
        case datetime():
            return ColumnType.TIMESTAMP
        case dict() | list():
            return ColumnType.JSON
        case _:
            return ColumnType.STRING


def _is_null(value: object) -> bool:
    import pandas as pd

    # Lists and dicts first: pandas would return one answer per element.
    return not isinstance(value, dict | list | tuple) and bool(pd.isna(value))  # type: ignore[call-overload]


def _cell(column: Column, value: Any, row_number: int) -> Any:
    if _is_null(value):
        return None
    try:
        return _CONVERT[column.type](value)
    except (TypeError, ValueError) as error:
        raise DataRefused(
            f"Column {column.name}, row {row_number}: {str(value)[:60]!r} cannot be stored as "
            f"{column.type}: {error}. Nothing was written; correct the DataFrame."
        ) from error


def _to_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is not text")
    return value


def _to_int(value: Any) -> int:
    if int(value) != value:
        raise ValueError("not a whole number")
    return int(value)


def _to_float(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError("JSON has no such number")
    return float(value)


def _to_bool(value: Any) -> bool:
    if value not in (True, False):
        raise ValueError("neither true nor false")
    return bool(value)


def _rfc3339(value: Any) -> str:
    moment = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    if not isinstance(moment, datetime):
        raise TypeError(f"{type(value).__name__} is not a time")
    if moment.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _to_json(value: Any) -> Any:
    """Parse text, since `read_frame` returns JSON columns as text."""
    return json.loads(value) if isinstance(value, str) else value


_CONVERT: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.STRING: _to_text,
    ColumnType.INT64: _to_int,
    ColumnType.FLOAT64: _to_float,
    ColumnType.BOOL: _to_bool,
    ColumnType.TIMESTAMP: _rfc3339,
    ColumnType.JSON: _to_json,
}
