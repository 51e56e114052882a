"""Promise 6: after a run that is killed anywhere, the next run corrects everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness, as_versions
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY

pytestmark = pytest.mark.slow

PHASES = ("fetch", "store", "missed", "merge", "close")
# The run of the command line, killed for real when the phase named by its argument is done.
KILLED = """
import os, signal, sys, uuid
from helpdesk_assets.operations.sync import SyncPolicy, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import load_settings
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets_tests.backends import connected

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
        "WEBHOOKS_ENABLED": str(settings.webhooks_enabled).lower(),
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


Kill = Callable[[Harness, str], None]


def interrupt(harness: Harness, phase: str) -> None:
    """End a run when the phase is done, in this process."""

    def die(done: str) -> None:
        if done == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.sync(on_phase=die)


@pytest.mark.parametrize("phase", PHASES)
def test_interrupted_incremental_run(harness: Harness, phase: str) -> None:
    _interrupted_incremental_run(harness, phase, interrupt)


@pytest.mark.parametrize("phase", PHASES)
def test_interrupted_large_first_load(harness: Harness, phase: str) -> None:
    _interrupted_large_first_load(harness, phase, interrupt)


@ON_BIGQUERY
@pytest.mark.parametrize("phase", ["store", "merge"])
def test_killed_incremental_run(harness: Harness, phase: str, tmp_path: Path) -> None:
    _interrupted_incremental_run(harness, phase, partial(killed_after, tmp_path=tmp_path))


@ON_BIGQUERY
@pytest.mark.parametrize("phase", ["store", "merge"])
def test_killed_large_first_load(harness: Harness, phase: str, tmp_path: Path) -> None:
    _interrupted_large_first_load(harness, phase, partial(killed_after, tmp_path=tmp_path))


def _interrupted_incremental_run(harness: Harness, phase: str, kill: Kill) -> None:
    harness.sync()
    changed = harness.simulator.change(20, spread_seconds=40)
    lost = changed[:4]
    harness.deliver(changed[4:])
    harness.simulator.advance(SECONDS_PAST_GRACE)
    kill(harness, phase)
    harness.sync()
    harness.assert_equal()
    assert harness.missed() == as_versions(lost)


def _interrupted_large_first_load(harness: Harness, phase: str, kill: Kill) -> None:
    """Its batch goes through a staging table, which the killed run leaves behind."""
    harness.settings = harness.settings.model_copy(update={"bigquery_small_batch_bytes": 10_000})
    kill(harness, phase)
    (late,) = harness.simulator.create(1)
    report = harness.sync()
    assert report.facts.rows == 61
    harness.assert_equal()
    assert harness.missed() == set()
    assert late.ticket_id in harness.tickets()
