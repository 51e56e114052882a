"""A receiver drains now and then what it has appended, and no answer waits for that."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from helpdesk_assets.errors import HelpdeskAssetsError, WarehouseUnavailable
from helpdesk_assets.receiver.drain_timer import Drain, DrainTimer
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open
from helpdesk_assets_tests.receiver.webhook_posts import START, rest_event, whole_ticket

OFTEN = 0.002
PATIENCE = 30.0


class FakeDrain:
    """Counts its calls; `outcomes` are what the next ones return or raise, then 0."""

    def __init__(self, *outcomes: int | Exception) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0
        self._called = threading.Condition()

    def __call__(self) -> int:
        with self._called:
            self.calls += 1
            self._called.notify_all()
            outcome = self.outcomes.pop(0) if self.outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait_for(self, calls: int) -> None:
        with self._called:
            assert self._called.wait_for(lambda: self.calls >= calls, PATIENCE)

    def stays_at(self, calls: int) -> None:
        with self._called:
            assert not self._called.wait_for(lambda: self.calls > calls, 30 * OFTEN)


@contextmanager
def started(drain: Drain | None, every: float = OFTEN) -> Iterator[DrainTimer]:
    timer = DrainTimer(drain, every, now=lambda: START)
    timer.start()
    try:
        yield timer
    finally:
        timer.stop()


def eventually(is_so: Callable[[], bool]) -> None:
    wait, tries = threading.Event(), 0
    while not is_so():
        tries += 1
        assert tries < 5000
        wait.wait(0.002)


def test_what_was_left_is_drained_then_what_is_new() -> None:
    drain = FakeDrain()
    with started(drain) as timer:
        drain.wait_for(1)
        drain.stays_at(1)
        timer.appended()
        drain.wait_for(2)
        drain.stays_at(2)


def test_events_that_still_wait_are_drained_again() -> None:
    drain = FakeDrain(3, 1)
    with started(drain):
        drain.wait_for(3)
        drain.stays_at(3)


@pytest.mark.parametrize("error", [WarehouseUnavailable("gone"), KeyError("bug")])
def test_failed_drain_is_repeated_and_told_once(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    drain = FakeDrain(error, error, error)
    with caplog.at_level(logging.WARNING), started(drain) as timer:
        drain.wait_for(4)
        eventually(lambda: timer.describe()["last"] is not None)
        assert timer.describe()["failing_since"] is None
    told = [message for message in caplog.messages if "merged" in message]
    assert len(told) == 2
    assert told[0].startswith("Webhook events cannot be merged; they wait.")


def test_failing_drain_shows_since_when() -> None:
    with started(FakeDrain(*[WarehouseUnavailable("gone")] * 500)) as timer:
        eventually(lambda: timer.describe()["failing_since"] is not None)
        assert timer.describe() == {
            "every_seconds": OFTEN,
            "last": None,
            "failing_since": START.isoformat(timespec="milliseconds"),
        }


@pytest.mark.parametrize(("has_one", "every"), [(False, OFTEN), (True, 0.0)])
def test_receiver_drains_only_if_told_to(has_one: bool, every: float) -> None:
    drain = FakeDrain()
    with started(drain if has_one else None, every) as timer:
        timer.appended()
        drain.stays_at(0)
        assert timer.describe()["every_seconds"] == 0


def test_stopped_timer_drains_no_more() -> None:
    drain = FakeDrain(*[1] * 1000)
    with started(drain):
        drain.wait_for(1)
    calls = drain.calls
    drain.stays_at(calls + 1)


def test_no_answer_waits_for_a_drain_that_hangs(open_alone: Open, memory: MemoryStore) -> None:
    released, begun = threading.Event(), threading.Event()

    def hanging() -> int:
        begun.set()
        released.wait(PATIENCE)
        return 0

    changed: dict[str, Any] = {"drain": hanging, "drain_seconds": OFTEN, "store": memory}
    with open_alone(**changed) as sender:
        assert begun.wait(PATIENCE)
        assert sender.send(rest_event(whole_ticket(1), "e")).status_code == 200
        assert sender.health()["status"] == "ok"
        released.set()
    assert memory.written == ["e"]


def test_failing_drain_fails_no_answer(open_alone: Open, memory: MemoryStore) -> None:
    def failing() -> int:
        raise HelpdeskAssetsError("the helpdesk is down")

    with open_alone(drain=failing, drain_seconds=OFTEN, store=memory) as sender:
        eventually(lambda: sender.health()["drain"]["failing_since"] is not None)
        assert sender.send(rest_event(whole_ticket(1), "e")).status_code == 200
        # Whatever is acknowledged is stored; when it is merged is another matter.
        assert sender.health()["status"] == "ok"
