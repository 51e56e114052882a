"""The run log has one row per closed run, whatever dies between state row and log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from operator import itemgetter

import pytest

from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.state import ReadCounts, RunRecord
from helpdesk_assets.model.tickets import ApiUsage, Window
from helpdesk_assets.model.webhooks import LedgerSource, WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.stores import closing
from helpdesk_assets.warehouse.stores.run_log import RunLog, newest_runs, runs_source
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.leases import one_writer
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET

MINUTE = timedelta(minutes=1)
NO_WEBHOOKS = WebhookPolicy(
    enabled=False, ledger_source=LedgerSource.TABLE, grace=MINUTE, lookback=MINUTE
)
LINE = RunRecord(
    run_id="run-7",
    closed_at=NOON,
    mode=Mode.INCREMENTAL,
    reason="changes since the watermark",
    window=Window(NOON - timedelta(hours=2), NOON),
    tickets=10,
    missed=2,
    version=7,
    watermark=NOON,
    cursor="c7",
    read_counts=ReadCounts(rows=12, pages=1, calls=3),
    inserted=1,
    updated=2,
    unchanged=3,
    rejected=4,
)


@pytest.fixture
def sync_tables(warehouse: BigQueryClient) -> Iterator[SyncTables]:
    made = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    made.prepare()
    with one_writer(made):
        yield made


def quiet_run(number: int) -> Manifest:
    """Return the manifest of a run without changes that makes version `number`."""
    return replace(
        SMALL,
        rows=0,
        versions=(),
        run_id=f"run-{number}",
        expected_version=number - 1,
        window=Window(None, NOON + number * timedelta(hours=2)),
        pages=number,
        api=ApiUsage(calls=number),
    )


def logged(warehouse: BigQueryClient) -> list[tuple[str, int]]:
    return sorted((row["run_id"], row["version"]) for row in warehouse.list_rows("sync_runs"))


def test_newest_log_rows_statement() -> None:
    query = newest_runs(DATASET, "tickets", 5)
    assert query.sql == (
        """\
SELECT *
FROM `acme.desk.sync_runs`
WHERE sync_name = @sync_name
ORDER BY closed_at DESC, version DESC
LIMIT @limit"""
    )
    assert [each.value for each in query.parameters] == ["tickets", 5]


def test_log_row_has_a_value_for_each_column() -> None:
    statement = runs_source("tickets", [LINE])
    (batch,) = statement.parameters
    for column in tables.SYNC_RUNS.columns:
        assert f'"{column.name}":' in str(batch.value)
        assert f"AS `{column.name}`" in statement.sql


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log each run without waiting for others."""
    monkeypatch.setattr(closing, "RUNS_PER_LOG_WRITE", 1)


def test_log_rows_are_written_by_ten_and_readable_before(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    for number in range(1, 10):
        sync_tables.commit_run(quiet_run(number), NO_WEBHOOKS)
    assert logged(warehouse) == []
    assert [run.version for run in sync_tables.last_advances(9)] == list(range(9, 0, -1))
    sync_tables.commit_run(quiet_run(10), NO_WEBHOOKS)
    assert [version for _, version in sorted(logged(warehouse), key=itemgetter(1))] == list(
        range(1, 11)
    )


def test_full_load_is_logged_at_once(warehouse: BigQueryClient, sync_tables: SyncTables) -> None:
    sync_tables.commit_run(replace(quiet_run(1), mode=Mode.FULL), NO_WEBHOOKS)
    assert logged(warehouse) == [("run-1", 1)]


@pytest.mark.usefixtures("at_once")
def test_every_committed_run_has_a_log_row(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    for number in (1, 2):
        sync_tables.commit_run(quiet_run(number), NO_WEBHOOKS)
    newest, oldest = RunLog(warehouse, "tickets").newest(10)
    assert newest == RunRecord(
        run_id="run-2",
        closed_at=newest.closed_at,
        mode=Mode.INCREMENTAL,
        reason="changes since the watermark",
        window=Window(None, NOON + timedelta(hours=4)),
        tickets=0,
        missed=0,
        version=2,
        watermark=NOON + timedelta(hours=4),
        read_counts=ReadCounts(rows=0, pages=2, calls=2),
    )
    assert (oldest.version, oldest.watermark) == (1, NOON + timedelta(hours=2))
    assert sync_tables.last_advances(1) == (newest,)
    assert sync_tables.last_advances(9) == (newest, oldest)


@pytest.mark.usefixtures("at_once")
def test_committing_again_adds_no_log_row(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS)
    sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS, attempt=1)
    assert logged(warehouse) == [("run-1", 1)]


@pytest.mark.usefixtures("at_once")
def test_dead_runs_log_row_is_written_by_the_next(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS)
    for number in (2, 3):
        StateTable(warehouse, "tickets").commit_run(quiet_run(number))
    assert logged(warehouse) == [("run-1", 1)]
    assert [run.version for run in sync_tables.last_advances(9)] == [3, 2, 1]
    sync_tables.commit_run(quiet_run(4), NO_WEBHOOKS)
    assert logged(warehouse) == [(f"run-{number}", number) for number in (1, 2, 3, 4)]


@pytest.mark.usefixtures("at_once")
def test_unwritable_log_fails_no_run(
    warehouse: BigQueryClient,
    sync_tables: SyncTables,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise WarehouseUnavailable("BigQuery did not answer.")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(RunLog, "write", fails)
        _, state = sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS)
    assert state is not None
    assert state.version == 1
    assert "The run log lacks run run-1; a later run adds it." in caplog.text
    sync_tables.commit_run(quiet_run(2), NO_WEBHOOKS)
    assert logged(warehouse) == [("run-1", 1), ("run-2", 2)]


@pytest.mark.usefixtures("at_once")
def test_lost_state_row_restarts_versions(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    sync_tables.commit_run(quiet_run(1), NO_WEBHOOKS)
    warehouse.drop_table("sync_state")
    sync_tables.commit_run(replace(quiet_run(1), run_id="run-9"), NO_WEBHOOKS)
    assert logged(warehouse) == [("run-1", 1), ("run-9", 1)]
    assert [run.run_id for run in RunLog(warehouse, "tickets").newest(1)] == ["run-9"]


def test_log_is_empty_before_the_first_run(warehouse: BigQueryClient) -> None:
    nothing = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)
    assert nothing.last_advances(5) == ()
