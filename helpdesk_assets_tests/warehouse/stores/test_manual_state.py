"""Setting the watermark by hand: compare-and-set, and what it must not leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.run_history import last_run
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.sync_state import manual_state_statement
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.leases import one_writer
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET
from helpdesk_assets_tests.warehouse.stores.test_checkpoints import BEGUN
from helpdesk_assets_tests.warehouse.stores.test_run_log import NO_WEBHOOKS, logged, quiet_run

BACK = ManualState(
    watermark=NOON - timedelta(days=3),
    cursor=None,
    version=2,
    run_id="hand-1",
    reason="set from there",
)


@pytest.fixture
def sync_tables(warehouse: BigQueryClient) -> Iterator[SyncTables]:
    made = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    made.prepare()
    with one_writer(made):
        yield made


def test_sql_statement() -> None:
    statement = manual_state_statement(DATASET, "tickets", BACK, None, 5)
    assert statement.sql == (
        """\
MERGE INTO `acme.desk.sync_state` AS T
USING (
  SELECT
    @sync_name AS sync_name,
    @watermark AS watermark,
    @cursor AS cursor,
    @version AS version,
    @run_id AS run_id,
    @reason AS reason,
    CURRENT_TIMESTAMP() AS closed_at,
    @recent_runs AS recent_runs,
    @fence AS fence
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND IFNULL(T.version, 0) = @expected_version AND IFNULL(T.fence, 0) = @fence
THEN UPDATE SET
  watermark = S.watermark,
  cursor = S.cursor,
  version = S.version,
  run_id = S.run_id,
  reason = S.reason,
  closed_at = S.closed_at,
  recent_runs = S.recent_runs,
  fence = S.fence,
  window_since = CAST(NULL AS TIMESTAMP),
  window_until = CAST(NULL AS TIMESTAMP),
  reading = CAST(NULL AS STRING),
  unfinished = CAST(NULL AS STRING)
WHEN NOT MATCHED AND @expected_version = 0 THEN INSERT
  (sync_name, watermark, cursor, version, run_id, reason, closed_at, recent_runs, fence)
VALUES
  (S.sync_name, S.watermark, S.cursor, S.version, S.run_id, S.reason, S.closed_at, S.recent_runs,
   S.fence)"""
    )
    values = {parameter.name: parameter.value for parameter in statement.parameters}
    assert (values["expected_version"], values["reason"]) == (0, "by_hand: set from there")
    assert values["fence"] == 5


def test_setting_back_drops_the_cursor_and_is_logged(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    _, seen = sync_tables.commit_run(replace(quiet_run(1), cursor="c1"), NO_WEBHOOKS)
    state = sync_tables.set_manually(BACK, seen)
    assert (state.watermark, state.cursor, state.version) == (BACK.watermark, None, 2)
    assert state.window is None
    assert [run.run_id for run in state.recent_runs] == ["run-1"]
    last = last_run(state)
    assert last is not None
    assert (last.mode, last.reason) == (Mode.MANUAL, "set from there")
    assert logged(warehouse) == [("hand-1", 2), ("run-1", 1)]
    # The next run resumes from it.
    _, after = sync_tables.commit_run(quiet_run(3), NO_WEBHOOKS)
    assert after is not None
    assert (after.version, after.recent_runs[0]) == (3, last)


def test_outdated_version_sets_nothing(warehouse: BigQueryClient, sync_tables: SyncTables) -> None:
    _, seen = sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS)
    _, newer = sync_tables.commit_run(quiet_run(2), NO_WEBHOOKS)
    for stale in (seen, None):
        with pytest.raises(ConcurrentUpdate, match="set it again"):
            sync_tables.set_manually(BACK, stale)
    assert sync_tables.read_state() == newer
    assert logged(warehouse) == []


def test_concurrent_run_fails(sync_tables: SyncTables) -> None:
    _, seen = sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS)
    set_back = sync_tables.set_manually(BACK, seen)
    with pytest.raises(ConcurrentUpdate):
        sync_tables.commit_run(quiet_run(2), NO_WEBHOOKS)
    assert sync_tables.read_state() == set_back


@pytest.mark.parametrize("closed", [True, False], ids=["after runs", "during the first load"])
def test_checkpoint_is_dropped(sync_tables: SyncTables, closed: bool) -> None:
    if closed:
        sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS)
    store = sync_tables.checkpoint_store("run-2")
    store.begin(BEGUN.staging)
    store.save(BEGUN, 1 if closed else 0)
    seen = sync_tables.read_state()
    assert seen is not None
    assert seen.checkpoint is not None
    state = sync_tables.set_manually(replace(BACK, version=seen.version + 1), seen)
    assert (state.watermark, state.checkpoint) == (BACK.watermark, None)
    # The fetch notices it with its next checkpoint.
    with pytest.raises(ConcurrentUpdate):
        store.save(replace(BEGUN, rows=300), seen.version)


def test_missing_row_is_created(sync_tables: SyncTables, warehouse: BigQueryClient) -> None:
    state = sync_tables.set_manually(replace(BACK, version=8, cursor="c"), None)
    assert (state.version, state.cursor, state.facts.rows) == (8, "c", 0)
    assert StateTable(warehouse, "tickets").read() == state


def test_statement_replaces_a_damaged_row() -> None:
    damaged = SyncState("tickets", None, 7, damaged=("facts",))
    sql = manual_state_statement(DATASET, "tickets", BACK, damaged, 5).sql
    assert sql.partition(") AS S\n")[2].splitlines()[:4] == [
        "ON FALSE",
        "WHEN NOT MATCHED BY SOURCE AND T.sync_name = @sync_name THEN DELETE",
        "WHEN NOT MATCHED THEN INSERT",
        "  (sync_name, watermark, cursor, version, run_id, reason, closed_at, recent_runs, fence)",
    ]
