"""In Dagster, whichever run comes next resumes an interrupted fetch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from helpdesk_assets.defs.assets import raw_ticket_changes
from helpdesk_assets.extract.plan import RESUMED
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.operations.sync import SyncPolicy
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.defs.conftest import DagsterHarness
from helpdesk_assets_tests.defs.test_reexecution import reexecute_from_failure, refuse, run

pytestmark = pytest.mark.slow

TICKETS = 40
PAGE = 4
ENOUGH = 24
# A run of the job whose process is killed in the step, with an instance that dies with it.
KILLED = """
import os, signal
import dagster as dg
from helpdesk_assets.defs.assets import raw_ticket_changes
from helpdesk_assets.definitions import defs
from helpdesk_assets_tests.defs.test_interrupted import ENOUGH, save_every_page

def die(progress, log):
    if progress.rows >= ENOUGH:
        os.kill(os.getpid(), signal.SIGKILL)

save_every_page()
raw_ticket_changes.log_progress = die
with dg.DagsterInstance.ephemeral() as instance:
    defs.resolve_job_def("helpdesk_sync").execute_in_process(instance=instance)
"""


def save_every_page(replaced: Any = None) -> None:
    """Save after every page instead of every few minutes."""
    made = SyncPolicy.from_settings

    def at_once(settings: Settings) -> SyncPolicy:
        return replace(made(settings), checkpoint_every=timedelta(0))

    (replaced or setattr)(SyncPolicy, "from_settings", at_once)


@pytest.fixture
def checkpointing(harness: DagsterHarness, monkeypatch: pytest.MonkeyPatch) -> DagsterHarness:
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", str(PAGE))
    monkeypatch.setenv("HELPDESK_CONCURRENCY", "1")
    save_every_page(monkeypatch.setattr)
    return harness


def assert_whole(harness: DagsterHarness) -> None:
    """Check that every ticket is stored, and that each fetched row is counted."""
    assert harness.stored() == harness.truth()
    asset_metadata = harness.asset_metadata("sync_watermark")
    assert asset_metadata["rows_inserted"] == len(harness.truth())
    assert not [t.table_id for t in harness.warehouse.list_tables() if "__stg_" in t.table_id]


def test_reexecuted_run_resumes_a_step_that_failed_midway(
    checkpointing: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(progress: Progress, log: Any) -> None:
        if progress.rows >= ENOUGH:
            refuse()

    with monkeypatch.context() as plug:
        plug.setattr(raw_ticket_changes, "log_progress", fail)
        success, dead = run(checkpointing)
    assert not success
    checkpointing.helpdesk.reset_counters()
    assert reexecute_from_failure(checkpointing, dead)[0]
    assert checkpointing.helpdesk.counters().tickets_served < 0.6 * TICKETS
    assert checkpointing.asset_metadata("raw_ticket_changes")["reason"] == f"first load{RESUMED}"
    assert_whole(checkpointing)


def test_next_run_resumes_a_killed_one(checkpointing: DagsterHarness, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    checkpointing.helpdesk.advance(3600)
    checkpointing.helpdesk.change(2)
    checkpointing.helpdesk.create(1)
    checkpointing.helpdesk.advance(600)
    checkpointing.helpdesk.reset_counters()
    result = checkpointing.sync()
    assert result.success
    assert checkpointing.helpdesk.counters().tickets_served < 0.6 * TICKETS
    assert_whole(checkpointing)
    assert checkpointing.missed() == []
    assert all(check.passed for check in result.get_asset_check_evaluations())
