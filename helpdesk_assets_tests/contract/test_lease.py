"""The lease of a dataset as every warehouse keeps it, in virtual time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import ConcurrentUpdate, LeaseLost, WriterBusy
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.lease import LEASE_TTL
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets_tests.contract.conftest import IN_MEMORY, STAND_IN, in_memory, on_bigquery
from helpdesk_assets_tests.contract.subject import POLICY, Subject, ticket
from helpdesk_assets_tests.contract.test_warehouse import BY_HAND, CHECKPOINT
from helpdesk_assets_tests.leases import VirtualTime, held_elsewhere, lease_of

TTL = LEASE_TTL.total_seconds()


@dataclass
class Pair:
    """Two writers of one dataset, and their time."""

    first: Warehouse
    second: Warehouse
    time: VirtualTime
    subject: Subject

    def closes(self, warehouse: Warehouse, run_id: str) -> None:
        """A run of this writer writes a ticket and closes, with the lease."""
        manifest, spool = self.subject.batch(ticket(run_id), run_id=run_id)
        with warehouse.lease("sync", run_id=run_id):
            warehouse.merge_changes(manifest, spool)
            warehouse.merge_missed(manifest, POLICY)
            warehouse.merge_tickets(manifest)
            warehouse.commit_run(manifest, POLICY)


@pytest.fixture(params=[IN_MEMORY, pytest.param(STAND_IN, marks=pytest.mark.warehouse)])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == IN_MEMORY:
        opened = in_memory()
    else:
        opened = on_bigquery(request.getfixturevalue("warehouse_endpoint"))
    time = VirtualTime()
    with opened as (backend, settings), ExitStack() as stack:
        first, second = (stack.enter_context(backend.connected(settings)) for _ in range(2))
        for each in (first, second):
            each.prepare()
            lease_of(each)._clocks = time.clocks
        yield Pair(first, second, time, Subject(first, second, backend, settings, stack))


def test_second_writer_waits_for_the_first(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    holding = ExitStack()
    holding.enter_context(pair.first.lease("sync", run_id="1a2b3c4d5e6f"))
    pair.time.seconds = 12
    pair.time.on_sleep = lambda: holding.close() if pair.time.seconds >= 60 else None
    with pair.second.lease("repair", run_id="other"):
        assert 60 <= pair.time.seconds < 70
    told = [message for message in caplog.messages if message.startswith("Waiting")]
    assert len(told) == 2
    assert told[0].startswith("Waiting for sync run 1a2b3c4d on ")
    assert "which has been writing for 12 s; it is taken over 120 s after" in told[0]


def test_wait_ends_and_names_the_holder(pair: Pair) -> None:
    with (
        pair.first.lease("backfill", run_id="1a2b3c4d"),
        pytest.raises(WriterBusy, match="backfill run 1a2b3c4d on ") as raised,
        pair.second.lease("sync", run_id="other", wait=timedelta(seconds=20)),
    ):
        pass
    assert pair.time.seconds == 20
    assert "20 s of waiting" in str(raised.value)


def test_who_does_not_wait_is_told_at_once(pair: Pair) -> None:
    with (
        pair.first.lease("sync", run_id="1a2b3c4d"),
        pytest.raises(WriterBusy),
        pair.second.lease("drain", run_id="other", wait=timedelta(0)),
    ):
        pass
    assert pair.time.seconds == 0
    pair.closes(pair.second, "free again")


def test_lease_within_a_lease_is_the_same(pair: Pair) -> None:
    with pair.first.lease("sync", run_id="outer"):
        with pair.first.lease("repair", run_id="inner"):
            pass
        with pytest.raises(WriterBusy), pair.second.lease("x", run_id="x", wait=timedelta(0)):
            pass


def test_silent_holder_elsewhere_is_replaced_after_the_ttl(pair: Pair) -> None:
    with held_elsewhere(pair.first, "silent"):
        pair.closes(pair.second, "next")
        assert TTL <= pair.time.seconds < TTL + 10
    assert pair.subject.state().run_id == "next"


def test_renewed_lease_is_never_taken_over(pair: Pair) -> None:
    with held_elsewhere(pair.first, "long"):
        pair.time.on_sleep = lease_of(pair.first).renew
        with (
            pytest.raises(WriterBusy),
            pair.second.lease("sync", run_id="next", wait=timedelta(minutes=10)),
        ):
            pass


def _closes(pair: Pair) -> None:
    manifest, _ = pair.subject.batch(run_id="paused")
    pair.first.commit_run(manifest, POLICY)


def _merges(pair: Pair) -> None:
    manifest, _ = pair.subject.batch(ticket("1"), run_id="paused")
    pair.first.merge_tickets(manifest)


def _saves_a_checkpoint(pair: Pair) -> None:
    pair.first.checkpoint_store("paused").save(CHECKPOINT, 1)


@pytest.mark.parametrize("deed", [_closes, _merges, _saves_a_checkpoint])
def test_paused_holder_writes_nothing_any_more(pair: Pair, deed: Callable[[Pair], None]) -> None:
    with held_elsewhere(pair.first, "paused"):
        with pair.second.lease("sync", run_id="next"):
            pass
        before = pair.subject.warehouse.read_state()
        with pytest.raises(LeaseLost, match="run it again"):
            deed(pair)
        assert pair.subject.warehouse.read_state() == before
    assert pair.subject.backend.rows("tickets") == []


def test_lost_lease_of_another_is_not_released(pair: Pair) -> None:
    with held_elsewhere(pair.first, "paused") as holding, pair.second.lease("sync", run_id="next"):
        holding.close()
        found = lease_of(pair.second).writer()
        assert found is not None
        assert found.run_id == "next"


def test_replaced_first_run_finds_a_row_in_its_place(pair: Pair) -> None:
    """Without one, its closing statement would insert the row, whatever the fence."""
    with held_elsewhere(pair.first, "paused"), pair.second.lease("sync", run_id="next"):
        state = pair.second.read_state()
        assert state is not None
        assert (state.version, state.watermark, state.fence) == (0, None, 1)
    pair.closes(pair.second, "after")
    assert pair.subject.state().fence == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConcurrentUpdate, SystemExit])
def test_failing_holder_gives_it_back(pair: Pair, error: type[BaseException]) -> None:
    with pytest.raises(error), pair.first.lease("sync", run_id="fails"):
        raise error
    with pair.second.lease("sync", run_id="next", wait=timedelta(0)):
        pass


def _adopt(warehouse: Warehouse, _: Any) -> None:
    warehouse.adopt(Account("rest", "1"), run_id="x")


WRITES: dict[str, Callable[[Warehouse, Any], object]] = {
    "versions": lambda warehouse, batch: warehouse.merge_changes(*batch),
    "missed": lambda warehouse, batch: warehouse.merge_missed(batch[0], POLICY),
    "tickets": lambda warehouse, batch: warehouse.merge_tickets(batch[0]),
    "closing": lambda warehouse, batch: warehouse.commit_run(batch[0], POLICY),
    "by hand": lambda warehouse, _: warehouse.set_manually(BY_HAND, None),
    "repeated": lambda warehouse, batch: warehouse.remove_repeated_rows(batch[0], RunCounts()),
    "adoption": _adopt,
}


@pytest.mark.parametrize("write", WRITES)
def test_nothing_is_written_without_the_lease(pair: Pair, write: str) -> None:
    with pytest.raises(RuntimeError, match="without the lease"):
        WRITES[write](pair.first, pair.subject.batch(ticket("1")))
    assert pair.subject.backend.rows("tickets") == []


def test_two_threads_never_write_at_once(pair: Pair) -> None:
    deeds: list[str] = []
    for each in (pair.first, pair.second):
        lease_of(each)._clocks = type(pair.time.clocks)()
    # The second stand-in answers 400 where two create one table at the same moment.
    with pair.first.lease("sync", run_id="zero"):
        pass
    manifests = {
        name: pair.subject.batch(ticket("new"), ticket(name), run_id=name, is_range=True)
        for name in ("one", "two")
    }

    def write(warehouse: Warehouse, name: str) -> None:
        with warehouse.lease("backfill", run_id=name):
            manifest, spool = manifests[name]
            deeds.append(name)
            warehouse.merge_changes(manifest, spool)
            warehouse.merge_tickets(manifest)
            deeds.append(name)

    threads = [
        threading.Thread(target=write, args=each)
        for each in ((pair.first, "one"), (pair.second, "two"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert deeds in (["one", "one", "two", "two"], ["two", "two", "one", "one"])
    rows = sorted(row["ticket_id"] for row in pair.subject.backend.rows("tickets"))
    assert rows == ["new", "one", "two"]
