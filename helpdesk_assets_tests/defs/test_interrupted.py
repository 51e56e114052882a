"""A long reading in Dagster that ends half-way is gone on with, by whichever run comes next."""

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
from helpdesk_assets.extract.plan import WENT_ON
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.operations.sync import Policy
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.defs.conftest import World
from helpdesk_assets_tests.defs.test_reexecution import again_from_failure, refuse, run

TICKETS = 40
PAGE = 4
ENOUGH = 24
# A run of the job whose process is killed in the step, with an instance that dies with it.
KILLED = """
import os, signal
import dagster as dg
from helpdesk_assets.assets import raw_ticket_changes
from helpdesk_assets.definitions import defs
from helpdesk_assets_tests.defs.test_interrupted import ENOUGH, save_every_page

def die(progress, say):
    if progress.rows >= ENOUGH:
        os.kill(os.getpid(), signal.SIGKILL)

save_every_page()
raw_ticket_changes.tell = die
with dg.DagsterInstance.ephemeral() as instance:
    defs.resolve_job_def("helpdesk_sync").execute_in_process(instance=instance)
"""


def save_every_page(replaced: Any = None) -> None:
    """A reading is made durable every few minutes, which no test waits for."""
    made = Policy.from_settings

    def at_once(settings: Settings) -> Policy:
        return replace(made(settings), save_every=timedelta(0))

    (replaced or setattr)(Policy, "from_settings", at_once)


@pytest.fixture
def saving(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("HELPDESK_PAGE_SIZE", str(PAGE))
    monkeypatch.setenv("HELPDESK_CONCURRENCY", "1")
    save_every_page(monkeypatch.setattr)
    return world


def assert_whole(world: World) -> None:
    """Everything is there, and each row that was fetched is accounted for."""
    assert world.stored() == world.truth()
    told = world.told("sync_watermark")
    assert told["rows_inserted"] == len(world.truth())
    assert not [t.table_id for t in world.warehouse.list_tables() if "__stg_" in t.table_id]


def test_a_step_that_failed_half_way_goes_on_when_the_run_is_executed_again(
    saving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(progress: Progress, say: Any) -> None:
        if progress.rows >= ENOUGH:
            refuse()

    with monkeypatch.context() as plug:
        plug.setattr(raw_ticket_changes, "tell", fail)
        success, dead = run(saving)
    assert not success
    saving.helpdesk.reset_counters()
    assert again_from_failure(saving, dead)[0]
    assert saving.helpdesk.counters().tickets_served < 0.6 * TICKETS
    assert saving.told("raw_ticket_changes")["reason"] == f"first load{WENT_ON}"
    assert_whole(saving)


def test_the_next_run_goes_on_where_a_killed_one_was(saving: World, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    saving.helpdesk.advance(3600)
    saving.helpdesk.change(2)
    saving.helpdesk.create(1)
    saving.helpdesk.advance(600)
    saving.helpdesk.reset_counters()
    result = saving.sync()
    assert result.success
    assert saving.helpdesk.counters().tickets_served < 0.6 * TICKETS
    assert_whole(saving)
    assert saving.missed() == []
    assert all(check.passed for check in result.get_asset_check_evaluations())
