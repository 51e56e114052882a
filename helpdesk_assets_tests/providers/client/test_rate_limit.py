"""Turns by a clock of the tests' own: a wait takes no time and is written down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.client.rate_limit import (
    LONGEST_WAIT,
    MINUTE,
    Left,
    RateBudget,
    left_by,
    tells_nothing,
)
from helpdesk_assets.providers.client.usage import Meter

REMAINING, LIMIT, RESET = "Calls-Left", "Calls-Of", "Calls-Anew-In"


@dataclass
class Clock:
    """Moves when somebody waits, and then does what `meanwhile` says."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.waits.append(seconds)
            self.now += seconds
        self.meanwhile()


def budget_of(
    clock: Clock, at_once: int = 1, meter: Meter | None = None, **per_minute: int
) -> RateBudget:
    """`account=`, or the name of a lane, is its limit."""
    limits = {"" if name == "account" else name: limit for name, limit in per_minute.items()}
    return RateBudget(
        meter or Meter(),
        at_once=at_once,
        per_minute=limits,
        read=read,
        now=lambda: clock.now,
        sleep=clock.sleep,
    )


def read(headers: Mapping[str, str]) -> tuple[Left, ...]:
    return left_by(headers, remaining=REMAINING, limit=LIMIT, reset=RESET)


def told(remaining: int, *, limit: int = 0, reset: int | None = None) -> Mapping[str, str]:
    headers = {REMAINING: str(remaining), LIMIT: str(limit)}
    return headers if reset is None else {**headers, RESET: str(reset)}


def sent_at(budget: RateBudget, clock: Clock, calls: int, lane: str = "") -> list[float]:
    """When each of some calls was sent, in seconds from the first moment of the clock."""
    times = []
    for _ in range(calls):
        with budget.turn(lane):
            times.append(round(clock.now - 1000.0, 3))
    return times


def test_without_limits_nobody_waits() -> None:
    clock = Clock()
    assert sent_at(budget_of(clock), clock, 500) == [0.0] * 500
    assert clock.waits == []


def test_any_minute_holds_no_more_than_the_limit() -> None:
    clock = Clock()
    budget = budget_of(clock, account=3)
    times = sent_at(budget, clock, 1)
    clock.now += 50
    times += sent_at(budget, clock, 5)
    # From the first call on, not from a minute of the wall: the third waits for nobody.
    assert times == [0.0, 50.0, 50.0, 60.0, 110.0, 110.0]


def test_a_lane_holds_up_nobody_outside_of_it() -> None:
    clock = Clock()
    budget = budget_of(clock, exports=2)
    assert sent_at(budget, clock, 2, "exports") == [0.0, 0.0]
    assert sent_at(budget, clock, 50, "lists") == [0.0] * 50
    assert sent_at(budget, clock, 50) == [0.0] * 50
    assert sent_at(budget, clock, 1, "exports") == [60.0]


def test_the_accounts_limit_binds_every_lane() -> None:
    clock = Clock()
    budget = budget_of(clock, account=4, exports=2)
    assert sent_at(budget, clock, 2, "exports") == [0.0, 0.0]
    assert sent_at(budget, clock, 2, "lists") == [0.0, 0.0]
    assert sent_at(budget, clock, 1, "lists") == [60.0]


def test_so_many_at_once_and_no_more() -> None:
    budget = budget_of(Clock(), at_once=3)
    three = threading.Barrier(3, timeout=10)
    lock, inside, most = threading.Lock(), 0, 0

    def call() -> None:
        nonlocal inside, most
        with budget.turn():
            with lock:
                inside += 1
                most = max(most, inside)
            three.wait()
            with lock:
                inside -= 1

    with ThreadPoolExecutor(9) as pool:
        for done in [pool.submit(call) for _ in range(9)]:
            done.result()
    assert most == 3


def test_what_is_left_is_spread_until_it_is_counted_anew() -> None:
    clock = Clock()
    budget = budget_of(clock, at_once=4)
    assert sent_at(budget, clock, 1) == [0.0]
    budget.heed(told(5, reset=50))
    assert sent_at(budget, clock, 5) == [10.0, 20.0, 30.0, 40.0, 50.0]
    # The helpdesk counts anew by then, so nothing is known.
    assert sent_at(budget, clock, 2) == [50.0, 50.0]


def test_as_soon_as_enough_is_left_nobody_waits() -> None:
    clock = Clock()
    budget = budget_of(clock, at_once=4)
    budget.heed(told(2, reset=50))
    assert sent_at(budget, clock, 2) == [0.0, 50.0]
    budget.heed(told(9, reset=50))
    assert sent_at(budget, clock, 10) == [50.0] * 10


@pytest.mark.parametrize(
    ("remaining", "limit", "is_low"),
    [(8, 0, True), (9, 0, False), (50, 500, True), (51, 500, False), (8, 60, True), (9, 60, False)],
)
def test_what_is_little(remaining: int, limit: int, is_low: bool) -> None:
    """Two rounds of all threads, or a tenth: others use the account as well."""
    clock = Clock()
    budget = budget_of(clock, at_once=4)
    with budget.turn():
        pass
    budget.heed(told(remaining, limit=limit, reset=60))
    with budget.turn():
        pass
    assert bool(clock.waits) is is_low


@pytest.mark.parametrize("reset", [20, None])
def test_with_none_left_it_waits_until_there_are(reset: int | None) -> None:
    """A minute, where the helpdesk does not say how long."""
    clock = Clock()
    budget = budget_of(clock)
    budget.heed(told(0, limit=10, reset=reset))
    assert sent_at(budget, clock, 2) == [reset or MINUTE] * 2


def test_what_was_told_late_does_not_open_a_closed_lane() -> None:
    """Answers to calls side by side come in any order."""
    clock = Clock()
    budget = budget_of(clock, at_once=2)
    budget.heed(told(0, reset=30))
    budget.heed(told(3, reset=30))
    assert sent_at(budget, clock, 1) == [30.0]


def test_calls_under_way_may_not_be_counted_yet() -> None:
    """Two are left, and one is under way: it may be one of them."""
    clock = Clock()
    budget = budget_of(clock, at_once=2)
    with budget.turn():
        budget.heed(told(2, reset=40))
        with budget.turn():
            assert clock.waits == [40.0]


def test_what_is_told_during_a_wait_counts() -> None:
    """Eight threads that had all been given a time in advance would overrun a limit that has
    become known since."""
    clock = Clock()
    budget = budget_of(clock, at_once=1)
    assert sent_at(budget, clock, 1) == [0.0]
    budget.heed(told(2, reset=20))
    news = iter([told(0, reset=45)])
    clock.meanwhile = lambda: budget.heed(next(news, {}))
    assert sent_at(budget, clock, 1) == [55.0]
    assert clock.waits == [10.0, 45.0]


def test_what_is_told_of_a_lane_is_that_lanes() -> None:
    clock = Clock()
    budget = RateBudget(
        Meter(),
        at_once=1,
        read=lambda _: (Left(0, reset_seconds=30.0, lane="exports"),),
        now=lambda: clock.now,
        sleep=clock.sleep,
    )
    budget.heed({})
    assert sent_at(budget, clock, 1) == [0.0]
    assert sent_at(budget, clock, 1, "exports") == [30.0]


def test_a_pause_is_for_its_lane_or_for_all() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.pause(10, "exports")
    assert sent_at(budget, clock, 1) == [0.0]
    assert sent_at(budget, clock, 1, "exports") == [10.0]
    budget.pause(20)
    budget.pause(5)
    assert sent_at(budget, clock, 1, "exports") == [30.0]


def test_who_would_wait_too_long_is_told_so() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.pause(LONGEST_WAIT + 1)
    with pytest.raises(EndpointFailed, match="no call for another 301 s"):
        sent_at(budget, clock, 1)
    assert clock.waits == []
    # Its place is free again, and after a while so is the lane.
    clock.now += 1
    assert sent_at(budget, clock, 1) == [301.0]


def test_waits_are_counted() -> None:
    clock, meter = Clock(), Meter()
    budget = budget_of(clock, meter=meter, account=2)
    sent_at(budget, clock, 5)
    assert meter.use.seconds_waited == sum(clock.waits) == 120.0


def test_a_failed_call_gives_its_place_back() -> None:
    budget = budget_of(Clock(), at_once=1)
    with pytest.raises(ValueError, match="in the midst"), budget.turn():
        raise ValueError("in the midst")
    with budget.turn():
        pass


def test_threads_share_one_budget() -> None:
    """Forty calls of eight threads, and yet no minute with more than five."""
    clock = Clock()
    mine = threading.local()

    def now() -> float:
        at = mine.at = clock.now
        return at

    def call(_: int) -> float:
        with budget.turn():
            # The clock may have been moved on since; the turn was taken at what it showed then.
            at: float = mine.at
            return at

    budget = RateBudget(Meter(), at_once=8, per_minute={"": 5}, now=now, sleep=clock.sleep)
    with ThreadPoolExecutor(8) as pool:
        times = sorted(pool.map(call, range(40)))
    assert all(later - sooner >= MINUTE for sooner, later in zip(times, times[5:], strict=False))


def test_no_two_threads_decide_at_once() -> None:
    """Both would take the last turn of the minute."""
    asked: list[threading.Event] = [threading.Event(), threading.Event()]
    overtaken: list[bool] = []

    def turn() -> None:
        with budget.turn():
            pass

    def now() -> float:
        if not asked[0].is_set():
            asked[0].set()
            pool.submit(turn)
            overtaken.append(asked[1].wait(0.05))
        else:
            asked[1].set()
        return 1000.0

    budget = RateBudget(Meter(), at_once=2, now=now)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(turn).result()
    assert overtaken == [False]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({REMAINING: "7", LIMIT: "60", RESET: "12"}, (Left(7, 60, 12),)),
        ({REMAINING: "0"}, (Left(0),)),
        ({REMAINING: "7", LIMIT: "many", RESET: "-1"}, (Left(7),)),
        ({REMAINING: "-3"}, ()),
        ({REMAINING: "", LIMIT: "60"}, ()),
        ({}, ()),
    ],
)
def test_what_headers_tell(headers: Mapping[str, str], left: tuple[Left, ...]) -> None:
    assert read(headers) == left
    assert tells_nothing(headers) == ()
