"""The rate limiter with a clock on which waits take no time and are recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from helpdesk_assets.errors import EndpointFailed, RateLimitExhausted
from helpdesk_assets.providers.client.rate_limit import (
    MAX_WAIT_SECONDS,
    MINUTE,
    RateLimiter,
    RateLimitState,
    no_rate_limit,
    parse_rate_limit_headers,
)
from helpdesk_assets.providers.client.usage import UsageCounter

REMAINING, LIMIT, RESET = "Calls-Left", "Calls-Of", "Calls-Anew-In"


@dataclass
class Clock:
    """A clock that advances when somebody waits, and then calls `meanwhile`."""

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
    clock: Clock, concurrency: int = 1, meter: UsageCounter | None = None, **per_minute: int
) -> RateLimiter:
    """Return a limiter; `account=`, or the name of a lane, is its limit."""
    limits = {"" if name == "account" else name: limit for name, limit in per_minute.items()}
    return RateLimiter(
        meter or UsageCounter(),
        concurrency=concurrency,
        per_minute=limits,
        parse=parse,
        monotonic=lambda: clock.now,
        sleep=clock.sleep,
    )


def parse(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
    return parse_rate_limit_headers(headers, remaining=REMAINING, limit=LIMIT, reset=RESET)


def rate_limit_headers(
    remaining: int, *, limit: int = 0, reset: int | None = None
) -> Mapping[str, str]:
    headers = {REMAINING: str(remaining), LIMIT: str(limit)}
    return headers if reset is None else {**headers, RESET: str(reset)}


def sent_at(budget: RateLimiter, clock: Clock, calls: int, scope: str = "") -> list[float]:
    """Return when each call was sent, in seconds from the clock's start."""
    times = []
    for _ in range(calls):
        with budget.slot(scope):
            times.append(round(clock.now - 1000.0, 3))
    return times


def test_no_limits_means_no_waits() -> None:
    clock = Clock()
    assert sent_at(budget_of(clock), clock, 500) == [0.0] * 500
    assert clock.waits == []


def test_no_minute_exceeds_the_limit() -> None:
    clock = Clock()
    budget = budget_of(clock, account=3)
    times = sent_at(budget, clock, 1)
    clock.now += 50
    times += sent_at(budget, clock, 5)
    # The minute starts with the first call, not on the clock: the third need not wait.
    assert times == [0.0, 50.0, 50.0, 60.0, 110.0, 110.0]


def test_scope_does_not_block_other_scopes() -> None:
    clock = Clock()
    budget = budget_of(clock, exports=2)
    assert sent_at(budget, clock, 2, "exports") == [0.0, 0.0]
    assert sent_at(budget, clock, 50, "lists") == [0.0] * 50
    assert sent_at(budget, clock, 50) == [0.0] * 50
    assert sent_at(budget, clock, 1, "exports") == [60.0]


def test_call_may_count_as_several() -> None:
    clock = Clock()
    budget = budget_of(clock, lists=7)
    times = []
    for cost in (3, 3, 3, 1, 50, 1):
        with budget.slot("lists", cost):
            times.append(clock.now - 1000.0)
    # Two of three and one of one fill a minute; one above the limit has a minute for itself.
    assert times == [0.0, 0.0, 60.0, 60.0, 120.0, 180.0]


def test_remaining_calls_shrink_by_what_a_call_counts_for() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.observe(rate_limit_headers(2, reset=60))
    with budget.slot("", 2):
        pass
    assert sent_at(budget, clock, 1) == [60.0]


def test_account_limit_applies_to_every_scope() -> None:
    clock = Clock()
    budget = budget_of(clock, account=4, exports=2)
    assert sent_at(budget, clock, 2, "exports") == [0.0, 0.0]
    assert sent_at(budget, clock, 2, "lists") == [0.0, 0.0]
    assert sent_at(budget, clock, 1, "lists") == [60.0]


def test_concurrency_is_limited() -> None:
    budget = budget_of(Clock(), concurrency=3)
    three = threading.Barrier(3, timeout=10)
    lock, inside, most = threading.Lock(), 0, 0

    def call() -> None:
        nonlocal inside, most
        with budget.slot():
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


def test_remaining_calls_are_spread_until_the_reset() -> None:
    clock = Clock()
    budget = budget_of(clock, concurrency=4)
    assert sent_at(budget, clock, 1) == [0.0]
    budget.observe(rate_limit_headers(5, reset=50))
    assert sent_at(budget, clock, 5) == [10.0, 20.0, 30.0, 40.0, 50.0]
    # The helpdesk's counter has been reset by then, so nothing is known.
    assert sent_at(budget, clock, 2) == [50.0, 50.0]


def test_no_waits_once_enough_calls_remain() -> None:
    clock = Clock()
    budget = budget_of(clock, concurrency=4)
    budget.observe(rate_limit_headers(2, reset=50))
    assert sent_at(budget, clock, 2) == [0.0, 50.0]
    budget.observe(rate_limit_headers(9, reset=50))
    assert sent_at(budget, clock, 10) == [50.0] * 10


@pytest.mark.parametrize(
    ("remaining", "limit", "is_low"),
    [(8, 0, True), (9, 0, False), (50, 500, True), (51, 500, False), (8, 60, True), (9, 60, False)],
)
def test_throttling_threshold(remaining: int, limit: int, is_low: bool) -> None:
    """Two rounds of all threads, or a tenth: others use the account as well."""
    clock = Clock()
    budget = budget_of(clock, concurrency=4)
    with budget.slot():
        pass
    budget.observe(rate_limit_headers(remaining, limit=limit, reset=60))
    with budget.slot():
        pass
    assert bool(clock.waits) is is_low


@pytest.mark.parametrize("reset", [20, None])
def test_exhausted_limit_waits_for_the_reset(reset: int | None) -> None:
    """A minute, if the helpdesk does not say how long."""
    clock = Clock()
    budget = budget_of(clock)
    budget.observe(rate_limit_headers(0, limit=10, reset=reset))
    assert sent_at(budget, clock, 2) == [reset or MINUTE] * 2


def test_late_header_does_not_reopen_an_exhausted_scope() -> None:
    """Answers to concurrent calls arrive in any order."""
    clock = Clock()
    budget = budget_of(clock, concurrency=2)
    budget.observe(rate_limit_headers(0, reset=30))
    budget.observe(rate_limit_headers(3, reset=30))
    assert sent_at(budget, clock, 1) == [30.0]


def test_calls_in_flight_may_not_be_counted_yet() -> None:
    """Two calls are left and one is in flight, which may be one of the two."""
    clock = Clock()
    budget = budget_of(clock, concurrency=2)
    with budget.slot():
        budget.observe(rate_limit_headers(2, reset=40))
        with budget.slot():
            assert clock.waits == [40.0]


def test_headers_observed_during_a_wait_apply() -> None:
    """Limits learned during a wait apply to waiting threads.

    Eight threads with times assigned in advance would exceed a limit that has become known since.
    """
    clock = Clock()
    budget = budget_of(clock, concurrency=1)
    assert sent_at(budget, clock, 1) == [0.0]
    budget.observe(rate_limit_headers(2, reset=20))
    news = iter([rate_limit_headers(0, reset=45)])
    clock.meanwhile = lambda: budget.observe(next(news, {}))
    assert sent_at(budget, clock, 1) == [55.0]
    assert clock.waits == [10.0, 45.0]


def test_scope_headers_apply_to_that_scope_only() -> None:
    clock = Clock()
    budget = RateLimiter(
        UsageCounter(),
        concurrency=1,
        parse=lambda _: (RateLimitState(0, reset_seconds=30.0, scope="exports"),),
        monotonic=lambda: clock.now,
        sleep=clock.sleep,
    )
    budget.observe({})
    assert sent_at(budget, clock, 1) == [0.0]
    assert sent_at(budget, clock, 1, "exports") == [30.0]


def test_pause_applies_to_one_scope_or_all() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.pause(10, "exports")
    assert sent_at(budget, clock, 1) == [0.0]
    assert sent_at(budget, clock, 1, "exports") == [10.0]
    budget.pause(20)
    budget.pause(5)
    assert sent_at(budget, clock, 1, "exports") == [30.0]


def test_too_long_a_wait_is_an_error() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.pause(MAX_WAIT_SECONDS + 1)
    with pytest.raises(RateLimitExhausted, match="no call for another 301 s"):
        sent_at(budget, clock, 1)
    assert clock.waits == []
    # Its slot is free again, and after a while the lane, too.
    clock.now += 1
    assert sent_at(budget, clock, 1) == [301.0]


def test_too_long_a_wait_for_one_scope_leaves_the_others() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.pause(MAX_WAIT_SECONDS + 1, "exports")
    with pytest.raises(EndpointFailed, match="no call for another 301 s"):
        sent_at(budget, clock, 1, "exports")
    assert sent_at(budget, clock, 1) == [0.0]


def test_waits_are_counted() -> None:
    clock, meter = Clock(), UsageCounter()
    budget = budget_of(clock, meter=meter, account=2)
    sent_at(budget, clock, 5)
    assert meter.use.seconds_waited == sum(clock.waits) == 120.0


def test_failed_call_releases_its_slot() -> None:
    budget = budget_of(Clock(), concurrency=1)
    with pytest.raises(ValueError, match="in the midst"), budget.slot():
        raise ValueError("in the midst")
    with budget.slot():
        pass


def test_threads_share_one_rate_limit() -> None:
    """Forty calls of eight threads, with at most five in any minute."""
    clock = Clock()
    mine = threading.local()

    def now() -> float:
        at = mine.at = clock.now
        return at

    def call(_: int) -> float:
        with budget.slot():
            # The clock may have advanced since; the slot was taken at the earlier time.
            at: float = mine.at
            return at

    budget = RateLimiter(
        UsageCounter(), concurrency=8, per_minute={"": 5}, monotonic=now, sleep=clock.sleep
    )
    with ThreadPoolExecutor(8) as pool:
        times = sorted(pool.map(call, range(40)))
    assert all(later - sooner >= MINUTE for sooner, later in zip(times, times[5:], strict=False))


def test_threads_take_slots_one_at_a_time() -> None:
    """Otherwise, both would take the last slot of the minute."""
    asked: list[threading.Event] = [threading.Event(), threading.Event()]
    overtaken: list[bool] = []

    def slot() -> None:
        with budget.slot():
            pass

    def now() -> float:
        if not asked[0].is_set():
            asked[0].set()
            pool.submit(slot)
            overtaken.append(asked[1].wait(0.05))
        else:
            asked[1].set()
        return 1000.0

    budget = RateLimiter(UsageCounter(), concurrency=2, monotonic=now)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(slot).result()
    assert overtaken == [False]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({REMAINING: "7", LIMIT: "60", RESET: "12"}, (RateLimitState(7, 60, 12),)),
        ({REMAINING: "0"}, (RateLimitState(0),)),
        ({REMAINING: "7.0", LIMIT: "60.0", RESET: "12.0"}, (RateLimitState(7, 60, 12),)),
        ({REMAINING: "7", LIMIT: "many", RESET: "-1"}, (RateLimitState(7, None, 0),)),
        ({REMAINING: "7", RESET: "soon"}, (RateLimitState(7),)),
        ({REMAINING: "-3"}, ()),
        ({REMAINING: "", LIMIT: "60"}, ()),
        ({}, ()),
    ],
)
def test_rate_limit_headers_are_parsed(
    headers: Mapping[str, str], left: tuple[RateLimitState, ...]
) -> None:
    assert parse(headers) == left
    assert no_rate_limit(headers) == ()
