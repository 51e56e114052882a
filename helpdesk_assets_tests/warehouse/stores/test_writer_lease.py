"""What can go wrong between a holder and the cell that its lease is written down in."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpdesk_assets.errors import LeaseLost, WarehouseUnavailable, WriterBusy
from helpdesk_assets.model import lease as lease_record
from helpdesk_assets.model.lease import LEASE_TTL, HolderProcess, LeaseRecord, Predecessor
from helpdesk_assets.warehouse.stores.lease_cell import StoredLease
from helpdesk_assets.warehouse.stores.lease_waiting import Sightings
from helpdesk_assets.warehouse.stores.writer_lease import TRUSTED_FOR, WriterLease
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset
from helpdesk_assets_tests.in_memory.lease import InMemoryLeaseCell
from helpdesk_assets_tests.leases import VirtualTime

NOW = timedelta(0)


class UnreliableCell(InMemoryLeaseCell):
    """A cell whose next writes fail, before or after they were done."""

    def __init__(self) -> None:
        super().__init__(InMemoryDataset())
        self.is_down = False
        self.loses_answers = 0
        self.writes = 0

    def write(self, record: LeaseRecord, tag: object) -> StoredLease | None:
        self.writes += 1
        if self.is_down:
            raise WarehouseUnavailable("BigQuery did not answer.")
        written = super().write(record, tag)
        if self.loses_answers:
            # The client's own retry finds the etag of what it has written itself.
            self.loses_answers -= 1
            return None
        return written


class Desk:
    """Leases on one cell, in virtual time."""

    def __init__(self) -> None:
        self.cell = UnreliableCell()
        self.time = VirtualTime()
        self.fenced: list[tuple[Predecessor, ...]] = []
        self.fence_off: Callable[[tuple[Predecessor, ...], str], None] = lambda gone, _: (
            self.fenced.append(gone)
        )

    def lease(
        self, renew_every: timedelta | None = None, *, sightings: Sightings | None = None
    ) -> WriterLease:
        return WriterLease(
            self.cell,
            sync_name="tickets",
            fence_off=lambda gone, run_id: self.fence_off(gone, run_id),
            clocks=self.time.clocks,
            sightings=sightings,
            renew_every=renew_every,
        )

    def fail_while_held(self, run_id: str) -> None:
        """A run fails when the warehouse is down, so that it cannot give the lease back."""

        def run() -> None:
            with self.lease().hold("sync", run_id=run_id):
                self.cell.is_down = True
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run()
        self.cell.is_down = False

    def put(self, process: HolderProcess, run_id: str = "other") -> None:
        """Another process holds the lease."""
        record = LeaseRecord("n", "sync", run_id, "tickets", process, self.time.now())
        assert self.cell.write(record, self.cell.read().tag)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def is_free(desk: Desk) -> bool:
    with suppress(WriterBusy), desk.lease().hold("x", run_id="x", wait=NOW):
        return True
    return False


@pytest.mark.parametrize("lost", [1, 2])
def test_lost_answer_to_the_taking_counts(desk: Desk, lost: int) -> None:
    desk.cell.loses_answers = lost
    lease = desk.lease()
    with lease.hold("sync", run_id="1", wait=NOW):
        lease.check()
        assert not is_free(desk)
    assert is_free(desk)
    assert desk.fenced == []


def test_lost_answer_to_a_renewal_counts(desk: Desk) -> None:
    lease = desk.lease()
    with lease.hold("sync", run_id="1"):
        desk.cell.loses_answers = 1
        lease.renew()
        desk.cell.loses_answers = 1
    assert is_free(desk)


def test_young_sign_of_life_is_believed_without_a_request(desk: Desk) -> None:
    lease = desk.lease()
    with lease.hold("sync", run_id="1"):
        writes = desk.cell.writes
        desk.time.seconds = TRUSTED_FOR.total_seconds() - 1
        lease.check()
        assert desk.cell.writes == writes
        desk.time.seconds += 1
        lease.check()
        assert desk.cell.writes == writes + 1


def test_unreachable_warehouse_ends_the_writing_in_time(desk: Desk) -> None:
    lease = desk.lease()
    with lease.hold("sync", run_id="1"):
        desk.cell.is_down = True
        lease.check()
        desk.time.seconds = TRUSTED_FOR.total_seconds()
        with pytest.raises(WarehouseUnavailable):
            lease.check()
        desk.cell.is_down = False
        lease.check()


def test_sleeping_machine_is_noticed_by_the_wall_clock(desk: Desk) -> None:
    lease = desk.lease()
    clocks = desk.time.clocks
    # A suspended machine's monotonic clock stands still.
    lease._clocks = replace(clocks, now=lambda: clocks.now() + timedelta(hours=1))
    with lease.hold("sync", run_id="1"):
        lease._clocks = replace(clocks, now=lambda: clocks.now() + timedelta(hours=2))
        desk.put(replace(HolderProcess.current(), token="another", host="elsewhere"))
        with pytest.raises(LeaseLost, match="sync run other on elsewhere"):
            lease.check()


def test_failing_release_hides_no_other_error(desk: Desk) -> None:
    desk.fail_while_held("1")
    # This process knows that nobody holds it any more.
    assert is_free(desk)
    assert desk.fenced == [(Predecessor("1", "tickets"),)]


def test_failing_release_only_warns(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with desk.lease().hold("sync", run_id="1"):
        desk.cell.is_down = True
    assert "could not be given back" in caplog.text


def test_failed_fence_is_left_to_the_next(desk: Desk) -> None:
    desk.fail_while_held("dead")

    def fail(_gone: tuple[Predecessor, ...], _run_id: str) -> None:
        raise WarehouseUnavailable("BigQuery did not answer.")

    noted, desk.fence_off = desk.fence_off, fail
    with pytest.raises(WarehouseUnavailable), desk.lease().hold("sync", run_id="second"):
        pytest.fail("held without a fence")
    desk.fence_off = noted
    assert is_free(desk)
    assert [each.run_id for each in desk.fenced[0]] == ["dead", "second"]


def test_another_thread_needs_a_warehouse_of_its_own(desk: Desk) -> None:
    lease = desk.lease()
    refused: list[str] = []

    def write() -> None:
        try:
            with lease.hold("drain", run_id="2"):
                pass
        except RuntimeError as error:
            refused.append(str(error))

    with lease.hold("sync", run_id="1"):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert "each needs its own" in refused[0]


def test_thread_renews_until_the_end(desk: Desk) -> None:
    with desk.lease(timedelta(milliseconds=1)).hold("sync", run_id="1"):
        while desk.cell.writes < 5:
            assert _renewing()
    for thread in _renewing():
        thread.join(5)
    assert not _renewing()
    assert is_free(desk)


class LateLock:
    """A lock before which something else happens first."""

    def __init__(self, first: Callable[[], object]) -> None:
        self._first = [first]

    def __enter__(self) -> None:
        while self._first:
            self._first.pop()()

    def __exit__(self, *_: object) -> None:
        """Nobody else wants it."""


def test_renewal_during_the_release_loses_nothing(desk: Desk) -> None:
    lease, next_holder = desk.lease(), ExitStack()

    def give_back() -> None:
        holding.close()
        next_holder.enter_context(desk.lease().hold("repair", run_id="2"))

    with ExitStack() as holding, next_holder:
        holding.enter_context(lease.hold("sync", run_id="1"))
        lease._lock = LateLock(give_back)  # type: ignore[assignment]
        lease.renew()
        writer = lease.writer()
        assert writer is not None
        assert (writer.run_id, writer.renewals) == ("2", 0)


def _renewing() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "writer lease"]


def test_holder_whose_thread_died_is_not_renewed(desk: Desk) -> None:
    stack = ExitStack()

    def take() -> None:
        stack.enter_context(desk.lease(timedelta(milliseconds=1)).hold("sync", run_id="1"))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    for each in _renewing():
        each.join(5)
    assert not _renewing()
    stack.close()


def test_ended_process_of_this_machine_is_replaced_at_once(desk: Desk) -> None:
    code = "from helpdesk_assets.model.lease import *; print(HolderProcess.current().pid); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        here = HolderProcess.current()
        stat = Path(f"/proc/{child.pid}/stat").read_text()
        started = stat.rpartition(")")[2].split()[19]
        desk.put(replace(here, pid=child.pid, token="child", started=started))
        assert not is_free(desk)
        child.kill()
        # Not waited for yet: it is dead all the same.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_free(desk)


@pytest.mark.parametrize(
    "changed",
    [{"host": "elsewhere"}, {"boot": "another"}, {"namespace": "another"}, {"started": ""}],
)
def test_only_the_same_machine_can_tell_a_death(changed: dict[str, Any]) -> None:
    here = HolderProcess.current()
    dead = replace(here, pid=2**22 + 1, started="1", token="another")
    assert dead.has_ended(here)
    assert not replace(dead, **changed).has_ended(here)
    unknown = replace(here, boot="", namespace="")
    assert not replace(dead, boot="", namespace="").has_ended(unknown)


def test_hidden_process_counts_as_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc may be mounted so that it shows a user only his own processes."""
    monkeypatch.setattr(lease_record, "_stat", lambda _pid: ("", ""))
    here = replace(HolderProcess.current(), started="1")
    assert not replace(here, pid=1).has_ended(here)
    for pid, has_ended in ((2**22 + 1, True), (2**80, False)):
        assert replace(here, pid=pid).has_ended(here) is has_ended


@pytest.mark.parametrize("failed", ["start", "fence", "release"])
def test_interrupted_holder_keeps_nobody_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, failed: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    lease = desk.lease(timedelta(hours=1))
    desk.fail_while_held("before")
    with monkeypatch.context() as patched:
        if failed == "start":
            patched.setattr(threading.Thread, "start", interrupt)
        elif failed == "fence":
            patched.setattr(desk, "fence_off", interrupt)
        with pytest.raises(KeyboardInterrupt), lease.hold("sync", run_id="1"):
            patched.setattr(desk.cell, "write", interrupt)
    assert not lease.is_held
    assert is_free(desk)


def test_failing_takeovers_never_outgrow_the_description(desk: Desk) -> None:
    """BigQuery takes 16,384 characters; one more would keep everybody from writing for good."""

    def fail(_gone: tuple[Predecessor, ...], _run_id: str) -> None:
        raise WarehouseUnavailable("BigQuery did not answer.")

    noted, desk.fence_off = desk.fence_off, fail
    desk.fail_while_held("dead")
    for number in range(300):
        with pytest.raises(WarehouseUnavailable), desk.lease().hold("sync", run_id=f"{number:036}"):
            pytest.fail("held without a fence")
    record = desk.cell.read().record
    assert record is not None
    assert len(record.to_text()) < 10_000
    desk.fence_off = noted
    assert is_free(desk)
    assert desk.fenced[0][-1].run_id == f"{299:036}"


def test_who_never_waits_takes_over_from_the_dead(desk: Desk) -> None:
    desk.put(replace(HolderProcess.current(), token="another", host="elsewhere"))
    sightings = Sightings()

    def drain() -> bool:
        lease = desk.lease(sightings=sightings)
        with suppress(WriterBusy), lease.hold("webhooks", run_id="1", wait=NOW):
            return True
        return False

    assert not drain()
    desk.time.seconds += LEASE_TTL.total_seconds() - 1
    assert not drain()
    desk.time.seconds += 1
    assert drain()


WITHOUT_ZONE = (
    LeaseRecord(
        "n", "sync", "a", "tickets", HolderProcess.current(), datetime(2026, 11, 23, tzinfo=UTC)
    )
    .to_text()
    .replace("T00:00:00Z", "T00:00:00")
)


@pytest.mark.parametrize(
    "text", [None, "", "Empty.", "{", '{"nonce": 1}', "[]", "\ud800", WITHOUT_ZONE]
)
def test_other_descriptions_name_no_holder(text: str | None) -> None:
    assert LeaseRecord.from_text(text) is None


def test_record_round_trips_as_text() -> None:
    since = datetime(2026, 11, 23, tzinfo=UTC)
    gone = (Predecessor("b", "tickets"),)
    record = LeaseRecord(
        "n", "sync", "a", "tickets", HolderProcess.current(), since, 3, False, gone
    )
    assert LeaseRecord.from_text(record.to_text()) == record
    assert len(record.to_text()) < 1000
