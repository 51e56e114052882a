from __future__ import annotations

from datetime import UTC, datetime, timedelta

from helpdesk_assets.local.simulator.clock import SimulatedClock, to_text

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class RealTime:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_runs_with_real_time_from_where_it_was_put() -> None:
    real = RealTime()
    clock = SimulatedClock(NOON - timedelta(days=3), real)
    real.passes(5)
    assert clock.now() == NOON - timedelta(days=3) + timedelta(seconds=5)


def test_advance_moves_a_running_and_a_frozen_clock() -> None:
    real = RealTime()
    clock = SimulatedClock(real=real)
    clock.advance(timedelta(seconds=10))
    assert clock.now() == NOON + timedelta(seconds=10)
    clock.freeze()
    real.passes(100)
    clock.advance(timedelta(seconds=10))
    assert clock.now() == NOON + timedelta(seconds=20)


def test_thawing_never_jumps() -> None:
    real = RealTime()
    clock = SimulatedClock(real=real)
    clock.freeze()
    real.passes(3600)
    clock.thaw()
    assert clock.now() == NOON
    real.passes(1)
    assert clock.now() == NOON + timedelta(seconds=1)


def test_an_error_goes_as_it_came() -> None:
    clock = SimulatedClock(real=RealTime())
    clock.error = timedelta(hours=1)
    assert clock.offset == timedelta(hours=1)
    clock.error = timedelta(0)
    assert clock.now() == NOON


def test_text_is_to_the_second_in_utc() -> None:
    assert to_text(int(NOON.timestamp())) == "2026-11-23T12:00:00Z"
    assert to_text(4102444799) == "2099-12-31T23:59:59Z"
