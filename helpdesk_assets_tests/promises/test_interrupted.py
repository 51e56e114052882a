"""A long fetch that is killed resumes where it stopped, and loses nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

import pytest

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.operations.sync import SyncReport
from helpdesk_assets_tests.harness import Harness
from helpdesk_assets_tests.promises.conftest import MakeHarness

TICKETS, PAGE = 2000, 50
# Where a run ends: after a page, or between the storing of rows and the saving of its position.
AFTER_A_PAGE, BEFORE_SAVING = "after a page", "before saving"


class Kill(Protocol):
    """Ends a run that saves after every page, once it has read this share of the tickets."""

    def __call__(self, harness: Harness, share: float, where: str = AFTER_A_PAGE) -> None: ...


@pytest.fixture
def kill() -> Kill:
    """End the run by an exception, in this process."""
    return interrupt


def interrupt(harness: Harness, share: float, where: str = AFTER_A_PAGE) -> None:
    enough = int(share * TICKETS)
    with harness.connected() as warehouse:
        store = type(warehouse.checkpoint_store("run"))
    save: Any = store.save

    def save_or_die(self: Any, checkpoint: Any, expected_version: int) -> None:
        if where == BEFORE_SAVING and checkpoint.rows >= enough:
            raise KeyboardInterrupt
        save(self, checkpoint, expected_version)

    def die(progress: Progress) -> None:
        if where == AFTER_A_PAGE and progress.rows >= enough:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "save", save_or_die)
        with pytest.raises(KeyboardInterrupt):
            harness.sync(checkpoint_every=timedelta(0), helpdesk_page_size=PAGE, on_page=die)


def resume(harness: Harness) -> SyncReport:
    return harness.sync(helpdesk_page_size=PAGE)


@pytest.mark.parametrize("at_once", [1, 4])
def test_first_load_killed_at_60_percent_resumes(
    make_harness: MakeHarness, kill: Kill, at_once: int
) -> None:
    harness = make_harness(TICKETS)
    harness.settings = harness.settings.model_copy(update={"helpdesk_concurrency": at_once})
    harness.simulator.reset_counters()
    kill(harness, 0.6)
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


def test_changes_during_the_interruption_are_read(make_harness: MakeHarness, kill: Kill) -> None:
    harness = make_harness(TICKETS)
    kill(harness, 0.5)
    harness.simulator.advance(3600)
    oldest = sorted(harness.simulator.truth(), key=lambda ticket: ticket.modified_time)[:30]
    harness.simulator.change(ids=[ticket.ticket_id for ticket in oldest], spread_seconds=60)
    harness.simulator.change(20, same_second=True)
    harness.simulator.create(5)
    harness.simulator.advance(5)
    resume(harness)
    harness.assert_equal()


def test_killed_repeatedly(make_harness: MakeHarness, kill: Kill) -> None:
    harness = make_harness(TICKETS)
    harness.settings = harness.settings.model_copy(update={"helpdesk_concurrency": 1})
    harness.simulator.reset_counters()
    for share in (0.2, 0.5, 0.8):
        kill(harness, share)
    resume(harness)
    harness.assert_equal()
    assert harness.simulator.counters().tickets_served < 1.3 * TICKETS


def test_stored_rows_without_a_checkpoint_do_no_harm(make_harness: MakeHarness, kill: Kill) -> None:
    harness = make_harness(TICKETS)
    kill(harness, 0.6, BEFORE_SAVING)
    report = resume(harness)
    assert report.facts.inserted == report.facts.rows == TICKETS
    harness.assert_equal()


def test_expired_checkpoint_is_read_again(make_harness: MakeHarness, kill: Kill) -> None:
    harness = make_harness(TICKETS)
    kill(harness, 0.6)
    state = harness.state()
    assert state is not None
    assert state.checkpoint is not None
    harness.backend.drop_staging(state.checkpoint.staging)
    report = resume(harness)
    assert report.manifest.reason == "first load"
    harness.assert_equal()


def test_requested_full_run_starts_over(make_harness: MakeHarness, kill: Kill) -> None:
    harness = make_harness(TICKETS)
    kill(harness, 0.6)
    harness.simulator.reset_counters()
    harness.sync(RequestedMode.FULL)
    assert harness.simulator.counters().tickets_served >= TICKETS
    harness.assert_equal()


def test_second_of_two_concurrent_first_loads_fails(make_harness: MakeHarness) -> None:
    """The other one resumes the same fetch and closes it."""
    harness = make_harness(400)
    done: list[SyncReport] = []

    def overtake(phase: str) -> None:
        if phase == "fetch" and not done:
            done.append(harness.sync())

    with pytest.raises(BatchGone, match="nothing is lost"):
        harness.sync(on_phase=overtake, checkpoint_every=timedelta(0))
    harness.assert_equal()
