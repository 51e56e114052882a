"""Retries calls: the listing, single tickets and ticket details.

The first call of a change endpoint is not retried if the listing is another endpoint with other
limits: retries would take the time that the listing needs. Must not know HTTP.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from helpdesk_assets.errors import EndpointFailed, RateLimitExhausted
from helpdesk_assets.providers.client.errors import (
    AccountLimitReached,
    AnswerTooSlow,
    TransientError,
)
from helpdesk_assets.providers.client.usage import UsageCounter

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ATTEMPTS = 8
FEW_ATTEMPTS = 3
FIRST_WAIT_SECONDS = 0.5
# Doubling from half a second reaches most rate limits' one-minute window at the eighth attempt.
MAX_WAIT_SECONDS = 60.0
# Five minutes for one call: a scheduled run has two hours, but a stuck run helps nobody.
MAX_TOTAL_WAIT_SECONDS = 300.0


class Retry:
    """Retries a call on `TransientError` until attempts or time are used up."""

    def __init__(
        self,
        usage_counter: UsageCounter,
        *,
        sleep: Callable[[float], None] = time.sleep,
        rng: Callable[[], float] = random.random,
        max_attempts: int = MAX_ATTEMPTS,
        max_total_wait: float = MAX_TOTAL_WAIT_SECONDS,
    ) -> None:
        """Set the limits of one policy.

        Args:
            usage_counter: counts retries and seconds waited.
            sleep: waits for a number of seconds.
            rng: a random number in [0, 1), which keeps threads from retrying at once.
            max_attempts: attempts for one call, the first included.
            max_total_wait: seconds that one call may wait in all.
        """
        self._usage_counter = usage_counter
        self._rng = rng
        self._max_attempts = max_attempts
        self._max_total_wait = max_total_wait
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=self._wait,
            stop=self._should_stop,
            before_sleep=self._log_retry,
            retry_error_callback=self._give_up,
            sleep=sleep,
        )

    def __call__(self, call: Callable[[], T]) -> T:
        """Call until it succeeds.

        Raises:
            EndpointFailed: the last failure, with the number of attempts and the seconds waited.
            RateLimitExhausted: the same, if the account's limit refused the call.
        """
        # A copy, since threads must not share one call's state.
        return self._retrying.copy()(call)

    def pause(self, failures: int) -> None:
        """Wait as before the attempt after so many failures in a row, at least one.

        It is for a caller that sends another call then, not the same one again.
        """
        seconds = self._backoff(failures)
        self._usage_counter.record_retry(seconds)
        self._retrying.sleep(seconds)

    def with_few_attempts(self) -> Retry:
        """Return the same policy with few attempts, for calls that have a fallback."""
        return Retry(
            self._usage_counter,
            sleep=self._retrying.sleep,
            rng=self._rng,
            max_attempts=FEW_ATTEMPTS,
            max_total_wait=self._max_total_wait,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds to wait: at least the helpdesk's `Retry-After`, if it sent one.

        Some helpdesks count an early call as another violation. A random part is added, since all
        threads receive the same `Retry-After`. The waits grow whatever it says: with a zero in
        each answer, all attempts would be used up at once.
        """
        backoff = self._backoff(state.attempt_number)
        requested_wait = _failure(state).retry_after
        return backoff if requested_wait is None else max(backoff, requested_wait + self._rng())

    def _backoff(self, failures: int) -> float:
        ceiling = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (failures - 1))
        return ceiling * (0.5 + 0.5 * self._rng())

    def _should_stop(self, state: tenacity.RetryCallState) -> bool:
        too_long = state.idle_for + state.upcoming_sleep > self._max_total_wait
        is_slow = isinstance(_failure(state), AnswerTooSlow)
        max_attempts = min(self._max_attempts, FEW_ATTEMPTS) if is_slow else self._max_attempts
        return state.attempt_number >= max_attempts or too_long

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        self._usage_counter.record_retry(state.upcoming_sleep)
        log.info("%s Trying again in %.1f s.", _failure(state), state.upcoming_sleep)

    def _give_up(self, state: tenacity.RetryCallState) -> None:
        failure = _failure(state)
        requested_wait = failure.retry_after
        attempts = f"{state.attempt_number} attempt{'s' if state.attempt_number > 1 else ''}"
        retry_hint = (
            ""
            if requested_wait is None
            else f"; the helpdesk asks for a wait of {requested_wait:.0f} s"
        )
        is_limit = isinstance(failure, AccountLimitReached)
        raise (RateLimitExhausted if is_limit else EndpointFailed)(
            f"{failure} Given up after {attempts} and "
            f"{state.idle_for:.0f} s of waiting{retry_hint}."
        ) from None


def _failure(state: tenacity.RetryCallState) -> TransientError:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, TransientError):
        raise TypeError(f"not a transient failure: {failure!r}")
    return failure
