"""What may pass is tried again, patiently and not for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed
from helpdesk_assets.providers.client.errors import PassingFailure
from helpdesk_assets.providers.client.retry import FIRST_WAIT, LONGEST_WAIT, TRIES, Retry
from helpdesk_assets.providers.client.usage import Meter


class Bench:
    """A retry whose sleeps are written down; `chance` is fixed at one half."""

    def __init__(self, **limits: float) -> None:
        self.slept: list[float] = []
        self.meter = Meter()
        self.calls = 0
        tries = int(limits.pop("tries", TRIES))
        self.retry = Retry(
            self.meter, sleep=self.slept.append, chance=lambda: 0.5, tries=tries, **limits
        )

    def run(self, *failures: Exception) -> int:
        left = list(failures)

        def call() -> int:
            self.calls += 1
            if left:
                raise left.pop(0)
            return self.calls

        return self.retry(call)


def passing(retry_after: float | None = None) -> PassingFailure:
    return PassingFailure("GET /v2/tickets answered 503.", retry_after)


def test_a_call_that_works_is_made_once() -> None:
    bench = Bench()
    assert bench.run() == 1
    assert bench.slept == []


def test_waits_double_with_jitter_and_are_counted() -> None:
    bench = Bench()
    assert bench.run(*[passing() for _ in range(4)]) == 5
    assert bench.slept == [FIRST_WAIT * 0.75 * 2**n for n in range(4)]
    assert bench.meter.use.retries == 4
    assert bench.meter.use.seconds_waited == sum(bench.slept)


def test_a_wait_is_capped() -> None:
    bench = Bench(tries=20, longest_in_all=10_000)
    bench.run(*[passing() for _ in range(15)])
    assert max(bench.slept) == LONGEST_WAIT * 0.75


def test_retry_after_is_a_floor() -> None:
    bench = Bench()
    bench.run(passing(retry_after=40), passing(retry_after=0))
    assert bench.slept == [40.5, 0.5]


def test_tries_are_limited() -> None:
    bench = Bench()
    with pytest.raises(EndpointFailed, match=r"answered 503\. Given up after 8 tries") as failure:
        bench.run(*[passing() for _ in range(100)])
    assert bench.calls == TRIES
    assert not isinstance(failure.value, PassingFailure)


def test_waiting_is_limited_in_all() -> None:
    bench = Bench(longest_in_all=100)
    with pytest.raises(EndpointFailed, match="left alone for 45 s"):
        bench.run(*[passing(retry_after=45) for _ in range(100)])
    assert bench.slept == [45.5, 45.5]


def test_a_wait_beyond_the_limit_is_not_begun() -> None:
    bench = Bench()
    with pytest.raises(EndpointFailed, match="left alone for 86400 s"):
        bench.run(passing(retry_after=86_400))
    assert (bench.calls, bench.slept) == (1, [])


@pytest.mark.parametrize(
    "failure", [lambda: CredentialsRefused("401"), lambda: EndpointFailed("400"), lambda: OSError()]
)
def test_other_failures_are_not_tried_again(failure: Callable[[], Exception]) -> None:
    bench = Bench()
    error = failure()
    with pytest.raises(type(error)):
        bench.run(error)
    assert bench.calls == 1
