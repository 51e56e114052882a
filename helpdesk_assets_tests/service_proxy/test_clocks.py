"""The proxy's clocks move when they should, and its durations are as asked."""

from __future__ import annotations

import random
import statistics
import threading

from helpdesk_assets_tests.service_proxy.clocks import JumpingClock, ManualClock, ScaledClock
from helpdesk_assets_tests.service_proxy.durations import always, lognormal


def test_lognormal_has_the_median_and_the_percentile() -> None:
    duration = lognormal(random.Random(1), median=3.0, p95=6.0)
    drawn = sorted(duration("") for _ in range(20_000))
    assert abs(statistics.median(drawn) - 3.0) < 0.1
    assert abs(drawn[19_000] - 6.0) < 0.2
    assert always(2.0)("MERGE") == 2.0


def test_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock()
    clock.hang(5.0)
    assert clock.now() == 0.0
    clock.advance(2.0)
    clock.jump(1.0)
    assert clock.now() == 2.0


def test_scaled_clock_runs_faster_than_ours() -> None:
    clock = ScaledClock(speed=1000.0)
    clock.hang(20.0)
    assert clock.now() >= 20.0


def test_one_client_never_waits() -> None:
    clock = JumpingClock(patience=60)
    clock.hang(3.0)
    assert clock.now() == 3.0


def test_time_stands_until_every_client_waits() -> None:
    clock = JumpingClock(patience=60)
    clock.set_clients(2)
    first = threading.Thread(target=clock.hang, args=(3.0,))
    first.start()
    assert clock.now() == 0.0
    clock.hang(5.0)
    first.join(10)
    assert not first.is_alive()
    assert clock.now() in (3.0, 5.0)


def test_time_moves_when_the_other_client_leaves() -> None:
    clock = JumpingClock(patience=60)
    clock.set_clients(2)
    waiting = threading.Thread(target=clock.hang, args=(3.0,))
    waiting.start()
    clock.leave()
    waiting.join(10)
    assert clock.now() == 3.0


def test_client_that_calls_is_waited_for() -> None:
    clock = JumpingClock(patience=0.2)
    clock.set_clients(2)
    first = threading.Thread(target=clock.hang, args=(3.0,))
    first.start()
    for _ in range(6):
        first.join(0.1)
        assert clock.now() == 0.0
        clock.note_call()
    clock.hang(5.0)
    first.join(10)
    assert clock.now() > 0.0


def test_patience_ends_for_a_client_that_does_not_poll() -> None:
    clock = JumpingClock(patience=0.01)
    clock.set_clients(2)
    clock.hang(3.0)
    assert clock.now() == 3.0
