"""Rules of BigQuery that no stand-in has, held against every job of a whole story: a first load,
small and large batches, a ledger with and without events, webhooks, a repair, a reconciliation."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import helpdesk_assets
from helpdesk_assets.extract.checkpoint import SAVE_EVERY
from helpdesk_assets.extract.plan import Ask
from helpdesk_assets.model.webhooks import LedgerBy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.merge.staging import stamp_of
from helpdesk_assets.warehouse.statements.sync_state import Setting
from helpdesk_assets_tests.end_to_end.subscribed_receiver import listening
from helpdesk_assets_tests.harness import RIPE_SECONDS, Rig, connected, open_rig
from helpdesk_assets_tests.warehouse import bigquery_rules as rules
from helpdesk_assets_tests.warehouse.job_recorder import Recording, Statement, parse, recording

Rule = Callable[[Statement], Iterator[str]]
EVERY_TABLE = (*tables.ALL, *tables.OF_SWEEPS, tables.WEBHOOK_EVENTS)
PACKAGE = Path(helpdesk_assets.__file__).parent
# The ways into a table's streaming buffer, whose rows no UPDATE, DELETE or MERGE may touch for half
# an hour.
STREAMS = (
    "insert_rows", "insert_rows_json", "insert_rows_from_dataframe", "insertAll",
    "BigQueryWriteClient", "AppendRowsRequest",
)  # fmt: skip


def tell(rig: Rig) -> None:
    """One day of everything that starts jobs; the receiver first, while the clocks are real."""
    rig.sync()
    with listening(rig.desk, rig.settings):
        rig.desk.change(6)
        rig.desk.delete(1)
        rig.desk.delivered()
    rig.sync(Ask.FULL, bigquery_small_batch_bytes=1, save_every=timedelta(0))
    rig.desk.change(3)
    rig.desk.advance(RIPE_SECONDS)
    rig.sync()
    rig.desk.change(2)
    rig.sync(bigquery_small_batch_bytes=1, webhook_ledger=LedgerBy.TABLE)
    ids = sorted(rig.tickets())
    rig.lose(ids[:1])
    rig.repair(ids[:2])
    rig.lose(ids[2:3])
    rig.make_older(ids[3:4])
    rig.reconcile()
    with connected(rig.settings) as sync_tables:
        sync_tables.missed_in_the_last(24)
        sync_tables.last_advances(5)
        days = rig.settings.webhooks
        sync_tables.webhook_days(datetime.now(UTC) - timedelta(days=2), days, run_id="days")
        seen = sync_tables.read_state()
        assert seen is not None
        setting = Setting(seen.watermark, seen.cursor, seen.version + 1, "by-hand", "a test")
        sync_tables.set_by_hand(setting, seen)


OF_MERGES: dict[str, Rule] = {
    "one source row per key": rules.repeats_of_source_keys,
    "constant bounds": rules.dynamic_bounds,
    "no subquery in a clause": rules.subqueries_in_clauses,
    "keys stay": rules.change_of_keys,
}
OF_STATEMENTS: dict[str, Rule] = {
    "sizes": rules.too_much,
    "a WHERE": rules.unbounded_changes,
    "names and labels": rules.names_not_taken,
}


def test_every_job_of_a_whole_story_keeps_the_rules(warehouse_endpoint: str) -> None:
    """One test, for the story takes longer than all that is asked of it."""
    with open_rig(warehouse_endpoint, 40, webhook_flush_events=1) as rig, recording() as told:
        tell(rig)

    # What is not told is not held against any rule.
    written = {each.changed_table for each in told.statements}
    assert written >= {spec.name for spec in EVERY_TABLE}
    broken = {
        (name, problem, each.sql)
        for named, statements in ((OF_MERGES, told.merges), (OF_STATEMENTS, told.statements))
        for name, rule in named.items()
        for each in statements
        for problem in rule(each)
    }
    assert not broken, min(broken)
    names = [each.job_id for each in told.statements]
    assert len(set(names)) == len(names)
    assert not [*rules.crowds(told)]
    subjects = set(_subjects(told))
    assert subjects
    assert not [each.sql for each in told.statements if any(s in each.sql for s in subjects)]
    _assert_load_jobs_never_run_out(told)


def _subjects(told: Recording) -> Iterator[str]:
    """What people wrote, of the rows that travelled inside statements."""
    for each in told.statements:
        for parameter in each.parameters:
            if parameter["name"] == "batch":
                for row in json.loads(parameter["parameterValue"]["value"]):
                    yield from filter(None, [row.get("subject")])


def _assert_load_jobs_never_run_out(told: Recording) -> None:
    """They go into staging tables of fresh names alone, so no schedule is too short for the tables
    that stay; a reading that saves itself adds to one staging table all day."""
    counted = Counter(load.table for load in told.loads)
    names = [spec.name for spec in EVERY_TABLE]
    assert counted
    assert all(stamp_of(name, names) is not None for name in counted), counted
    assert {load.disposition for load in told.loads} == {"WRITE_APPEND"}
    assert timedelta(days=1) / SAVE_EVERY <= rules.LOADS_PER_TABLE_AND_DAY


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


@pytest.mark.parametrize(("rule", "sql"), [(r, sql) for r in OF_MERGES for sql in BAD_MERGES[r]])
def test_a_rule_sees_what_breaks_it(rule: str, sql: str) -> None:
    assert [*OF_MERGES[rule](Statement(sql, parse(sql), "job", {}))]


def test_sizes_and_bounds_are_seen() -> None:
    long = f"SELECT '{'x' * rules.TEXT_BYTES}' AS text"
    assert [*rules.too_much(Statement(long, parse(long), "job", {"query": {}}))]
    big = {"query": {"queryParameters": [{"value": "x" * rules.REQUEST_BYTES}]}}
    assert [*rules.too_much(Statement("SELECT 1", parse("SELECT 1"), "job", big))]
    whole = "DELETE FROM t"
    assert [*rules.unbounded_changes(Statement(whole, parse(whole), "job", {}))]


@pytest.mark.parametrize(
    ("job_id", "label"), [("a.b", "x"), ("x" * 1025, "x"), ("x", "X"), ("x", "x" * 64)]
)
def test_names_that_bigquery_refuses_are_seen(job_id: str, label: str) -> None:
    config = {"labels": {"run": label}}
    assert [*rules.names_not_taken(Statement("SELECT 1", parse("SELECT 1"), job_id, config))]
