"""Puts a small batch into the statement itself, as one JSON parameter."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from helpdesk_assets.errors import NullKey
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.merge.statement import rows_source
from helpdesk_assets.warehouse.query import NULL_KEY, Parameter, Query
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec

# BigQuery accepts requests of 10 MB. google's client escapes everything outside ASCII, which makes
# a batch in Cyrillic three times as long; one of 4 MB was refused.
REQUEST_BYTES = 9_500_000
MAX_ESCAPE_GROWTH = 3


def fits_a_request(spool: Spool) -> bool:
    """Return whether the batch stays below BigQuery's limit once google's client has escaped it."""
    if spool.size * MAX_ESCAPE_GROWTH <= REQUEST_BYTES:
        return True
    return sum(len(json.dumps(line.decode())) for line in spool.lines()) <= REQUEST_BYTES


def inline_rows(
    spec: TableSpec, columns: Sequence[Column], spool: Spool, *, json_as_text: Collection[str]
) -> Query:
    """Return a SELECT of the rows, with the rows as its parameter.

    Args:
        spec: the target table; its key is checked.
        columns: the columns of the rows.
        spool: the rows.
        json_as_text: columns that are JSON in the rows and STRING in the target.

    Raises:
        NullKey: a row lacks its key. The statement would refuse it too, without the row's number.
    """
    lines = list[str]()
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
    batch = Parameter("batch", ColumnType.STRING, f"[{','.join(lines)}]")
    return Query(rows_source(columns, json_as_text=json_as_text), (batch,))
