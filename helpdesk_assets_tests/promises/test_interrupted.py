"""A long fetch that is killed resumes where it stopped, and loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from helpdesk_assets.errors import BatchExpired
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets_tests.harness import Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY, MakeHarness

pytestmark = [pytest.mark.slow, ON_BIGQUERY]

TICKETS, PAGE = 2000, 50
# The run of the command line, saving after every page, and killed for real when it has read so
# many: after a page, or between the storing of rows and the note of it.
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
    if where == "before the save" and checkpoint.rows >= enough:
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


def killed(harness: Harness, tmp_path: Path, share: float, where: str = "after a page") -> None:
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


def resume(harness: Harness) -> SyncReport:
    return harness.sync(helpdesk_page_size=PAGE)


@pytest.mark.parametrize("at_once", [1, 4])
def test_first_load_killed_at_60_percent_resumes(
    make_harness: MakeHarness, tmp_path: Path, at_once: int
) -> None:
    harness = make_harness(TICKETS)
    harness.settings = harness.settings.model_copy(update={"helpdesk_concurrency": at_once})
    harness.simulator.reset_counters()
    killed(harness, tmp_path, 0.6)
    read_before = harness.simulator.counters().tickets_served
    harness.simulator.reset_counters()
    report = resume(harness)
    read = harness.simulator.counters().tickets_served
    assert read < 0.45 * TICKETS
    # Beside the overlaps of pages, only pages that waited to be stored are read again.
    assert read_before + read < 1.1 * TICKETS + 3 * at_once * PAGE
    assert report.manifest.first_load
    assert report.manifest.rows >= TICKETS
    assert report.facts.missed_total == 0
    harness.assert_equal()
    assert harness.sync().manifest.reason == "changes since the watermark"


def test_changes_during_the_interruption_are_read(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    harness = make_harness(TICKETS)
    killed(harness, tmp_path, 0.5)
    harness.simulator.advance(3600)
    oldest = sorted(harness.simulator.truth(), key=lambda ticket: ticket.modified_time)[:30]
    harness.simulator.change(ids=[ticket.ticket_id for ticket in oldest], spread_seconds=60)
    harness.simulator.change(20, same_second=True)
    harness.simulator.create(5)
    harness.simulator.advance(5)
    resume(harness)
    harness.assert_equal()


def test_killed_repeatedly(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(TICKETS)
    harness.settings = harness.settings.model_copy(update={"helpdesk_concurrency": 1})
    harness.simulator.reset_counters()
    for share in (0.2, 0.5, 0.8):
        killed(harness, tmp_path, share)
    resume(harness)
    harness.assert_equal()
    assert harness.simulator.counters().tickets_served < 1.3 * TICKETS


def test_stored_rows_without_a_checkpoint_do_no_harm(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    harness = make_harness(TICKETS)
    killed(harness, tmp_path, 0.6, "before the save")
    report = resume(harness)
    assert report.facts.inserted == report.facts.rows == TICKETS
    harness.assert_equal()


def test_expired_checkpoint_is_read_again(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(TICKETS)
    killed(harness, tmp_path, 0.6)
    state = harness.state()
    assert state is not None
    assert state.checkpoint is not None
    harness.backend.drop_staging(state.checkpoint.staging)
    report = resume(harness)
    assert report.manifest.reason == "first load"
    harness.assert_equal()


def test_existing_table_is_adopted_after_an_interruption(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    """The state row of a checkpoint does not count as that of a closed run."""
    from helpdesk_assets_tests.promises.test_existing_table import create_older_table

    harness = make_harness(TICKETS)
    create_older_table(harness)
    harness.simulator.change(1500, spread_seconds=3000)
    harness.simulator.advance(60)
    killed(harness, tmp_path, 0.6)
    report = resume(harness)
    assert report.manifest.reason.startswith("adopted an older sync's table")
    assert not report.manifest.first_load
    harness.assert_equal()


def test_requested_full_run_starts_over(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(TICKETS)
    killed(harness, tmp_path, 0.6)
    harness.simulator.reset_counters()
    harness.sync(RequestedMode.FULL)
    assert harness.simulator.counters().tickets_served >= TICKETS
    harness.assert_equal()


def test_second_of_two_concurrent_first_loads_fails(make_harness: MakeHarness) -> None:
    """The other one resumes the same fetch and closes it."""
    harness = make_harness(400)
    done: list[SyncReport] = []

    def overtake(phase: str) -> None:
        if phase == "store" and not done:
            done.append(harness.sync())

    with pytest.raises(BatchExpired, match="nothing is lost"):
        harness.sync(on_phase=overtake, checkpoint_every=timedelta(0))
    harness.assert_equal()
