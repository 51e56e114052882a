"""Table descriptions there and back, and that metadata show what they may and no more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from helpdesk_assets import tables
from helpdesk_assets.deliveries import MissedUpdate
from helpdesk_assets.errors import UserMistake
from helpdesk_assets.metadata import (
    NAMED_TICKETS,
    SHOWN_ROWS,
    TICKET_IDS,
    bad_table,
    describe,
    merged,
    missed_table,
    plain,
    spec_from,
)
from helpdesk_assets.model import BadTicket
from helpdesk_assets.table_spec import Column, ColumnType, Guard, MergeReport, TableSpec

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEY = dg.AssetKey(["helpdesk", "orders"])


@pytest.mark.parametrize("spec", tables.ALL, ids=lambda spec: spec.name)
def test_a_table_comes_back_from_metadata_as_it_was(spec: TableSpec) -> None:
    assert spec_from(KEY, describe(spec), spec.description) == spec


def test_metadata_that_dagster_has_wrapped_are_read_alike() -> None:
    asset = dg.AssetSpec("tickets", metadata=describe(tables.TICKETS))
    wrapped = dg.AssetMaterialization("tickets", metadata=asset.metadata).metadata
    assert spec_from(KEY, wrapped, tables.TICKETS.description) == tables.TICKETS


def test_a_key_is_enough() -> None:
    assert spec_from(KEY, {"merge_key": "order_id"}) == TableSpec(
        name="orders", columns=(), key=("order_id",), guard=Guard.INSERT_ONLY
    )


def test_newer_wins_orders_by_its_version() -> None:
    stated = {"merge_key": ["id"], "merge_guard": "newer_wins", "version_column": "changed"}
    assert spec_from(KEY, stated).newest_first == ("changed",)


@pytest.mark.parametrize("kind", ["int", "INTEGER", "int64"])
def test_the_usual_names_of_types_are_known(kind: str) -> None:
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
def test_a_mistake_is_told_with_the_asset_and_the_way_out(
    stated: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserMistake, match=message):
        spec_from(KEY, stated)


def test_zeros_are_told_and_unknowns_are_not() -> None:
    told = merged(MergeReport("t", changed=0, inserted=0, updated=None), "p.d.t")
    assert told["rows_changed"] == told["rows_inserted"] == told["bytes_billed"] == 0
    assert told["merge_seconds"] == 0.0
    assert "rows_updated" not in told


def test_tables_of_many_rows_are_cut_and_say_so() -> None:
    missed = [MissedUpdate(str(i), NOON, "stale", 600.0 - i) for i in range(SHOWN_ROWS + 10)]
    text = str(missed_table(missed, 240).value)
    assert text.count("| stale |") == SHOWN_ROWS
    assert text.endswith(f"… and {240 - SHOWN_ROWS} more")


def test_a_value_cannot_break_out_of_its_cell() -> None:
    (_, _, row) = str(bad_table([BadTicket("7", "a|b", "two\nlines")]).value).splitlines()
    assert row == "| 7 | a/b | two lines |"


def test_nothing_missed_is_said_in_a_word() -> None:
    assert missed_table([], 0).value == "none"


def test_facts_about_tickets_name_the_first_few_of_them_once() -> None:
    versions = [i // 2 for i in range(60)]
    missed = tuple(MissedUpdate(str(i), NOON, "stale", 1.0) for i in versions)
    told = plain({"missed": 60, "missed_named": missed})
    assert told[TICKET_IDS].value == [str(i) for i in range(NAMED_TICKETS)]
    assert plain({"missed_named": ()})[TICKET_IDS].value == []
    assert TICKET_IDS not in plain({"table_rows": 7})
