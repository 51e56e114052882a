"""A long reading that is killed goes on where it was, and loses nothing by it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.extract.plan import Ask
from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets_tests.harness import Rig
from helpdesk_assets_tests.promises.conftest import MakeRig

TICKETS, PAGE = 2000, 50
# The run of the command line, saving after every page, and killed for real when it has read so
# many: after a page, or between the storing of rows and the note of it.
KILLED = """
import os, signal, sys, uuid
from dataclasses import replace
from datetime import timedelta
from helpdesk_assets.operations.sync import Policy, run_sync
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import load_settings
from helpdesk_assets.extract.plan import Options
from helpdesk_assets.warehouse.stores.checkpoints import LoadStore
from helpdesk_assets_tests.harness import connected

where, enough = sys.argv[1], int(sys.argv[2])
noted = LoadStore.note

def note(self, unfinished, seen_version):
    if where == "before the note" and unfinished.rows >= enough:
        os.kill(os.getpid(), signal.SIGKILL)
    noted(self, unfinished, seen_version)

def die(progress):
    if where == "after a page" and progress.rows >= enough:
        os.kill(os.getpid(), signal.SIGKILL)

LoadStore.note = note
settings = load_settings()
policy = replace(Policy.from_settings(settings), save_every=timedelta(0))
with connected(settings) as tables:
    run_sync(
        make_helpdesk(settings), tables, Options(), policy, run_id=uuid.uuid4().hex, on_page=die
    )
"""


def killed(rig: Rig, tmp_path: Path, share: float, where: str = "after a page") -> None:
    settings = rig.settings
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


def go_on(rig: Rig) -> SyncReport:
    return rig.sync(helpdesk_page_size=PAGE)


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_first_load_killed_at_60_percent_reads_less_than_45_when_run_again(
    make_rig: MakeRig, tmp_path: Path, at_once: int
) -> None:
    rig = make_rig(TICKETS)
    rig.settings = rig.settings.model_copy(update={"helpdesk_concurrency": at_once})
    rig.desk.reset_counters()
    killed(rig, tmp_path, 0.6)
    read_before = rig.desk.counters().tickets_served
    rig.desk.reset_counters()
    report = go_on(rig)
    read = rig.desk.counters().tickets_served
    assert read < 0.45 * TICKETS
    # Beside the edges of the pages, only what waited to be handed over is read a second time.
    assert read_before + read < 1.1 * TICKETS + 3 * at_once * PAGE
    assert report.manifest.first_load
    assert report.manifest.rows >= TICKETS
    assert report.facts.missed_total == 0
    rig.assert_equal()
    assert rig.sync().manifest.reason == "changes since the watermark"


def test_what_changed_in_between_is_read_as_well(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(TICKETS)
    killed(rig, tmp_path, 0.5)
    rig.desk.advance(3600)
    oldest = sorted(rig.desk.truth(), key=lambda ticket: ticket.modified_time)[:30]
    rig.desk.change(ids=[ticket.ticket_id for ticket in oldest], spread_seconds=60)
    rig.desk.change(20, same_second=True)
    rig.desk.create(5)
    rig.desk.advance(5)
    go_on(rig)
    rig.assert_equal()


def test_killed_again_and_again(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(TICKETS)
    rig.settings = rig.settings.model_copy(update={"helpdesk_concurrency": 1})
    rig.desk.reset_counters()
    for share in (0.2, 0.5, 0.8):
        killed(rig, tmp_path, share)
    go_on(rig)
    rig.assert_equal()
    assert rig.desk.counters().tickets_served < 1.3 * TICKETS


def test_rows_that_were_stored_and_not_noted_do_no_harm(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(TICKETS)
    killed(rig, tmp_path, 0.6, "before the note")
    report = go_on(rig)
    assert report.facts.inserted == report.facts.rows == TICKETS
    rig.assert_equal()


def test_what_has_expired_is_read_again(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(TICKETS)
    killed(rig, tmp_path, 0.6)
    state = rig.state()
    assert state is not None
    assert state.unfinished is not None
    rig.warehouse.drop_table(state.unfinished.staging)
    report = go_on(rig)
    assert report.manifest.reason == "first load"
    rig.assert_equal()


def test_an_adopted_table_is_still_adopted(make_rig: MakeRig, tmp_path: Path) -> None:
    """The state row that keeps the place of a reading is none that a run has closed."""
    from helpdesk_assets_tests.promises.test_existing_table import leave_an_older_table

    rig = make_rig(TICKETS)
    leave_an_older_table(rig)
    rig.desk.change(1500, spread_seconds=3000)
    rig.desk.advance(60)
    killed(rig, tmp_path, 0.6)
    report = go_on(rig)
    assert report.manifest.reason.startswith("adopted an older sync's table")
    assert not report.manifest.first_load
    rig.assert_equal()


def test_a_full_run_that_is_asked_for_begins_anew(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(TICKETS)
    killed(rig, tmp_path, 0.6)
    rig.desk.reset_counters()
    rig.sync(Ask.FULL)
    assert rig.desk.counters().tickets_served >= TICKETS
    rig.assert_equal()


def test_of_two_first_loads_at_once_one_gives_way(make_rig: MakeRig) -> None:
    """The other one goes on with the same reading and closes it."""
    rig = make_rig(400)
    done: list[SyncReport] = []

    def overtake(phase: str) -> None:
        if phase == "store" and not done:
            done.append(rig.sync())

    with pytest.raises(BatchGone, match="nothing is lost"):
        rig.sync(on_phase=overtake, save_every=timedelta(0))
    rig.assert_equal()
