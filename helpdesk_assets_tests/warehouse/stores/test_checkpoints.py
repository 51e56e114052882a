"""Checkpoints of a long fetch: the position in the state row, the rows in a separate table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import BatchGone, ConcurrentUpdate
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.codec import from_text, to_text
from helpdesk_assets.model.state import Checkpoint
from helpdesk_assets.model.tickets import BadTicket
from helpdesk_assets.naming import batch_id, staging_name
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements.sync_state import checkpoint_statement
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET

NAME = staging_name("raw_ticket_changes", batch_id(NOON, "7f3c9a1e", 0))
BEGUN = Checkpoint(
    provider="rest",
    staging=NAME,
    resume='{"read": []}',
    saved_at=NOON,
    mode=Mode.FULL,
    reason="first load",
    since=None,
    first_load=True,
    rows=250,
    pages=3,
    tombstones=1,
    bad=(BadTicket("7", "modifiedTime", "is absent"),),
    bad_count=2,
    share=0.4,
)


def test_statement_saves_without_advancing() -> None:
    query = checkpoint_statement(DATASET, "tickets", BEGUN, 3, 5)
    assert query.sql == (
        """\
MERGE INTO `acme.desk.sync_state` AS T
USING (
  SELECT
    @sync_name AS sync_name,
    0 AS version,
    @unfinished AS unfinished
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND IFNULL(T.version, 0) = @expected_version AND IFNULL(T.fence, 0) = @fence
THEN UPDATE SET
  unfinished = S.unfinished
WHEN NOT MATCHED AND @expected_version = 0 THEN INSERT
  (sync_name, version, unfinished)
VALUES
  (S.sync_name, S.version, S.unfinished)"""
    )
    assert {p.name: p.value for p in query.parameters} == {
        "sync_name": "tickets",
        "unfinished": to_text(BEGUN),
        "expected_version": 3,
        "fence": 5,
    }


@pytest.mark.parametrize("begun", [BEGUN, replace(BEGUN, since=NOON, share=None, bad=())])
def test_checkpoint_round_trips(begun: Checkpoint) -> None:
    assert from_text(to_text(begun)) == begun


def test_checkpoint_is_absent_or_has_unknown_names() -> None:
    assert from_text(None) is None
    assert from_text(json.dumps({**json.loads(to_text(BEGUN)), "more": 1})) == BEGUN


def test_first_load_is_checkpointed_before_any_run_commits(warehouse: BigQueryClient) -> None:
    sync_tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    store = sync_tables.checkpoint_store("run-1")
    store.begin(NAME)
    store.save(BEGUN, 0)
    state = sync_tables.read_state()
    assert state is not None
    assert (state.version, state.watermark, state.run_id) == (0, None, None)
    assert state.checkpoint == BEGUN
    store.save(replace(BEGUN, rows=400), 0)
    state = sync_tables.read_state()
    assert state is not None
    assert state.checkpoint is not None
    assert state.checkpoint.rows == 400


def test_committing_a_run_removes_the_checkpoint(warehouse: BigQueryClient) -> None:
    sync_tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    sync_tables.prepare()
    sync_tables.checkpoint_store("run-1").save(BEGUN, 0)
    empty = replace(SMALL, rows=0, versions=(), expected_version=0, initial_watermark=None)
    state = StateTable(warehouse, "tickets").commit_run(empty)
    assert (state.version, state.checkpoint) == (1, None)


def test_overtaken_run_saves_no_checkpoint(warehouse: BigQueryClient) -> None:
    sync_tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    sync_tables.prepare()
    empty = replace(SMALL, rows=0, versions=(), expected_version=0, initial_watermark=None)
    StateTable(warehouse, "tickets").commit_run(empty)
    with pytest.raises(ConcurrentUpdate, match="run the sync again"):
        sync_tables.checkpoint_store("run-2").save(BEGUN, 0)


def test_rows_are_appended_to_one_table_spared_by_cleanup(warehouse: BigQueryClient) -> None:
    sync_tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    store = sync_tables.checkpoint_store("run-1")
    store.begin(NAME)
    for number in range(2):
        with Spool(1) as spool:
            row = {"ticket_id": str(number), "modifiedTime": NOON.isoformat(), "_seq": number}
            spool.append(json.dumps(row).encode())
            store.add_rows(spool, NAME)
    assert sorted(row["ticket_id"] for row in warehouse.list_rows(NAME)) == ["0", "1"]
    store.save(BEGUN, 0)
    assert sync_tables.can_resume(BEGUN)
    staging = Staging(warehouse, now=lambda: datetime.now(UTC) + timedelta(days=400))
    retained = StateTable(warehouse, "another").stagings_in_use()
    assert retained == {NAME}
    assert (
        staging.drop_orphans(timedelta(0), of_tables=tables.STAGED_TABLES, retained=retained) == []
    )
    assert staging.drop_orphans(timedelta(0), of_tables=tables.STAGED_TABLES) == [NAME]
    assert not sync_tables.can_resume(BEGUN)


def test_deleted_checkpoint_table_is_not_recreated(warehouse: BigQueryClient) -> None:
    """A new one would silently lack the rows stored before."""
    sync_tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    store = sync_tables.checkpoint_store("run-1")
    store.begin(NAME)
    warehouse.drop_table(NAME)
    with Spool(1) as spool:
        spool.append(b'{"ticket_id": "1"}')
        with pytest.raises(BatchGone, match="starts over"):
            store.add_rows(spool, NAME)
    assert not Staging(warehouse).exists(NAME)


def test_appending_rows_extends_the_tables_expiry(warehouse: BigQueryClient) -> None:
    later = NOON + timedelta(days=3000)
    Staging(warehouse, now=lambda: later).begin(NAME, tables.RAW_TICKET_CHANGES.columns)
    staging = Staging(warehouse, now=lambda: later + timedelta(days=3))
    with Spool(1) as spool:
        spool.append(b'{"ticket_id": "1"}')
        staging.add(NAME, tables.RAW_TICKET_CHANGES.columns, spool, run_id="run-1", step="load")
    found = warehouse.get_table(NAME, fresh=True)
    assert found is not None
    # One local warehouse does not support expiration.
    assert found.expires in {None, later + timedelta(days=7)}
    assert len(list(warehouse.list_rows(NAME))) == 1


def test_checkpoint_updates_both_rows_of_concurrent_first_runs(warehouse: BigQueryClient) -> None:
    """Keys are not enforced, so two concurrent first runs may both insert the row.

    Neither has been overtaken then.
    """
    sync_tables = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    sync_tables.prepare()
    table = warehouse.dataset.table("sync_state")
    for number in range(2):
        made = Query(f"INSERT INTO {table} (sync_name, version) VALUES ('tickets', 0)")
        warehouse.run(made, run_id=f"run-{number}", step="made")
    sync_tables.checkpoint_store("run-1").save(BEGUN, 0)
    state = sync_tables.read_state()
    assert state is not None
    assert state.checkpoint == BEGUN
