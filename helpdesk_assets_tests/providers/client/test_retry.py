"""Transient errors are retried with growing waits, and not forever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, RateLimitExhausted
from helpdesk_assets.providers.client.errors import (
    AccountLimitReached,
    AnswerTooSlow,
    TransientError,
)
from helpdesk_assets.providers.client.retry import (
    FEW_ATTEMPTS,
    FIRST_WAIT_SECONDS,
    MAX_ATTEMPTS,
    MAX_WAIT_SECONDS,
    Retry,
)
from helpdesk_assets.providers.client.usage import UsageCounter


class Bench:
    """A retry whose sleeps are recorded; `rng` always returns one half."""

    def __init__(self, **limits: float) -> None:
        self.slept: list[float] = []
        self.meter = UsageCounter()
        self.calls = 0
        max_attempts = int(limits.pop("max_attempts", MAX_ATTEMPTS))
        self.retry = Retry(
            self.meter,
            sleep=self.slept.append,
            rng=lambda: 0.5,
            max_attempts=max_attempts,
            **limits,
        )

    def run(self, *failures: Exception) -> int:
        left = list(failures)

        def call() -> int:
            self.calls += 1
            if left:
                raise left.pop(0)
            return self.calls

        return self.retry(call)


def passing(retry_after: float | None = None) -> TransientError:
    return TransientError("GET /v2/tickets answered 503.", retry_after)


def test_successful_call_is_made_once() -> None:
    bench = Bench()
    assert bench.run() == 1
    assert bench.slept == []


def test_waits_double_with_jitter_and_are_counted() -> None:
    bench = Bench()
    assert bench.run(*[passing() for _ in range(4)]) == 5
    assert bench.slept == [FIRST_WAIT_SECONDS * 0.75 * 2**n for n in range(4)]
    assert bench.meter.use.retries == 4
    assert bench.meter.use.seconds_waited == sum(bench.slept)


def test_wait_is_capped() -> None:
    bench = Bench(max_attempts=20, max_total_wait=10_000)
    bench.run(*[passing() for _ in range(15)])
    assert max(bench.slept) == MAX_WAIT_SECONDS * 0.75


def test_retry_after_is_a_minimum() -> None:
    bench = Bench()
    bench.run(passing(retry_after=40), passing(retry_after=0))
    assert bench.slept == [40.5, 0.75]


def test_waits_grow_though_each_answer_asks_for_none() -> None:
    """A limit of less than a minute is outlived, whether the header is absent or zero."""
    bench, silent = Bench(), Bench()
    silent.run(*[passing() for _ in range(MAX_ATTEMPTS - 1)])
    bench.run(*[passing(retry_after=0) for _ in range(MAX_ATTEMPTS - 1)])
    assert sum(bench.slept) >= sum(silent.slept) > 45


def test_slow_answers_get_few_attempts() -> None:
    bench = Bench()
    slow = [AnswerTooSlow("GET /x", "desk.example.com", 300.0) for _ in range(MAX_ATTEMPTS)]
    with pytest.raises(EndpointFailed, match=r"not complete within 300 s.* after 3 attempts"):
        bench.run(*slow)
    assert bench.calls == FEW_ATTEMPTS


def test_account_limit_ends_the_run_after_all_attempts() -> None:
    """It is no failure of one endpoint, for which another could be read instead."""
    bench = Bench(max_attempts=2)
    with pytest.raises(RateLimitExhausted, match=r"credits are spent\. Given up after 2 attempts"):
        bench.run(*[AccountLimitReached("The credits are spent.", 0) for _ in range(2)])


def test_attempts_are_limited() -> None:
    bench = Bench()
    with pytest.raises(
        EndpointFailed, match=r"answered 503\. Given up after 8 attempts"
    ) as failure:
        bench.run(*[passing() for _ in range(100)])
    assert bench.calls == MAX_ATTEMPTS
    assert not isinstance(failure.value, TransientError)


def test_total_wait_is_limited() -> None:
    bench = Bench(max_total_wait=100)
    with pytest.raises(EndpointFailed, match="a wait of 45 s"):
        bench.run(*[passing(retry_after=45) for _ in range(100)])
    assert bench.slept == [45.5, 45.5]


def test_wait_beyond_the_limit_is_not_started() -> None:
    bench = Bench()
    with pytest.raises(EndpointFailed, match=r"after 1 attempt and .* a wait of 86400 s"):
        bench.run(passing(retry_after=86_400))
    assert (bench.calls, bench.slept) == (1, [])


@pytest.mark.parametrize(
    "failure", [lambda: CredentialsRefused("401"), lambda: EndpointFailed("400"), lambda: OSError()]
)
def test_other_errors_are_not_retried(failure: Callable[[], Exception]) -> None:
    bench = Bench()
    error = failure()
    with pytest.raises(type(error)):
        bench.run(error)
    assert bench.calls == 1
