"""Says which columns of a DataFrame are written, under which names and with which types.

The table's own types come first: pandas makes floats of whole numbers beside a missing one, so the
frame alone cannot tell. A column without a single value says nothing, and is left out.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from helpdesk_assets.errors import DataRefused, NullKey
from helpdesk_assets.warehouse.merge.column_names import wrong_name
from helpdesk_assets.warehouse.merge.frame_values import as_python, is_nested, is_null
from helpdesk_assets.warehouse.query import NULL_KEY
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """One column to write, and its position in the frame."""

    column: Column
    position: int


def frame_columns(
    frame: pd.DataFrame, spec: TableSpec, held: Mapping[str, str]
) -> tuple[FrameColumn, ...]:
    """Return the columns to write.

    Args:
        frame: the rows.
        spec: the table as declared; its columns give their types.
        held: the type of each column that the table has by now, by name.

    Raises:
        DataRefused: a name that BigQuery does not take, twice the same one, or a type that this
            project does not write.
        NullKey: a row has no value in a column of the key.
    """
    names = [str(name) for name in frame.columns]
    _check_names(names, spec)
    known = _known_columns(spec, held)
    found = [
        FrameColumn(column, position)
        for position, name in enumerate(names)
        if (column := _column(name, frame.iloc[:, position], spec, known)) is not None
    ]
    _check_keys(frame, spec, {name.lower(): index for index, name in enumerate(names)})
    return tuple(found)


def _check_names(names: Sequence[str], spec: TableSpec) -> None:
    wrong = wrong_name(names)
    if wrong:
        raise DataRefused(
            f"Table {spec.name}: {wrong}. Nothing was written; rename it in the DataFrame."
        )


def _known_columns(spec: TableSpec, held: Mapping[str, str]) -> dict[str, Column | str]:
    """Return by name in lower case what is declared, else what the table has.

    A type that this project does not write stays as its name.
    """
    types = {kind.value: kind for kind in ColumnType}
    found: dict[str, Column | str] = {
        name.lower(): Column(name, types[kind]) if kind in types else kind
        for name, kind in held.items()
    }
    return found | {column.name.lower(): column for column in spec.columns}


def _column(
    name: str, values: pd.Series[Any], spec: TableSpec, known: Mapping[str, Column | str]
) -> Column | None:
    """Return the column under the name that the spec or the table has for it, None to omit it."""
    kind = known.get(name.lower())
    role = next((own for own in _named(spec) if own.lower() == name.lower()), None)
    if isinstance(kind, Column):
        return Column(role or kind.name, kind.type, kind.description)
    if kind is not None:
        if values.isna().all():
            return None
        raise DataRefused(
            f"Column {name} is {kind} in table {spec.name}, which takes {_listed()} from a "
            "DataFrame. Nothing was written; leave it out, or write it under another name."
        )
    own_name = role or name
    told = _type_of(name, values) or _type_of_role(own_name, spec)
    return Column(own_name, told) if told else None


def _named(spec: TableSpec) -> Iterator[str]:
    """Yield the columns that the spec names besides its list of columns."""
    yield from spec.key
    yield from spec.newest_first
    yield from spec.write_once
    yield from spec.stamps
    singles = (spec.version, spec.content_hash_column, spec.read_at_column, spec.deleted_column)
    yield from (
        name
        for name in (*singles, spec.status, spec.partition_by, *spec.cluster_by)
        if name is not None
    )


def _type_of_role(name: str, spec: TableSpec) -> ColumnType | None:
    """Return the type of a column without values whose part in the MERGE says it."""
    if name in (spec.version, spec.read_at_column, spec.deleted_column, spec.partition_by):
        return ColumnType.TIMESTAMP
    if name in (spec.content_hash_column, spec.status):
        return ColumnType.STRING
    return None


def _check_keys(frame: pd.DataFrame, spec: TableSpec, positions: Mapping[str, int]) -> None:
    for name in spec.key if len(frame) else ():
        if name.lower() not in positions:
            raise NullKey(
                f"{NULL_KEY} {spec.name}.{name}: the DataFrame has no such column. Nothing was "
                "written; if it is the index, call reset_index() first."
            )
        absent = frame.iloc[:, positions[name.lower()]].isna().to_numpy().nonzero()[0]
        if len(absent):
            raise NullKey(
                f"{NULL_KEY} {spec.name}.{name}: row {absent[0] + 1} of {len(frame)} has no value "
                "there and would be inserted again on every run. Nothing was written; correct the "
                "DataFrame."
            )


def _type_of(name: str, values: pd.Series[Any]) -> ColumnType | None:
    """Return the type of the values, None if there is none."""
    if not len(values) or values.isna().all():
        return None
    kinds = {_kind(as_python(value)) for value in _distinct_types(values) if not is_null(value)}
    if kinds == {ColumnType.INT64, ColumnType.FLOAT64}:
        return ColumnType.FLOAT64
    if len(kinds) > 1:
        told = " and ".join(sorted(kind.value for kind in kinds))
        raise DataRefused(
            f"Column {name} holds {told}, and a column has one type. Nothing was written; convert "
            "its values to one of them."
        )
    return kinds.pop()


def _distinct_types(values: pd.Series[Any]) -> Iterator[Any]:
    """Yield the first value of each Python type, since a column may have millions."""
    seen: set[type] = set()
    for value in values:
        if type(value) not in seen and not is_null(value):
            seen.add(type(value))
            yield value
        elif values.dtype != object:
            return  # all of one type


def _kind(value: Any) -> ColumnType:
    if isinstance(value, bool):
        return ColumnType.BOOL
    if isinstance(value, numbers.Integral):
        return ColumnType.INT64
    if isinstance(value, float | Decimal):
        return ColumnType.FLOAT64
    if isinstance(value, datetime):
        return ColumnType.TIMESTAMP
    return ColumnType.JSON if is_nested(value) else ColumnType.STRING


def _listed() -> str:
    *first, last = ColumnType
    return f"{', '.join(first)} and {last}"
