"""Puts a small batch into the statement itself, as one JSON parameter."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from helpdesk_assets.errors import NullKey
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.merge.statement import rows_source
from helpdesk_assets.warehouse.query import NULL_KEY, Parameter, Query
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec

# BigQuery accepts requests of 10 MB. google's client escapes everything outside ASCII, which makes
# a batch in Cyrillic three times as long; one of 4 MB was refused.
REQUEST_BYTES = 9_000_000
MAX_ESCAPE_GROWTH = 3
# A list of keys comes on top of the rows. BigQuery skips clustered blocks by it; a longer one would
# touch nearly every block.
MAX_KEYS = 5_000
MAX_KEY_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class InlineRows:
    """A small batch as a statement's source.

    Attributes:
        query: a SELECT of the rows, with the rows as its parameter.
        keys: the values of the table's `listed_key`; empty if there is none or they are too many.
    """

    query: Query
    keys: tuple[str, ...]


def fits_a_request(spool: Spool) -> bool:
    """Return whether the batch stays below BigQuery's limit once google's client has escaped it."""
    if spool.size * MAX_ESCAPE_GROWTH <= REQUEST_BYTES:
        return True
    return sum(len(json.dumps(line.decode())) for line in spool.lines()) <= REQUEST_BYTES


def inline_rows(
    spec: TableSpec, columns: Sequence[Column], spool: Spool, *, json_as_text: Collection[str]
) -> InlineRows:
    """Return the rows as a SELECT that has them as its parameter.

    Args:
        spec: the target table; its key is checked.
        columns: the columns of the rows.
        spool: the rows.
        json_as_text: columns that are JSON in the rows and STRING in the target.

    Raises:
        NullKey: a row lacks its key. The statement would refuse it too, without the row's number.
    """
    lines, keys = list[str](), dict[str, None]()
    key_column = listed_key(spec)
    for row_number, line in enumerate(spool.lines(), start=1):
        row = json.loads(line)
        absent = [name for name in spec.key if row.get(name) is None]
        if absent:
            raise NullKey(
                f"{NULL_KEY} {spec.name}.{absent[0]}: row {row_number} of {spool.rows} has no "
                "value there and would be inserted again on every run. Nothing was written; "
                "correct the rows."
            )
        lines.append(line.decode())
        if key_column is not None:
            keys[_as_text(row[key_column])] = None
    batch = Parameter("batch", ColumnType.STRING, f"[{','.join(lines)}]")
    query = Query(rows_source(columns, json_as_text=json_as_text), (batch,))
    return InlineRows(query, keys_to_list(keys))


def _as_text(value: object) -> str:
    """Return a value of a row as JSON_VALUE reads it."""
    return value if isinstance(value, str) else json.dumps(value)


def listed_key(spec: TableSpec) -> str | None:
    """Return the column of the key by which a table is clustered, if its values are text."""
    types = {column.name: column.type for column in spec.columns}
    for name in spec.cluster_by[:1]:
        if name in spec.key and types.get(name) is ColumnType.STRING:
            return name
    return None


def keys_to_list(keys: Collection[str]) -> tuple[str, ...]:
    """Return distinct keys for a list of constants; none if they are too many for one."""
    distinct = tuple(dict.fromkeys(keys))
    is_short = len(distinct) <= MAX_KEYS and sum(map(len, distinct)) <= MAX_KEY_BYTES
    return distinct if is_short else ()
