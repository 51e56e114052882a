"""An asset's metadata describes a table, and mistakes in it are reported."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from helpdesk_assets.defs.table_metadata import describe, spec_from
from helpdesk_assets.errors import UserError
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

KEY = dg.AssetKey(["helpdesk", "orders"])


@pytest.mark.parametrize("spec", tables.SYNC_TABLES, ids=lambda spec: spec.name)
def test_table_spec_round_trips_through_metadata(spec: TableSpec) -> None:
    assert spec_from(KEY, describe(spec), spec.description) == spec


def test_dagster_wrapped_metadata_is_read_the_same() -> None:
    asset = dg.AssetSpec("tickets", metadata=describe(tables.TICKETS))
    wrapped = dg.AssetMaterialization("tickets", metadata=asset.metadata).metadata
    assert spec_from(KEY, wrapped, tables.TICKETS.description) == tables.TICKETS


def test_merge_key_alone_is_enough() -> None:
    assert spec_from(KEY, {"merge_key": "order_id"}) == TableSpec(
        name="orders", columns=(), key=("order_id",), merge_policy=MergePolicy.INSERT_ONLY
    )


def test_newer_wins_orders_by_the_version_column() -> None:
    stated = {"merge_key": ["id"], "merge_guard": "newer_wins", "version_column": "changed"}
    assert spec_from(KEY, stated).newest_first == ("changed",)


@pytest.mark.parametrize("kind", ["int", "INTEGER", "int64"])
def test_common_type_names_are_recognised(kind: str) -> None:
    schema = dg.TableSchema(columns=[dg.TableColumn("id", kind)])
    spec = spec_from(KEY, {"merge_key": ["id"], "dagster/column_schema": schema})
    assert spec.columns == (Column("id", ColumnType.INT64),)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({}, "helpdesk/orders has no merge_key"),
        ({"merge_key": []}, "has no merge_key"),
        ({"merge_key": ["id"], "merge_guard": "overwrite"}, "merge_guard is 'overwrite'"),
        ({"merge_key": ["id"], "merge_guard": "newer_wins"}, "needs version_column"),
        (
            {"merge_key": ["id"], "merge_guard": "status_moves", "status_column": "state"},
            "needs status_column and status_moves",
        ),
        (
            {
                "merge_key": ["id", "day"],
                "dagster/column_schema": dg.TableSchema(columns=[dg.TableColumn("id", "string")]),
            },
            "merge_key names day",
        ),
        (
            {
                "merge_key": ["id"],
                "dagster/column_schema": dg.TableSchema(columns=[dg.TableColumn("id", "uuid")]),
            },
            "has the type 'uuid'",
        ),
    ],
)
def test_mistake_names_the_asset_and_the_fix(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        spec_from(KEY, stated)
