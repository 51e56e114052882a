"""GoogleSQL in front of the local warehouse; collected only with --warehouse=googlesql."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.local.warehouse import LocalWarehouse
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.datasets import fresh_dataset
from helpdesk_assets_tests.warehouses import Judge, Verdicts

pytestmark = pytest.mark.warehouse

# Each runs on a stand-in, and BigQuery refuses it.
WRONG = {
    "SELECT 1 AS at": "Unexpected keyword AT",
    "SELECT 1 FROM {tickets} AS A JOIN {tickets} AS B ON A.raw_json = B.raw_json": (
        "Equality is not defined for arguments of type JSON"
    ),
    "SELECT raw_json, COUNT(*) AS n FROM {tickets} GROUP BY raw_json": (
        "Grouping by expressions of type JSON is not allowed"
    ),
    "SELECT ticket_id FROM {tickets} WHERE ticket_id = 7": "No matching signature for operator =",
    "SELECT list_value(1, 2) AS x": "Function not found: list_value",
    "DELETE FROM {tickets}": "DELETE must have a WHERE clause",
}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    directory = tmp_path_factory.mktemp("judged")
    with LocalWarehouse(directory) as embedded, Judge(embedded.endpoint, directory) as opened:
        yield opened


@pytest.fixture
def judged(judge: Judge) -> Iterator[BigQueryClient]:
    """A warehouse behind a judge whose verdicts belong to this file alone."""
    with fresh_dataset(judge.endpoint) as settings:
        warehouse = connect(settings)
        Schema(warehouse).ensure(tables.TICKETS)
        yield warehouse
        warehouse.close()


@pytest.mark.parametrize("sql", WRONG)
def test_statements_bigquery_rejects_do_not_reach_the_emulator(
    judge: Judge, judged: BigQueryClient, sql: str
) -> None:
    query = Query(sql.format(tickets=judged.dataset.table("tickets")))
    with pytest.raises(WarehouseRefused, match=WRONG[sql]):
        judged.run(query, run_id="r", step="wrong")
    assert query.sql in judge.verdicts().refused[-1]


def test_accepted_statements_are_run_and_counted(judge: Judge, judged: BigQueryClient) -> None:
    before = judge.verdicts().accepted
    query = Query(f"SELECT COUNT(*) AS n FROM {judged.dataset.table('tickets')}")
    assert list(judged.run(query, run_id="r", step="count").rows) == [{"n": 0}]
    assert judge.verdicts().accepted == before + 1


def test_missing_table_error_is_left_to_the_emulator(judge: Judge, judged: BigQueryClient) -> None:
    query = Query(f"SELECT * FROM {judged.dataset.table('nothing')}")
    with pytest.raises(WarehouseRefused, match="nothing"):
        judged.run(query, run_id="r", step="nothing")
    assert judge.verdicts().unjudged == ()


def test_judge_process_ends_with_the_test(tmp_path: Path, judge: Judge) -> None:
    with Judge(judge.endpoint, tmp_path) as second:
        assert second.verdicts() == Verdicts(0, (), ())
        process = second._process
    assert process is not None
    assert process.poll() is not None
