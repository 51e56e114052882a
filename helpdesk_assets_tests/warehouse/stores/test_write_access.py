"""What metadata of tables and datasets, as the API words it, means for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from helpdesk_assets.operations.readiness import Consequence, findings
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import created_at
from helpdesk_assets.warehouse.stores.write_access import DatasetWriteAccess
from helpdesk_assets.warehouse.table_spec import JobUsage
from helpdesk_assets_tests.restrictive_service import DAY_MS, TableSaying, statement

FIELD = {"name": "TICKET_ID", "type": "STRING"}


@pytest.fixture
def service(warehouse_settings: Settings) -> Iterator[TableSaying]:
    with TableSaying(warehouse_settings.bigquery_emulator_host) as service:
        yield service


@pytest.fixture
def dataset(service: TableSaying, warehouse_settings: Settings) -> Iterator[BigQueryClient]:
    host = {"bigquery_emulator_host": service.endpoint}
    with closing(connect(warehouse_settings.model_copy(update=host))) as client:
        Schema(client).ensure(tables.TICKETS)
        client.get_table("tickets", fresh=True)
        yield client


def _severities(service: TableSaying, dataset: BigQueryClient, says: dict[str, Any]) -> set[str]:
    service.says = says
    dataset.get_table("tickets", fresh=True)
    found = findings(DatasetWriteAccess(dataset).report())
    return {
        f"{each.what}: {each.consequence}" for each in found if each.consequence != Consequence.FINE
    }


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({}, set()),
        ({"requirePartitionFilter": True}, {"partition filters: refused"}),
        ({"streamingBuffer": {"estimatedRows": "7"}}, {"streaming buffers: warning"}),
        ({"tableConstraints": {"primaryKey": {"columns": ["ticket_id"]}}}, set()),
        ({"maxStaleness": "0-0 0 0:15:0"}, set()),
        (
            {
                "tableConstraints": {"primaryKey": {"columns": ["ticket_id"]}},
                "maxStaleness": "0-0 0 0:15:0",
            },
            {"change data capture: refused"},
        ),
        ({"type": "EXTERNAL"}, {"kinds of tables: refused"}),
        ({"type": "SNAPSHOT"}, {"kinds of tables: refused"}),
        ({"schema": {"fields": [{**FIELD, "collation": "und:ci"}]}}, {"collation: refused"}),
        ({"schema": {"fields": [{**FIELD, "name": "own", "collation": "und:ci"}]}}, set()),
        ({"expirationTime": "4000000000000"}, {"expirations of tables: note"}),
        (
            {
                "timePartitioning": {
                    "type": "MONTH",
                    "field": "createdTime",
                    "expirationMs": str(60 * DAY_MS),
                }
            },
            {"expirations of tables: note"},
        ),
    ],
)
def test_metadata_of_a_table_is_judged(
    service: TableSaying, dataset: BigQueryClient, says: dict[str, Any], expected: set[str]
) -> None:
    assert _severities(service, dataset, says) == expected
    assert dataset.use == JobUsage()


def test_trial_is_one_statement_in_a_table_of_its_own(
    service: TableSaying, dataset: BigQueryClient
) -> None:
    DatasetWriteAccess(dataset).try_writing(run_id="r")
    (made,) = [
        body
        for body in service.bodies_of("/tables")
        if body["tableReference"]["tableId"] != "tickets"
    ]
    name = made["tableReference"]["tableId"]
    # So that the cleanup of a later run finds it, and BigQuery drops it anyway.
    assert created_at(name, tables.STAGED_TABLES) is not None
    assert "expirationTime" in made
    (sql,) = filter(None, map(statement, service.bodies_of("/jobs")))
    assert sql == f"DELETE FROM {dataset.dataset.table(name)} WHERE FALSE"
    assert dataset.use.query_jobs == 1
    assert [each.table_id for each in dataset.list_tables()] == ["tickets"]
