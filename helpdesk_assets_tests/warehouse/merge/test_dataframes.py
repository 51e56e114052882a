from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpdesk_assets.errors import DataRefused, NullKey
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.dataframes import read_frame, spool_frame
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.warehouse.rows import PARCELS, SMALL

NOON = pd.Timestamp("2026-11-01T14:00:00.000001+02:00")


def lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    with spool_frame(frame, PARCELS, {}, SMALL).spool as spool:
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
            "weight": str(2**63 - 1),
            "price": 0.1,
            "fragile": True,
            "made": "2026-11-01T12:00:00.000001Z",
            "raw_json": {"a": [1, None]},
        }
    ]


def test_whole_floats_become_integers() -> None:
    assert [
        row["weight"] for row in lines(pd.DataFrame({"id": ["a", "b"], "weight": [1, None]}))
    ] == [1, None]


def types(frame: pd.DataFrame, **held: str) -> dict[str, ColumnType]:
    rows = spool_frame(frame.assign(id="a"), PARCELS, held, SMALL)
    rows.spool.close()
    return {column.name: column.type for column in rows.columns if column.name != "id"}


def objects(*values: object) -> pd.DataFrame:
    return pd.DataFrame({"new": pd.Series(values, dtype=object)})


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (pd.DataFrame({"new": [1]}), ColumnType.INT64),
        (pd.DataFrame({"new": [1.5]}), ColumnType.FLOAT64),
        (pd.DataFrame({"new": [True]}), ColumnType.BOOL),
        (pd.DataFrame({"new": [NOON]}), ColumnType.TIMESTAMP),
        (pd.DataFrame({"new": ["x"]}), ColumnType.STRING),
        (pd.DataFrame({"new": pd.Categorical(["x"])}), ColumnType.STRING),
        (pd.DataFrame({"new": pd.array([1, None], dtype="Int64")}), ColumnType.INT64),
        (objects([1]), ColumnType.JSON),
        (objects((1,)), ColumnType.JSON),
        (objects({}), ColumnType.JSON),
        (objects(np.array([1, 2])), ColumnType.JSON),
        (objects(None, 1, 2.5), ColumnType.FLOAT64),
        (objects(np.int64(5)), ColumnType.INT64),
        (objects(np.float32(0.5)), ColumnType.FLOAT64),
        (objects(np.bool_(True)), ColumnType.BOOL),
        (objects(np.str_("x")), ColumnType.STRING),
    ],
)
def test_unknown_columns_get_the_type_of_their_values(
    frame: pd.DataFrame, kind: ColumnType
) -> None:
    assert types(frame) == {"new": kind}


@pytest.mark.parametrize(
    "frame",
    [
        objects(None, None),
        objects(float("nan"), pd.NaT, pd.NA),
        pd.DataFrame({"new": [float("nan")]}),
        pd.DataFrame({"new": pd.array([None], dtype="Int64")}),
    ],
)
def test_columns_without_values_decide_nothing(frame: pd.DataFrame) -> None:
    assert types(frame) == {}
    assert types(frame, new="INT64") == {"new": ColumnType.INT64}


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(columns=["id", "new"]), pd.DataFrame({"id": ["a"], "new": [1]})[:0]]
)
def test_empty_frame_defines_no_column(frame: pd.DataFrame) -> None:
    rows = spool_frame(frame, replace(PARCELS, columns=()), {}, SMALL)
    with rows.spool as spool:
        assert (spool.rows, rows.columns) == (0, ())


@pytest.mark.parametrize(
    ("value", "held", "stored"),
    [
        (3, "FLOAT64", 3.0),
        (3.0, "INT64", 3),
        (Decimal(3), "INT64", 3),
        (Decimal("19.99"), "FLOAT64", 19.99),
        (np.int8(3), "FLOAT64", 3.0),
        (np.float64(3), "INT64", 3),
        (2**53, "INT64", str(2**53)),
        (-(2**63), "INT64", str(-(2**63))),
        (np.uint64(7), "INT64", 7),
        (np.datetime64("2026-11-01"), "STRING", None),
        (np.array([1, 2]), "JSON", [1, 2]),
        ({"n": np.int64(1), "a": np.array([0.5])}, "JSON", {"n": 1, "a": [0.5]}),
        ({"n": 2**64}, "JSON", {"n": str(2**64)}),
        ('{"n": 0.1234567890123456789}', "JSON", {"n": "0.1234567890123456789"}),
        (np.str_("x"), "STRING", "x"),
        ("a\ud800b", "STRING", "a\ufffdb"),
        (0.915908, "FLOAT64", 0.915908),
        (datetime(5, 1, 1, tzinfo=UTC), "TIMESTAMP", "0005-01-01T00:00:00.000000Z"),
    ],
)
def test_values_are_judged_by_the_types_of_the_table(
    value: object, held: str, stored: object
) -> None:
    frame = pd.DataFrame({"id": ["a"], "new": pd.Series([value], dtype=object)})
    if stored is None:
        with pytest.raises(DataRefused, match="Column new, row 1"):
            spool_frame(frame, PARCELS, {"new": held}, SMALL)
        return
    with spool_frame(frame, PARCELS, {"new": held}, SMALL).spool as spool:
        assert json.loads(next(spool.lines()))["new"] == stored


def test_doubles_are_written_as_bigquery_prints_them() -> None:
    frame = pd.DataFrame({"id": ["a"], "price": [67.174118], "raw_json": [{"n": [0.915908]}]})
    with spool_frame(frame, PARCELS, {}, SMALL).spool as spool:
        (line,) = spool.lines()
    assert b"67.17411800000001" in line
    assert b"0.9159080000000001" in line
    assert json.loads(line)["price"] == 67.174118


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_of_a_frame_stays_the_same_double(number: float) -> None:
    (row,) = lines(pd.DataFrame({"id": ["a"], "price": [number], "raw_json": [[number]]}))
    assert [repr(each) for each in (row["price"], *row["raw_json"])] == [repr(number)] * 2


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("made", pd.Timestamp("2026-11-01"), "without a zone"),
        ("made", "yesterday", "not a time"),
        ("made", date(2026, 11, 1), "date is not a time: give a time with a zone"),
        ("made", datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "outside of the y"),
        ("weight", 1.5, "not a whole number"),
        ("weight", 2**63, "does not fit 64 bits"),
        ("weight", True, "bool is not a number"),
        ("weight", float("inf"), "no such number"),
        ("weight", "7", "str is not a number"),
        ("note", 7, "int is not text"),
        ("note", b"x", "bytes is not text: decode it"),
        ("note", Decimal("0.1"), "Decimal is not text: convert it"),
        ("fragile", "yes", "neither true nor false"),
        ("price", float("inf"), "no such number"),
        ("price", Decimal("0.1234567890123456789"), "cannot hold it exactly"),
        ("price", 2**53 + 1, "cannot hold it exactly"),
        ("raw_json", "{", "cannot be stored as JSON"),
        ("raw_json", {"a": float("nan")}, "cannot be stored as JSON"),
        ("raw_json", [date(2026, 11, 1)], "JSON has no date"),
        ("raw_json", {1: {1, 2}}, "JSON has no set"),
        ("raw_json", "[" * 300 + "]" * 300, "nested too deep"),
    ],
)
def test_mistyped_value_is_named(column: str, value: object, why: str) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], column: pd.Series([None, value], dtype=object)})
    with pytest.raises(DataRefused, match=f"Column {column}, row 2: .*{why}"):
        lines(frame)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (objects(1, "x"), "Column new holds INT64 and STRING"),
        (pd.DataFrame([[1, 2]], columns=["open", "Open"]), "columns open and Open have one name"),
        (pd.DataFrame([[1, 2]], columns=["new", "new"]), "columns new and new have one name"),
        (pd.DataFrame({"first name": [1]}), "'first name' is no name of a column"),
        (pd.DataFrame({"_partitiontime": [1]}), "column _partitiontime begins like"),
        (pd.DataFrame({"_CHANGE_TYPE": [1]}), "column _CHANGE_TYPE begins like"),
        (pd.DataFrame({0: [1]}), "'0' is no name of a column"),
        (pd.DataFrame({"day": [1]}), "Column day is DATE in table parcels, which takes STRING"),
    ],
)
def test_columns_that_cannot_be_stored_are_named(frame: pd.DataFrame, why: str) -> None:
    with pytest.raises(DataRefused, match=f"{why}.*Nothing was written"):
        types(frame, day="DATE")


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (pd.DataFrame({"weight": [1]}, index=pd.Index(["a"], name="id")), r"call reset_index\(\)"),
        (pd.DataFrame({"id": ["a", None], "weight": [1, 2]}), "row 2 of 2 has no value"),
    ],
)
def test_frame_without_its_key_is_rejected(frame: pd.DataFrame, why: str) -> None:
    with pytest.raises(NullKey, match=f"NULL key in parcels.id: .*{why}"):
        lines(frame)


def test_columns_are_named_as_the_table_names_them() -> None:
    frame = pd.DataFrame({"ID": ["a"], "Colour": ["red"], "WEIGHT": [1]})
    rows = spool_frame(frame, PARCELS, {"colour": "STRING"}, SMALL)
    rows.spool.close()
    assert [column.name for column in rows.columns] == ["id", "colour", "weight"]


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
    rows = spool_frame(frame, PARCELS, {}, SMALL)
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
    with spool_frame(pd.DataFrame({"id": []}), PARCELS, {}, SMALL).spool as spool:
        writer.merge(PARCELS, spool, run_id="r1", step="parcels")
    frame = read_frame(warehouse, PARCELS)
    assert len(frame) == 0
    assert str(frame["moved"].dtype) == "datetime64[us, UTC]"
