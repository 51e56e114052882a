"""The lease in a table's description, against the stand-in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from helpdesk_assets.errors import CredentialsRefused, LeaseLost, WarehouseUnavailable
from helpdesk_assets.model.lease import HolderProcess, LeaseRecord, Predecessor
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.jobs_of_others import end_jobs_of
from helpdesk_assets.warehouse.query import Dataset
from helpdesk_assets.warehouse.statements.sync_state import fence_statement
from helpdesk_assets.warehouse.stores.lease_table import LeaseTable
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import JobUsage
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.leases import VirtualTime, lease_of

RECORD = LeaseRecord("n", "sync", "run", "tickets", HolderProcess.current(), NOON)

HOLD = """
import sys
from helpdesk_assets.settings import load_settings
from helpdesk_assets_tests.backends import connected
with connected(load_settings()) as tables, tables.lease("sync", run_id="killed"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def sync_tables(warehouse: BigQueryClient) -> SyncTables:
    return SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000)


def test_stale_etag_changes_nothing(warehouse: BigQueryClient) -> None:
    cell = LeaseTable(warehouse)
    assert cell.write(RECORD, cell.read().tag) is None  # makes the table
    empty = cell.read()
    assert empty.record is None
    written = cell.write(RECORD, empty.tag)
    assert written is not None
    assert written.record == RECORD == cell.read().record
    assert cell.write(replace(RECORD, nonce="late"), empty.tag) is None
    assert cell.read().record == RECORD
    renewed = replace(RECORD, renewals=1)
    assert cell.write(renewed, written.tag) is not None
    assert cell.read().record == renewed


def test_lease_costs_three_calls_and_no_job(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    with sync_tables.lease("sync", run_id="first"):
        pass
    google, used = warehouse._client, warehouse.use
    with mock.patch.object(google, "_call_api", wraps=google._call_api) as calls:
        with sync_tables.lease("sync", run_id="second"):
            pass
        assert [call.kwargs["method"] for call in calls.mock_calls] == ["GET", "PATCH", "PATCH"]
    assert warehouse.use.since(used) == JobUsage()


def test_label_of_another_hand_costs_nobody_the_lease(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    with sync_tables.lease("sync", run_id="first"):
        found = warehouse.get_table("writer_lease", fresh=True)
        assert found is not None
        found.labels = {**found.labels, "cost": "support"}
        warehouse.update_labels(found)
        lease_of(sync_tables).renew()
        warehouse.drop_table("writer_lease")
        lease_of(sync_tables).renew()
        assert lease_of(sync_tables).writer() is not None
    assert sync_tables.writer() is None


def test_run_that_takes_over_twice_fences_twice(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    """The same statement of the same run must not find the job of the first time."""
    sync_tables.prepare()
    state = StateTable(warehouse, "tickets")
    with mock.patch.object(warehouse, "run", wraps=warehouse.run) as ran:
        for fences in (1, 2):
            state.fence_off([Predecessor("dead", "tickets")], "run")
            assert state.fence() == fences
    first, second = (call.kwargs["step"] for call in ran.mock_calls)
    assert first != second


def test_killed_process_is_replaced_at_once(
    warehouse_settings: Settings, warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    sync_tables.prepare()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "BIGQUERY_PROJECT": warehouse_settings.bigquery_project,
        "BIGQUERY_DATASET": warehouse_settings.bigquery_dataset,
        "BIGQUERY_EMULATOR_HOST": warehouse_settings.bigquery_emulator_host,
    }
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        writer = sync_tables.writer()
        assert writer is not None
        assert (writer.run_id, writer.process.pid) == ("killed", child.pid)
        child.send_signal(signal.SIGKILL)
        child.wait()
    time = VirtualTime()
    lease_of(sync_tables)._clocks = time.clocks
    with sync_tables.lease("sync", run_id="next"):
        assert time.seconds == 0
    assert StateTable(warehouse, "tickets").fence() == 1


def test_statement_on_its_way_closes_no_more(
    warehouse: BigQueryClient, sync_tables: SyncTables
) -> None:
    """The holder is paused after its last check, and goes on when another has taken over."""
    sync_tables.prepare()
    state = StateTable(warehouse, "tickets")
    empty = replace(SMALL, rows=0, versions=(), expected_version=0, initial_watermark=None)
    deeds: list[str] = []

    def pause() -> None:
        if not deeds:
            deeds.append("paused")
            state.fence_off([mock.Mock(sync_name="tickets")], "taker")

    with warehouse.before_each_write(pause), pytest.raises(LeaseLost, match="run it again"):
        state.commit_run(empty)
    seen = state.read()
    assert seen is not None
    assert (seen.version, seen.fence) == (0, 1)
    assert state.commit_run(empty).version == 1


def test_fence_rises_in_every_row(warehouse: BigQueryClient, sync_tables: SyncTables) -> None:
    sync_tables.prepare()
    for names in (["a"], ["a", "b"]):
        warehouse.run(fence_statement(warehouse.dataset, names), run_id=names[-1], step="fence")
    assert [StateTable(warehouse, name).fence() for name in ("a", "b", "c")] == [2, 1, 0]


def test_fence_statement_text() -> None:
    assert fence_statement(Dataset("acme", "desk"), ["a"]).sql == (
        """\
MERGE INTO `acme.desk.sync_state` AS T
USING (SELECT sync_name FROM UNNEST(@sync_names) AS sync_name) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED THEN UPDATE SET fence = IFNULL(T.fence, 0) + 1
WHEN NOT MATCHED BY SOURCE THEN UPDATE SET fence = IFNULL(T.fence, 0) + 1
WHEN NOT MATCHED THEN INSERT (sync_name, version, fence) VALUES (S.sync_name, 0, 1)"""
    )


class FakeJob:
    """A job that ends some looks after it was cancelled; None: never."""

    def __init__(self, run: str, looks: int | None = 2) -> None:
        self.job_id, self.labels, self.state = f"job of {run}", {"run": run}, "RUNNING"
        self._looks = looks
        self.is_cancelled = False

    def cancel(self, **_: Any) -> None:
        self.is_cancelled = True

    def reload(self, **_: Any) -> None:
        if self._looks is not None:
            self._looks -= 1
            self.state = "DONE" if self._looks <= 0 else "RUNNING"


def client_of(jobs: list[FakeJob]) -> tuple[BigQueryClient, list[float]]:
    slept: list[float] = []
    google = mock.Mock()
    google.list_jobs.side_effect = lambda state_filter, **_: [
        job for job in jobs if job.state.lower() == state_filter
    ]
    client = BigQueryClient(google, Dataset("acme", "desk"), is_emulator=True, sleep=slept.append)
    return client, slept


def test_running_statements_of_a_dead_writer_are_cancelled() -> None:
    dead, other = FakeJob("dead-1"), FakeJob("alive")
    client, slept = client_of([dead, other])
    end_jobs_of(client, {"dead 1"})
    assert (dead.is_cancelled, dead.state, len(slept)) == (True, "DONE", 2)
    assert not other.is_cancelled


def test_statement_that_never_ends_keeps_the_next_writer_out() -> None:
    client, _ = client_of([FakeJob("dead", looks=None)])
    with pytest.raises(WarehouseUnavailable, match="job of dead was cancelled and still runs"):
        end_jobs_of(client, {"dead"})


def test_identity_that_lists_no_jobs_only_warns(caplog: pytest.LogCaptureFixture) -> None:
    client = mock.Mock()
    client.unfinished_jobs.side_effect = CredentialsRefused("no bigquery.jobs.list")
    end_jobs_of(client, {"dead"})
    assert "may still run. no bigquery.jobs.list" in caplog.text
