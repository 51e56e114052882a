"""Tables and rows shared by several warehouse tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

PARCELS = TableSpec(
    name="parcels",
    columns=(
        Column("id", ColumnType.STRING),
        Column("note", ColumnType.STRING),
        Column("weight", ColumnType.INT64),
        Column("price", ColumnType.FLOAT64),
        Column("fragile", ColumnType.BOOL),
        Column("made", ColumnType.TIMESTAMP),
        Column("moved", ColumnType.TIMESTAMP),
        Column("raw_json", ColumnType.JSON),
        Column("mark", ColumnType.STRING),
        Column("first_seen", ColumnType.STRING),
    ),
    key=("id",),
    merge_policy=MergePolicy.NEWER_WINS,
    newest_first=("moved", "_seq"),
    version="moved",
    content_hash_column="mark",
    write_once=("first_seen",),
    partition_by="made",
    cluster_by=("id",),
)
WITH_SEQ = (*PARCELS.columns, Column("_seq", ColumnType.INT64))

EVENTS = TableSpec(
    name="events",
    columns=(Column("id", ColumnType.STRING), Column("at", ColumnType.TIMESTAMP)),
    key=("id", "at"),
    merge_policy=MergePolicy.INSERT_ONLY,
)

SMALL = 1_000_000
# Everything that is not empty is a large batch.
LARGE = 1


def parcel(key: str | None, day: int = 1, **values: Any) -> dict[str, Any]:
    """Return a parcel that moved on the given day of November."""
    moved = f"2026-11-{day:02d}T10:00:00.123456Z"
    return {"id": key, "moved": moved, "mark": f"m{day}", "raw_json": {"day": day}, **values}


@contextmanager
def spooled(rows: Sequence[Mapping[str, Any]]) -> Iterator[Spool]:
    with Spool(SMALL) as spool:
        for row in rows:
            spool.append(json.dumps(row, ensure_ascii=False).encode())
        yield spool


def stored(warehouse: BigQueryClient, table: str = "parcels") -> dict[str, dict[str, Any]]:
    """Return the rows by id; fails if an id occurs twice."""
    rows = list(warehouse.list_rows(table))
    found = {str(row["id"]): row for row in rows}
    assert len(found) == len(rows), f"an id is stored twice: {[row['id'] for row in rows]}"
    return found


def as_value(json_value: Any) -> Any:
    """Return a JSON value; bqemulator returns JSON columns as text, the others as values."""
    return json.loads(json_value) if isinstance(json_value, str) else json_value
