"""GoogleSQL in front of the local warehouse; collected only with --warehouse=googlesql."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpdesk_assets.errors import DataRefused, WarehouseRefused
from helpdesk_assets.local.warehouse import LocalWarehouse
from helpdesk_assets.providers.parsing.exact_json import parse, storable
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import Column, ColumnType
from helpdesk_assets_tests.datasets import fresh_dataset
from helpdesk_assets_tests.warehouses import Judge, Verdicts

pytestmark = pytest.mark.warehouse

# Each runs on a stand-in, and BigQuery refuses it.
# Which of the two depends on whether another row would help.
REFUSED = (DataRefused, WarehouseRefused)
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


# A query that parses a parameter by PARSE_JSON's default mode, and one that rounds.
EXACT = "SELECT JSON_VALUE(r, '$.n') AS n FROM UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@rows))) AS r"
ROUNDED = EXACT.replace("@rows", "@rows, wide_number_mode => 'round'")
INTEGERS = ROUNDED.replace("JSON_VALUE(r, '$.n')", "CAST(JSON_VALUE(r, '$.n') AS INT64)")


def asked(sql: str, rows: str, kind: ColumnType = ColumnType.STRING) -> Query:
    return Query(sql, (Parameter("rows", kind, rows),))


@pytest.mark.parametrize(
    ("sql", "rows", "why"),
    [
        (EXACT, '[{"n": 0.915908}]', "0.915908 cannot round-trip"),
        (EXACT, '[{"n": 18446744073709551616}]', "cannot round-trip"),
        (EXACT, f"[{'9' * 25}]", "cannot round-trip"),
        (ROUNDED, '[{"n": 1e400}]', "number overflow"),
        (ROUNDED, "[" * 501 + "]" * 501, "nesting of JSON has been exceeded"),
        (ROUNDED, '[{"n": }]', "JSON"),
        (INTEGERS, '[{"n": 1}, {"n": 1.5}]', "row 2, n: .* is no INT64"),
        (INTEGERS, '[{"n": "9223372036854775808"}]', "row 1, n: .* is no INT64"),
        (ROUNDED, f'["{"x" * 10_000_000}"]', "payload size exceeds the limit"),
    ],
)
def test_values_bigquery_rejects_do_not_reach_the_emulator(
    judged: BigQueryClient, sql: str, rows: str, why: str
) -> None:
    with pytest.raises(REFUSED, match=why):
        judged.run(asked(sql, rows), run_id="r", step="wrong")


def test_timestamp_out_of_range_does_not_reach_the_emulator(judged: BigQueryClient) -> None:
    late = asked("SELECT @rows AS at_time", "10000-01-01T00:00:00Z", ColumnType.TIMESTAMP)
    with pytest.raises(REFUSED, match="is no TIMESTAMP"):
        judged.run(late, run_id="r", step="wrong")


@pytest.mark.parametrize("sql", [EXACT, ROUNDED])
@pytest.mark.parametrize("rows", ['[{"n": 0.9159080000000001}]', '[{"n": "it\'s \\" \\\\ \\n"}]'])
def test_values_bigquery_takes_reach_the_emulator(
    judged: BigQueryClient, sql: str, rows: str
) -> None:
    found = list(judged.run(asked(sql, rows), run_id="r", step="right").rows)
    assert found == [{"n": str(json.loads(rows)[0]["n"])}]


@pytest.mark.parametrize(
    ("row", "why"),
    [('{"j": {"n": 0.915908}}', "cannot round-trip"), (f'{{"i": {2**53}}}', "send it as text")],
)
def test_load_of_refused_numbers_does_not_reach_the_emulator(
    judged: BigQueryClient, row: str, why: str
) -> None:
    columns = (Column("j", ColumnType.JSON), Column("i", ColumnType.INT64))
    with Spool(1000) as spool:
        spool.append(row.encode())
        with pytest.raises(REFUSED, match=why):
            Staging(judged).load("wrong__stg", columns, spool, run_id="r", step="wrong")


def test_every_double_we_write_is_taken_by_the_strict_rule(judged: BigQueryClient) -> None:
    rng = random.Random(7)
    numbers = [round(rng.random(), 6) for _ in range(20_000)]
    numbers += [rng.uniform(-180, 180) for _ in range(5_000)]
    numbers += [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(5_000)]
    finite = [each for each in numbers if abs(each) < float("inf")]
    raw = storable(parse(json.dumps(finite).encode()))[1]
    assert json.loads(raw) == finite
    query = asked("SELECT ARRAY_LENGTH(JSON_QUERY_ARRAY(PARSE_JSON(@rows))) AS n", raw)
    assert list(judged.run(query, run_id="r", step="right").rows) == [{"n": len(finite)}]


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
