"""BigQuery's rules that no local warehouse enforces, checked on every job of a whole scenario.

A first load, small and large batches, a ledger with and without events, webhooks, a repair and a
reconciliation.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import helpdesk_assets
from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.webhooks import JudgedBy, LedgerSource
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets.warehouse.merge.staging import created_at
from helpdesk_assets_tests.backends import connected
from helpdesk_assets_tests.end_to_end.subscribed_receiver import subscribed_receiver
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, open_harness
from helpdesk_assets_tests.warehouse import bigquery_rules as rules
from helpdesk_assets_tests.warehouse.job_recorder import Recording, Statement, parse, recording

Rule = Callable[[Statement], Iterator[str]]
EVERY_TABLE = (*tables.SYNC_TABLES, *tables.RECONCILIATION_TABLES)
APPENDED = (tables.WEBHOOK_EVENTS, tables.WEBHOOK_OUTCOMES, tables.WEBHOOK_REFUSALS)
PACKAGE = Path(helpdesk_assets.__file__).parent
# The ways into a table's streaming buffer, whose rows no UPDATE, DELETE or MERGE may touch for half
# an hour.
STREAMS = (
    "insert_rows", "insert_rows_json", "insert_rows_from_dataframe", "insertAll",
)  # fmt: skip


def run_scenario(harness: Harness) -> None:
    """Run everything that starts jobs; the receiver first, while the clocks are real."""
    harness.sync()
    with subscribed_receiver(harness.simulator, harness.settings):
        harness.simulator.change(6)
        harness.simulator.delete(1)
        harness.simulator.webhook_status()
    harness.sync(RequestedMode.FULL, bigquery_small_batch_bytes=1, checkpoint_every=timedelta(0))
    harness.simulator.change(3)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    harness.simulator.change(2)
    harness.sync(bigquery_small_batch_bytes=1, webhook_ledger=LedgerSource.TABLE)
    ids = sorted(harness.tickets())
    harness.delete_rows(ids[:1])
    harness.repair(ids[:2])
    harness.delete_rows(ids[2:3])
    harness.make_stale(ids[3:4])
    harness.reconcile()
    for spec in (tables.TICKETS, tables.RAW_TICKET_CHANGES, tables.MISSED_UPDATES):
        harness.backend.double_rows(spec.name)
    assert len(harness.sync().facts.repeated) == 3
    with connected(harness.settings) as sync_tables:
        sync_tables.missed_in_last_hours(24)
        sync_tables.last_advances(5)
        for judged_by in JudgedBy:
            judging = Judging(judged_by, harness.settings.webhooks)
            since = datetime.now(UTC) - timedelta(days=2)
            sync_tables.webhook_days(since, judging, run_id=f"days {judged_by}")
        seen = sync_tables.read_state()
        assert seen is not None
        manual_state = ManualState(
            seen.watermark, seen.cursor, seen.version + 1, "by-hand", "a test"
        )
        with sync_tables.lease("watermark", run_id="by-hand"):
            sync_tables.set_manually(manual_state, seen)


OF_MERGES: dict[str, Rule] = {
    "one source row per key": rules.repeats_of_source_keys,
    "constant bounds": rules.dynamic_bounds,
    "no subquery in a clause": rules.subqueries_in_clauses,
    "keys stay": rules.change_of_keys,
    "no analytic function in a star": rules.analytic_replacements,
}
OF_STATEMENTS: dict[str, Rule] = {
    "sizes": rules.too_much,
    "a WHERE": rules.unbounded_changes,
    "names and labels": rules.names_not_taken,
}


@pytest.mark.slow
def test_every_job_of_a_scenario_follows_the_rules(warehouse_endpoint: str) -> None:
    """One test, since the scenario takes longer than all its checks."""
    with (
        open_harness(warehouse_endpoint, 40) as harness,
        recording() as recorded_jobs,
    ):
        run_scenario(harness)

    # Only statements that the scenario contains are checked, so it must write every table.
    written = {each.changed_table for each in recorded_jobs.statements}
    assert written >= {spec.name for spec in EVERY_TABLE}
    # Rows that were appended just now may be in a buffer, which a statement cannot change.
    assert not written & {spec.name for spec in APPENDED}
    broken = {
        (name, problem, each.sql)
        for named, statements in (
            (OF_MERGES, recorded_jobs.merges),
            (OF_STATEMENTS, recorded_jobs.statements),
        )
        for name, rule in named.items()
        for each in statements
        for problem in rule(each)
    }
    assert not broken, min(broken)
    names = [each.job_id for each in recorded_jobs.statements]
    assert len(set(names)) == len(names)
    assert not [*rules.crowds(recorded_jobs)]
    subjects = set(_subjects(recorded_jobs))
    assert subjects
    assert not [
        each.sql for each in recorded_jobs.statements if any(s in each.sql for s in subjects)
    ]
    _assert_load_jobs_never_run_out(recorded_jobs)


def _subjects(recorded_jobs: Recording) -> Iterator[str]:
    """Return the user-written texts of rows that were sent inside statements."""
    for each in recorded_jobs.statements:
        for parameter in each.parameters:
            if parameter["name"] == "batch":
                for row in json.loads(parameter["parameterValue"]["value"]):
                    yield from filter(None, [row.get("subject")])


def _assert_load_jobs_never_run_out(recorded_jobs: Recording) -> None:
    """Check that load jobs write only into staging tables with new names.

    Then no schedule exceeds the daily quota of a permanent table; a fetch with checkpoints appends
    to one staging table all day.
    """
    counted = Counter(load.table for load in recorded_jobs.loads)
    names = [spec.name for spec in EVERY_TABLE]
    assert counted
    assert all(created_at(name, names) is not None for name in counted), counted
    assert {load.disposition for load in recorded_jobs.loads} == {"WRITE_APPEND"}
    assert timedelta(days=1) / CHECKPOINT_EVERY <= rules.LOADS_PER_TABLE_AND_DAY


def test_nothing_uses_the_streaming_buffer() -> None:
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
        merge("SELECT id FROM s", on="FALSE"),
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
    "no analytic function in a star": [
        merge("SELECT B.* REPLACE (MAX(B.made) OVER (PARTITION BY B.id) AS made) FROM s AS B"),
        merge("SELECT * REPLACE (IFNULL(made, MAX(made) OVER ()) AS made) FROM s"),
    ],
}


@pytest.mark.parametrize(("rule", "sql"), [(r, sql) for r in OF_MERGES for sql in BAD_MERGES[r]])
def test_each_rule_detects_its_violation(rule: str, sql: str) -> None:
    assert [*OF_MERGES[rule](Statement(sql, parse(sql), "job", {}))]


def test_size_and_bound_violations_are_detected() -> None:
    long = f"SELECT '{'x' * rules.TEXT_BYTES}' AS text"
    assert [*rules.too_much(Statement(long, parse(long), "job", {"query": {}}))]
    big = {"query": {"queryParameters": [{"value": "x" * rules.REQUEST_BYTES}]}}
    assert [*rules.too_much(Statement("SELECT 1", parse("SELECT 1"), "job", big))]
    whole = "DELETE FROM t"
    assert [*rules.unbounded_changes(Statement(whole, parse(whole), "job", {}))]


@pytest.mark.parametrize(
    ("job_id", "label"), [("a.b", "x"), ("x" * 1025, "x"), ("x", "X"), ("x", "x" * 64)]
)
def test_rejected_names_are_detected(job_id: str, label: str) -> None:
    config = {"labels": {"run": label}}
    assert [*rules.names_not_taken(Statement("SELECT 1", parse("SELECT 1"), job_id, config))]
