from __future__ import annotations

from datetime import UTC, datetime, timedelta

from helpdesk_assets.local.simulator.clock import SimulatedClock, to_text

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class RealTime:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def test_clock_runs_from_its_set_time() -> None:
    real_now = RealTime()
    clock = SimulatedClock(NOON - timedelta(days=3), real_now)
    real_now.advance(5)
    assert clock.now() == NOON - timedelta(days=3) + timedelta(seconds=5)


def test_advance_moves_a_running_and_a_frozen_clock() -> None:
    real_now = RealTime()
    clock = SimulatedClock(real_now=real_now)
    clock.advance(timedelta(seconds=10))
    assert clock.now() == NOON + timedelta(seconds=10)
    clock.freeze()
    real_now.advance(100)
    clock.advance(timedelta(seconds=10))
    assert clock.now() == NOON + timedelta(seconds=20)


def test_unfreezing_never_jumps() -> None:
    real_now = RealTime()
    clock = SimulatedClock(real_now=real_now)
    clock.freeze()
    real_now.advance(3600)
    clock.thaw()
    assert clock.now() == NOON
    real_now.advance(1)
    assert clock.now() == NOON + timedelta(seconds=1)


def test_clearing_the_clock_error_restores_the_time() -> None:
    clock = SimulatedClock(real_now=RealTime())
    clock.fault_offset = timedelta(hours=1)
    assert clock.offset == timedelta(hours=1)
    clock.fault_offset = timedelta(0)
    assert clock.now() == NOON


def test_text_is_to_the_second_in_utc() -> None:
    assert to_text(int(NOON.timestamp())) == "2026-11-23T12:00:00Z"
    assert to_text(4102444799) == "2099-12-31T23:59:59Z"
