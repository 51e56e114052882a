"""Rules of BigQuery that no stand-in has, held against every job of a whole story: a first load,
small and large batches, a ledger with and without events, webhooks, a repair, a reconciliation."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import helpdesk_assets
from helpdesk_assets import tables
from helpdesk_assets.sync.plan import Ask
from helpdesk_assets.sync.saving import SAVE_EVERY
from helpdesk_assets.warehouse.staging import stamp_of
from helpdesk_assets_tests.rig import RIPE_SECONDS, Rig, connected, open_rig
from helpdesk_assets_tests.warehouse import bigquery_rules as rules
from helpdesk_assets_tests.warehouse.recorded import Recording, Statement, parse, recording

PACKAGE = Path(helpdesk_assets.__file__).parent
# The ways into a table's streaming buffer, whose rows no UPDATE, DELETE or MERGE may touch for half
# an hour.
STREAMS = (
    "insert_rows", "insert_rows_json", "insert_rows_from_dataframe", "insertAll",
    "BigQueryWriteClient", "AppendRowsRequest",
)  # fmt: skip


@pytest.fixture(scope="module")
def told(warehouse_endpoint: str) -> Iterator[Recording]:
    with open_rig(warehouse_endpoint, 40) as rig, recording() as made:
        _tell(rig)
        yield made


def _tell(rig: Rig) -> None:
    rig.sync()
    rig.sync(Ask.FULL, bigquery_small_batch_bytes=1, save_every=timedelta(0))
    rig.desk.change(3)
    rig.desk.advance(RIPE_SECONDS)
    rig.sync()
    rig.hear(rig.desk.change(4)[1:])
    rig.desk.delete(1)
    rig.desk.advance(RIPE_SECONDS)
    rig.sync()
    rig.hear(rig.desk.change(2), delay=600)
    rig.sync(bigquery_small_batch_bytes=1)
    ids = sorted(rig.tickets())
    rig.lose(ids[:1])
    rig.repair(ids[:2])
    rig.lose(ids[2:3])
    rig.make_older(ids[3:4])
    rig.reconcile()
    with connected(rig.settings) as sync_tables:
        sync_tables.missed_in_the_last(24)
        state = sync_tables.read_state()
        assert state is not None
        sync_tables.last_advances(5)


RULES: dict[str, Callable[[Statement], Iterator[str]]] = {
    "one source row per key": rules.repeats_of_source_keys,
    "constant bounds": rules.dynamic_bounds,
    "no subquery in a clause": rules.subqueries_in_clauses,
    "keys stay": rules.change_of_keys,
}


@pytest.mark.parametrize("rule", RULES)
def test_every_merge_keeps_the_rules(told: Recording, rule: str) -> None:
    broken = [(each.sql, *RULES[rule](each)) for each in told.merges if [*RULES[rule](each)]]
    assert len(told.merges) > 20
    assert not broken, broken[0]


def test_the_story_writes_every_table(told: Recording) -> None:
    """What is not told is not held against any rule."""
    written = {each.changed_table for each in told.statements}
    assert written >= {spec.name for spec in (*tables.ALL, *tables.OF_SWEEPS)}


def test_every_statement_fits_and_bounds_what_it_changes(told: Recording) -> None:
    for each in told.statements:
        assert not [*rules.too_much(each), *rules.unbounded_changes(each)], each.sql


def test_nothing_that_came_from_outside_is_part_of_a_statement(told: Recording) -> None:
    batches = [
        json.loads(parameter["parameterValue"]["value"])
        for each in told.statements
        for parameter in each.config["query"].get("queryParameters", ())
        if parameter["name"] == "batch"
    ]
    subjects = {row["subject"] for batch in batches for row in batch if row.get("subject")}
    assert subjects
    for each in told.statements:
        assert not [*rules.values_in_text(each, subjects)], each.sql


def test_statements_that_change_a_table_come_one_after_another(told: Recording) -> None:
    assert not [*rules.crowds(told)]


def test_a_table_meets_its_day_of_load_jobs_at_the_shortest_schedule(told: Recording) -> None:
    """Load jobs go into staging tables of a fresh name alone, so no schedule is too short for the
    tables that stay; a reading that saves itself adds to one staging table all day."""
    counted = Counter(load.table for load in told.loads)
    names = [spec.name for spec in (*tables.ALL, *tables.OF_SWEEPS)]
    assert counted
    assert all(stamp_of(name, names) is not None for name in counted), counted
    assert {load.disposition for load in told.loads} == {"WRITE_APPEND"}
    assert timedelta(days=1) / SAVE_EVERY <= rules.LOADS_PER_TABLE_AND_DAY


def test_jobs_have_names_that_bigquery_takes_and_no_two_the_same(told: Recording) -> None:
    names = [each.job_id for each in told.statements]
    assert len(set(names)) == len(names)
    for each in told.statements:
        assert len(each.job_id) <= 1024
        assert each.job_id.replace("_", "").replace("-", "").isalnum()
        assert all(len(value) <= 63 for value in each.config["labels"].values())


def test_nothing_goes_through_the_streaming_buffer() -> None:
    for module in PACKAGE.rglob("*.py"):
        tree = ast.parse(module.read_text())
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        used |= {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert not used & set(STREAMS), module


def merge(
    source: str = "SELECT 1 AS id", on: str = "T.id = S.id", when: str = "MATCHED THEN DELETE"
) -> str:
    return f"MERGE INTO t AS T USING ({source}) AS S ON {on} WHEN {when}"


ONE_FOR_EACH = "SELECT id FROM s WHERE TRUE QUALIFY {} OVER (PARTITION BY {} ORDER BY moved) = {}"
BAD_MERGES = {
    "one source row per key": [
        merge("SELECT id FROM s"),
        merge(ONE_FOR_EACH.format("ROW_NUMBER()", "id, moved", 1)),
        merge(ONE_FOR_EACH.format("ROW_NUMBER()", "id", 2)),
        merge(ONE_FOR_EACH.format("RANK()", "id", 1)),
        merge("SELECT COUNT(*) AS id FROM s GROUP BY moved"),
        merge("SELECT COUNT(*) OVER () AS id FROM s"),
        merge("SELECT C.id FROM (SELECT MAX(id) AS id FROM s) AS C CROSS JOIN s"),
        merge(on="FALSE"),
    ],
    "constant bounds": [
        merge(on="T.id = S.id AND T.made BETWEEN (SELECT MIN(made) FROM s) AND @until"),
        merge(on="T.id = S.id AND T.made BETWEEN S.made AND @until"),
        merge(on="T.id = S.id AND T.made >= S.made"),
        merge(on="T.id = S.id AND T.made > TIMESTAMP_SUB(S.made, INTERVAL 1 DAY)"),
    ],
    "no subquery in a clause": [
        merge(when="MATCHED AND EXISTS (SELECT 1 FROM u WHERE u.id = T.id) THEN DELETE"),
        merge(when="MATCHED THEN UPDATE SET note = (SELECT MAX(note) FROM u WHERE u.id = T.id)"),
    ],
    "keys stay": [merge(when="MATCHED THEN UPDATE SET id = S.id")],
}


@pytest.mark.parametrize(("rule", "sql"), [(r, sql) for r in RULES for sql in BAD_MERGES[r]])
def test_a_rule_sees_what_breaks_it(rule: str, sql: str) -> None:
    assert [*RULES[rule](Statement(sql, parse(sql), "job", {}))]


def test_sizes_and_bounds_are_seen() -> None:
    long = f"SELECT '{'x' * rules.TEXT_BYTES}' AS text"
    assert [*rules.too_much(Statement(long, parse(long), "job", {"query": {}}))]
    big = {"query": {"queryParameters": [{"value": "x" * rules.REQUEST_BYTES}]}}
    assert [*rules.too_much(Statement("SELECT 1", parse("SELECT 1"), "job", big))]
    whole = "DELETE FROM t"
    assert [*rules.unbounded_changes(Statement(whole, parse(whole), "job", {}))]
