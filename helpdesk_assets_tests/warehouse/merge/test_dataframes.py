from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from helpdesk_assets.errors import DataRefused
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.dataframes import read_frame, spool_frame
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.warehouse.rows import PARCELS, SMALL

NOON = pd.Timestamp("2026-11-01T14:00:00.000001+02:00")


def lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    with spool_frame(frame, PARCELS, SMALL).spool as spool:
        return [json.loads(line) for line in spool.lines()]


def test_every_null_like_value_becomes_null() -> None:
    frame = pd.DataFrame(
        {
            "id": ["a"],
            "note": [None],
            "weight": pd.array([None], dtype="Int64"),
            "price": [float("nan")],
            "made": [pd.NaT],
            "raw_json": [None],
        }
    )
    assert lines(frame) == [
        dict.fromkeys(("note", "weight", "price", "made", "raw_json")) | {"id": "a"}
    ]


def test_values_keep_their_type() -> None:
    frame = pd.DataFrame(
        {
            "id": ["a"],
            "weight": [2**63 - 1],
            "price": [0.1],
            "fragile": [True],
            "made": [NOON],
            "raw_json": [{"a": [1, None]}],
        }
    )
    assert lines(frame) == [
        {
            "id": "a",
            "weight": 2**63 - 1,
            "price": 0.1,
            "fragile": True,
            "made": "2026-11-01T12:00:00.000001Z",
            "raw_json": {"a": [1, None]},
        }
    ]


def test_whole_floats_become_integers() -> None:
    assert [row["weight"] for row in lines(pd.DataFrame({"weight": [1, None]}))] == [1, None]


def test_unknown_columns_get_the_type_of_their_values() -> None:
    frame = pd.DataFrame(
        {
            "i": [1],
            "f": [1.5],
            "b": [True],
            "t": [NOON],
            "s": ["x"],
            "o": [[1]],
            "none": [None],
        }
    )
    rows = spool_frame(frame, PARCELS, SMALL)
    rows.spool.close()
    assert {column.name: column.type for column in rows.columns} == {
        "i": ColumnType.INT64,
        "f": ColumnType.FLOAT64,
        "b": ColumnType.BOOL,
        "t": ColumnType.TIMESTAMP,
        "s": ColumnType.STRING,
        "o": ColumnType.JSON,
        "none": ColumnType.STRING,
    }


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("made", pd.Timestamp("2026-11-01"), "without a zone"),
        ("made", "yesterday", "not a time"),
        ("weight", 1.5, "not a whole number"),
        ("id", 7, "int is not text"),
        ("fragile", "yes", "neither true nor false"),
        ("price", float("inf"), ""),
        ("raw_json", "{", ""),
    ],
)
def test_mistyped_value_is_named(column: str, value: object, why: str) -> None:
    with pytest.raises(DataRefused, match=f"Column {column}, row 1: .*{why}"):
        lines(pd.DataFrame({column: pd.Series([value], dtype=object)}))


@pytest.mark.parametrize("small_bytes", [SMALL, 1], ids=["small", "large"])
def test_data_frame_is_read_back_from_the_warehouse(
    warehouse: BigQueryClient, small_bytes: int
) -> None:
    frame = pd.DataFrame(
        {
            "id": ["a", "b"],
            "weight": pd.array([2**63 - 1, None], dtype="Int64"),
            "price": pd.array([0.5, None], dtype="Float64"),
            "fragile": pd.array([True, None], dtype="boolean"),
            "moved": pd.Series([NOON, NOON]).dt.tz_convert("UTC").astype("datetime64[us, UTC]"),
            "raw_json": ['{"a": [1, "x"]}', None],
            "colour": ["red", None],
        }
    )
    rows = spool_frame(frame, PARCELS, SMALL)
    with rows.spool as spool:
        TableWriter(warehouse, small_batch_bytes=small_bytes).merge(
            PARCELS, spool, run_id="r1", step="parcels", columns=rows.columns
        )
    found = read_frame(warehouse, PARCELS, list(frame.columns)).sort_values("id")
    found["raw_json"] = [text and json.dumps(json.loads(text)) for text in found["raw_json"]]
    pd.testing.assert_frame_equal(
        found[list(frame.columns)].reset_index(drop=True), frame, check_dtype=True
    )


def test_empty_table_gives_an_empty_typed_frame(warehouse: BigQueryClient) -> None:
    writer = TableWriter(warehouse)
    with spool_frame(pd.DataFrame({"id": []}), PARCELS, SMALL).spool as spool:
        writer.merge(PARCELS, spool, run_id="r1", step="parcels")
    frame = read_frame(warehouse, PARCELS)
    assert len(frame) == 0
    assert str(frame["moved"].dtype) == "datetime64[us, UTC]"
