"""The state row: compare-and-set, forward only, with the counts of its run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.run_history import MAX_RECENT_RUNS
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements.sync_state import commit_statement
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET

EMPTY = replace(SMALL, rows=0, versions=(), expected_version=0, initial_watermark=None)


@pytest.fixture
def state_table(warehouse: BigQueryClient) -> StateTable:
    SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000).prepare()
    return StateTable(warehouse, "tickets")


def after(state: SyncState, run_id: str, **changed: object) -> Manifest:
    """Return the manifest of the next run of an unchanged helpdesk."""
    seen = replace(
        EMPTY, run_id=run_id, expected_version=state.version, initial_watermark=state.watermark
    )
    return replace(seen, **changed)  # type: ignore[arg-type]


def test_statement_compares_and_sets() -> None:
    text = commit_statement(DATASET, "tickets", EMPTY, None).sql
    head, _, tail = text.partition("  FROM (\n")
    assert head.startswith("MERGE INTO `acme.desk.sync_state` AS T\nUSING (\n  SELECT\n")
    _, _, tail = tail.partition("  ) AS F\n  WHERE F.is_whole\n")
    assert tail == (
        """\
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND IFNULL(T.version, 0) = @expected_version AND IFNULL(T.fence, 0) = @fence
THEN UPDATE SET
  watermark = IF(T.watermark IS NULL OR S.watermark > T.watermark, S.watermark, T.watermark),
  cursor = S.cursor,
  version = S.version,
  window_since = S.window_since,
  window_until = S.window_until,
  run_id = S.run_id,
  reason = S.reason,
  closed_at = S.closed_at,
  facts = S.facts,
  reading = S.reading,
  recent_runs = S.recent_runs,
  full_load_at = IFNULL(S.full_load_at, T.full_load_at),
  provider = IFNULL(S.provider, T.provider),
  account = IFNULL(S.account, T.account),
  mapping = IFNULL(S.mapping, T.mapping),
  tickets_created = IFNULL(S.tickets_created, T.tickets_created),
  unfinished = CAST(NULL AS STRING)
WHEN NOT MATCHED AND @expected_version = 0 THEN INSERT
  (sync_name, watermark, cursor, version, window_since, window_until, run_id, reason, closed_at,
   facts, reading, recent_runs, full_load_at, provider, account, mapping, tickets_created)
VALUES
  (S.sync_name, S.watermark, S.cursor, S.version, S.window_since, S.window_until, S.run_id,
   S.reason, S.closed_at, S.facts, S.reading, S.recent_runs, S.full_load_at, S.provider, S.account,
   S.mapping, S.tickets_created)"""
    )


def test_full_load_of_doubted_tables_sets_the_watermark() -> None:
    doubted = replace(EMPTY, mode=Mode.FULL, ground_reason="was not there")
    for manifest, is_set in (
        (doubted, True),
        (replace(doubted, ground_reason=None), False),
        (replace(doubted, mode=Mode.INCREMENTAL), False),
        (replace(doubted, advances_watermark=False), False),
    ):
        text = commit_statement(DATASET, "tickets", manifest, None).sql
        assert ("  watermark = S.watermark,\n" in text) == is_set


def test_run_that_may_not_advance_writes_no_watermark() -> None:
    manifest = replace(EMPTY, advances_watermark=False)
    statement = commit_statement(DATASET, "tickets", manifest, None)
    values = {parameter.name: parameter.value for parameter in statement.parameters}
    assert values["watermark"] is None
    assert values["window_until"] == NOON


def test_before_the_first_run_there_is_no_state(state_table: StateTable) -> None:
    assert state_table.read() is None


def test_first_run_creates_the_row_and_the_next_updates_it(state_table: StateTable) -> None:
    first = state_table.commit_run(EMPTY)
    assert (first.version, first.watermark, first.run_id) == (1, NOON, "run-1")
    assert replace(first.facts, webhooks=RunCounts().webhooks) == RunCounts()
    later = NOON + timedelta(hours=2)
    second = state_table.commit_run(
        after(first, "run-2", window=replace(EMPTY.window, until=later), cursor="c2")
    )
    assert (second.version, second.watermark, second.cursor) == (2, later, "c2")
    assert [run.run_id for run in second.recent_runs] == ["run-1"]
    assert second.recent_runs[0].window == EMPTY.window


def test_watermark_moves_only_forwards(state_table: StateTable) -> None:
    first = state_table.commit_run(EMPTY)
    early = replace(EMPTY.window, until=NOON - timedelta(days=1))
    assert state_table.commit_run(after(first, "run-2", window=early)).watermark == NOON
    still = state_table.commit_run(
        after(replace(first, version=2), "run-3", advances_watermark=False)
    )
    assert (still.version, still.watermark) == (3, NOON)


def test_committing_again_changes_nothing_and_costs_no_job(
    state_table: StateTable, warehouse: BigQueryClient
) -> None:
    first = state_table.commit_run(EMPTY)
    used = warehouse.use
    assert state_table.commit_run(EMPTY) == first
    assert warehouse.use == used


@pytest.mark.parametrize("expected_version", [0, 7])
def test_run_with_an_outdated_version_fails(state_table: StateTable, expected_version: int) -> None:
    first = state_table.commit_run(EMPTY)
    with pytest.raises(ConcurrentUpdate, match="version"):
        state_table.commit_run(after(first, "run-2", expected_version=expected_version))
    assert state_table.read() == first


def test_two_syncs_share_only_the_table(state_table: StateTable, warehouse: BigQueryClient) -> None:
    state_table.commit_run(EMPTY)
    other = StateTable(warehouse, "archive")
    assert other.read() is None
    other.commit_run(replace(EMPTY, run_id="run-9"))
    mine = state_table.read()
    assert mine is not None
    assert mine.run_id == "run-1"


def test_run_history_is_bounded(state_table: StateTable) -> None:
    state = state_table.commit_run(EMPTY)
    for number in range(MAX_RECENT_RUNS + 2):
        state = state_table.commit_run(after(state, f"more-{number}"))
    assert len(state.recent_runs) == MAX_RECENT_RUNS
    assert state.recent_runs[0].run_id == f"more-{MAX_RECENT_RUNS}"


def test_lower_watermark_of_two_concurrent_first_runs_counts(
    state_table: StateTable, warehouse: BigQueryClient
) -> None:
    """Keys are not enforced; what the run with the lower one has not read is read again."""
    table = warehouse.dataset.table("sync_state")
    columns = "sync_name, version, watermark"
    for hours in (2, 1):
        at = (NOON - timedelta(hours=hours)).isoformat()
        made = Query(f"INSERT INTO {table} ({columns}) VALUES ('tickets', 1, TIMESTAMP '{at}')")
        warehouse.run(made, run_id=f"run-{hours}", step="made")
    state = state_table.read()
    assert state is not None
    assert state.watermark == NOON - timedelta(hours=2)


def test_row_is_read_anew_in_each_block(
    warehouse: BigQueryClient, state_table: StateTable, warehouse_settings: Settings
) -> None:
    """Nobody else writes within a block; between two, anybody may have."""
    first = state_table.commit_run(EMPTY)
    with warehouse.remembering():
        assert state_table.read() == first
        second = state_table.commit_run(after(first, "run-2"))
        assert state_table.read() == second
    with warehouse.remembering():
        assert state_table.read() == second
    with closing(connect(warehouse_settings)) as stranger:
        third = StateTable(stranger, "tickets").commit_run(after(second, "run-3"))
    with warehouse.remembering():
        assert state_table.read() == third
        assert state_table.read() == third
