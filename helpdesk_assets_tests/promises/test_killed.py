"""A long run whose process is killed is resumed from its tables in the stand-in for BigQuery."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpdesk_assets_tests.harness import Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY, MakeHarness
from helpdesk_assets_tests.promises.test_existing_table import create_older_table
from helpdesk_assets_tests.promises.test_interrupted import (
    AFTER_A_PAGE,
    PAGE,
    TICKETS,
    Kill,
    resume,
    test_changes_during_the_interruption_are_read,
    test_expired_checkpoint_is_read_again,
    test_first_load_killed_at_60_percent_resumes,
    test_killed_repeatedly,
    test_second_of_two_concurrent_first_loads_fails,
    test_stored_rows_without_a_checkpoint_do_no_harm,
)

__all__ = [
    "test_changes_during_the_interruption_are_read",
    "test_expired_checkpoint_is_read_again",
    "test_first_load_killed_at_60_percent_resumes",
    "test_killed_repeatedly",
    "test_second_of_two_concurrent_first_loads_fails",
    "test_stored_rows_without_a_checkpoint_do_no_harm",
]

pytestmark = [pytest.mark.slow, ON_BIGQUERY]

# The command line's sync, saving after every page; killed for real when it has read enough.
KILLED = """
import os, signal, sys, uuid
from dataclasses import replace
from datetime import timedelta
from helpdesk_assets.operations.sync import SyncPolicy, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import load_settings
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.warehouse.stores.checkpoints import CheckpointTable
from helpdesk_assets_tests.backends import connected

where, enough = sys.argv[1], int(sys.argv[2])
saved = CheckpointTable.save

def save(self, checkpoint, expected_version):
    if where == "before saving" and checkpoint.rows >= enough:
        os.kill(os.getpid(), signal.SIGKILL)
    saved(self, checkpoint, expected_version)

def die(progress):
    if where == "after a page" and progress.rows >= enough:
        os.kill(os.getpid(), signal.SIGKILL)

CheckpointTable.save = save
settings = load_settings()
policy = replace(SyncPolicy.from_settings(settings), checkpoint_every=timedelta(0))
with connected(settings) as tables:
    run_sync(
        make_helpdesk(settings), tables, SyncRequest(), policy, run_id=uuid.uuid4().hex, on_page=die
    )
"""


def kill_process(harness: Harness, share: float, where: str, tmp_path: Path) -> None:
    settings = harness.settings
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HELPDESK_BASE_URL": settings.helpdesk_base_url,
        "HELPDESK_API_TOKEN": settings.helpdesk_api_token.get_secret_value(),
        "HELPDESK_PAGE_SIZE": str(PAGE),
        "HELPDESK_CONCURRENCY": str(settings.helpdesk_concurrency),
        "BIGQUERY_PROJECT": settings.bigquery_project,
        "BIGQUERY_DATASET": settings.bigquery_dataset,
        "BIGQUERY_EMULATOR_HOST": settings.bigquery_emulator_host,
    }
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(int(share * TICKETS))],
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL


@pytest.fixture
def kill(tmp_path: Path) -> Kill:
    def kill(harness: Harness, share: float, where: str = AFTER_A_PAGE) -> None:
        kill_process(harness, share, where, tmp_path)

    return kill


def test_existing_table_is_adopted_after_an_interruption(
    make_harness: MakeHarness, kill: Kill
) -> None:
    """The state row of a checkpoint does not count as that of a closed run."""
    harness = make_harness(TICKETS)
    create_older_table(harness)
    harness.simulator.change(TICKETS * 3 // 4, spread_seconds=3000)
    harness.simulator.advance(60)
    kill(harness, 0.6)
    report = resume(harness)
    assert report.manifest.reason.startswith("adopted an older sync's table")
    assert not report.manifest.first_load
    harness.assert_equal()
