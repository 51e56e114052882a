from __future__ import annotations

from dataclasses import replace

import pytest
from google.cloud import bigquery

from helpdesk_assets.errors import SchemaMismatch
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.table_check import (
    is_json_as_text,
    missing_columns,
    types_of,
)
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, JobUsage

NEW = Column("channel", ColumnType.STRING, "Where it came in.")


def widened(*columns: Column) -> tuple[Column, ...]:
    return (*tables.TICKETS.columns, *columns)


def test_new_table_is_created_as_described_without_a_job(warehouse: BigQueryClient) -> None:
    Schema(warehouse).ensure(tables.TICKETS)
    table = warehouse.get_table("tickets", fresh=True)
    assert table is not None
    assert table.time_partitioning is not None
    assert (table.time_partitioning.type_, table.time_partitioning.field) == (
        "MONTH",
        "createdTime",
    )
    assert table.clustering_fields == ["ticket_id"]
    assert table.description == tables.TICKETS.description
    assert [field.mode for field in table.schema] == ["NULLABLE"] * len(tables.TICKETS.columns)
    types = Schema(warehouse).columns(tables.TICKETS)
    assert types == {column.name: column.type for column in tables.TICKETS.columns}
    assert warehouse.use == JobUsage()


def test_dataset_is_created_with_the_first_table(warehouse_settings: Settings) -> None:
    warehouse = connect(warehouse_settings)
    Schema(warehouse).ensure(tables.SYNC_STATE)
    assert Schema(warehouse).exists(tables.SYNC_STATE)
    assert not Schema(warehouse).exists(tables.TICKETS)
    warehouse.close()


def test_table_created_concurrently(
    warehouse: BigQueryClient, warehouse_settings: Settings
) -> None:
    other = connect(warehouse_settings)
    assert not Schema(warehouse).exists(tables.TICKETS)
    Schema(other).ensure(tables.TICKETS)
    raced = warehouse.create_table(Schema(warehouse)._table_definition(tables.TICKETS, widened()))
    assert len(raced.schema) == len(tables.TICKETS.columns)
    other.close()


def test_new_column_is_added_and_can_be_written(
    warehouse: BigQueryClient, warehouse_settings: Settings
) -> None:
    schema = Schema(warehouse)
    schema.ensure(tables.TICKETS)
    schema.ensure(tables.TICKETS, widened(NEW, Column("score", ColumnType.FLOAT64)))
    schema.ensure(tables.TICKETS, widened(NEW))
    other = connect(warehouse_settings)
    columns = Schema(other).columns(tables.TICKETS)
    assert (columns["channel"], columns["score"]) == ("STRING", "FLOAT64")
    other.close()


def test_adopted_table_keeps_its_columns_and_gets_ours(warehouse: BigQueryClient) -> None:
    field = bigquery.SchemaField
    warehouse.create_table(
        bigquery.Table(
            warehouse.dataset.table_id("tickets"),
            [field("ticket_id", "STRING"), field("raw_json", "STRING"), field("own", "INTEGER")],
        )
    )
    schema = Schema(warehouse)
    schema.ensure(tables.TICKETS)
    columns = schema.columns(tables.TICKETS)
    assert list(columns)[:3] == ["ticket_id", "raw_json", "own"]
    assert columns["raw_json"] == "STRING"
    assert {column.name for column in tables.TICKETS.columns} <= set(columns)


def test_changed_type_is_rejected_by_name(warehouse: BigQueryClient) -> None:
    schema = Schema(warehouse)
    schema.ensure(tables.TICKETS)
    changed = replace(tables.TICKETS.columns[1], type=ColumnType.INT64)
    with pytest.raises(SchemaMismatch) as refused:
        schema.ensure(tables.TICKETS, [changed])
    assert "Table tickets: subject is STRING in the table and must be INT64" in str(refused.value)


STRING, FIELD = ColumnType.STRING, bigquery.SchemaField


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ([FIELD("own", "STRING")], "Table sync_state has no column sync_name, by which"),
        ([FIELD("sync_name", "STRING", "REPEATED")], "sync_name is ARRAY<STRING> in the table"),
        (
            [FIELD("Sync_Name", "STRING"), FIELD("VERSION", "FLOAT")],
            "version is FLOAT64 in the table",
        ),
        (
            [FIELD("sync_name", "STRING"), FIELD("own", "DATE", "REQUIRED")],
            "no row of ours has own, which",
        ),
    ],
)
def test_unusable_table_is_rejected_by_name(
    warehouse: BigQueryClient, schema: list[bigquery.SchemaField], why: str
) -> None:
    table = bigquery.Table(warehouse.dataset.table_id("sync_state"), schema)
    warehouse.create_table(table)
    for step in (Schema(warehouse).check, Schema(warehouse).ensure):
        with pytest.raises(SchemaMismatch, match=why):
            step(tables.SYNC_STATE)


def test_limited_text_is_another_type() -> None:
    limited = bigquery.SchemaField("note", "STRING", max_length=10)
    assert types_of(bigquery.Table("p.d.t", [limited])) == {"note": "STRING(10)"}


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ([Column("a", STRING), Column("A", STRING)], "columns a and A have one name"),
        ([Column("_PARTITIONDATE", STRING)], "column _PARTITIONDATE begins like a column of"),
        ([Column("__root__x", STRING)], "column __root__x begins like"),
        ([Column("a b", STRING)], "'a b' is no name of a column"),
    ],
)
def test_names_that_bigquery_refuses_create_nothing(
    warehouse: BigQueryClient, columns: list[Column], why: str
) -> None:
    with pytest.raises(SchemaMismatch, match=why):
        Schema(warehouse).ensure(tables.SYNC_STATE, columns)
    assert not Schema(warehouse).exists(tables.SYNC_STATE)


def test_json_as_text_ignores_case() -> None:
    assert is_json_as_text(Column("raw_json", ColumnType.JSON), {"RAW_JSON": "STRING"})


def test_column_names_ignore_case() -> None:
    assert missing_columns("t", [Column("Channel", ColumnType.STRING)], {"channel": "STRING"}) == []


def test_table_schema_is_fetched_once(
    warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    Schema(warehouse).ensure(tables.TICKETS)
    monkeypatch.setattr(warehouse._client, "get_table", None)
    Schema(warehouse).ensure(tables.TICKETS)
    assert Schema(warehouse).exists(tables.TICKETS)
