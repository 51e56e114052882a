"""Promise 6: after a run that is killed anywhere, the next run corrects everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, as_versions

PHASES = ("fetch", "store", "missed", "merge", "close")
# The run of the command line, killed for real when the phase named by its argument is done.
KILLED = """
import os, signal, sys, uuid
from helpdesk_assets.operations.sync import SyncPolicy, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import load_settings
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets_tests.harness import connected

def die(phase):
    if phase == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

settings = load_settings()
with connected(settings) as tables:
    run_sync(
        make_helpdesk(settings), tables, SyncRequest(), SyncPolicy.from_settings(settings),
        run_id=uuid.uuid4().hex, on_phase=die,
    )
"""


def killed_after(harness: Harness, phase: str, tmp_path: Path) -> None:
    settings = harness.settings
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HELPDESK_BASE_URL": settings.helpdesk_base_url,
        "HELPDESK_API_TOKEN": settings.helpdesk_api_token.get_secret_value(),
        "BIGQUERY_PROJECT": settings.bigquery_project,
        "BIGQUERY_DATASET": settings.bigquery_dataset,
        "BIGQUERY_EMULATOR_HOST": settings.bigquery_emulator_host,
        "BIGQUERY_SMALL_BATCH_BYTES": str(settings.bigquery_small_batch_bytes),
    }
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, phase], cwd=tmp_path, env=environment, check=False
    )
    assert ran.returncode == -signal.SIGKILL


@pytest.mark.parametrize("phase", PHASES)
def test_killed_during_an_incremental_run(harness: Harness, phase: str, tmp_path: Path) -> None:
    harness.sync()
    changed = harness.simulator.change(20, spread_seconds=40)
    lost = changed[:4]
    harness.deliver(changed[4:])
    harness.simulator.advance(SECONDS_PAST_GRACE)
    killed_after(harness, phase, tmp_path)
    harness.sync()
    harness.assert_equal()
    assert harness.missed() == as_versions(lost)


@pytest.mark.parametrize("phase", PHASES)
def test_killed_during_a_large_first_load(harness: Harness, phase: str, tmp_path: Path) -> None:
    """Its batch goes through a staging table, which the killed run leaves behind."""
    harness.settings = harness.settings.model_copy(update={"bigquery_small_batch_bytes": 10_000})
    killed_after(harness, phase, tmp_path)
    (late,) = harness.simulator.create(1)
    report = harness.sync()
    assert report.facts.rows == 61
    harness.assert_equal()
    assert harness.missed() == set()
    assert late.ticket_id in harness.tickets()
