"""Try a call again where that is right: the listing, single tickets and details of tickets.

Not the first call of a change endpoint beside which there is a listing with other limits: trying
again would spend the time that the listing needs. Knows no HTTP.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.client.errors import TransientError
from helpdesk_assets.providers.client.usage import UsageCounter

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ATTEMPTS = 8
FEW_ATTEMPTS = 3
FIRST_WAIT_SECONDS = 0.5
# Doubling from half a second meets the one-minute windows of most rate limits at the eighth try.
MAX_WAIT_SECONDS = 60.0
# Five minutes for one call; a scheduled run has two hours, but nobody is helped by a stuck one.
MAX_TOTAL_WAIT_SECONDS = 300.0


class Retry:
    """Calls until it works, a fault is not of the passing kind, or tries and time are used up."""

    def __init__(
        self,
        usage_counter: UsageCounter,
        *,
        sleep: Callable[[float], None] = time.sleep,
        rng: Callable[[], float] = random.random,
        max_attempts: int = MAX_ATTEMPTS,
        max_total_wait: float = MAX_TOTAL_WAIT_SECONDS,
    ) -> None:
        """`rng` gives a number in [0, 1) and spreads the waits of threads apart."""
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
        """
        Raises:
            EndpointFailed: the last failure, with how often and how long it was tried.
        """
        # A copy: the calls of several threads must not share the state of one.
        return self._retrying.copy()(call)

    def with_few_attempts(self) -> Retry:
        """The same with few tries, for calls that there is another way for."""
        return Retry(
            self._usage_counter,
            sleep=self._retrying.sleep,
            rng=self._rng,
            max_attempts=FEW_ATTEMPTS,
            max_total_wait=self._max_total_wait,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """The helpdesk's own word if it gave one, never less: coming back early is counted as a
        further offence by some. A little is added to it, since all threads were told the same."""
        ceiling = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (state.attempt_number - 1))
        backoff = ceiling * (0.5 + 0.5 * self._rng())
        requested_wait = _failure(state).retry_after
        return backoff if requested_wait is None else requested_wait + self._rng()

    def _should_stop(self, state: tenacity.RetryCallState) -> bool:
        too_long = state.idle_for + state.upcoming_sleep > self._max_total_wait
        return state.attempt_number >= self._max_attempts or too_long

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        self._usage_counter.record_retry(state.upcoming_sleep)
        log.info("%s Trying again in %.1f s.", _failure(state), state.upcoming_sleep)

    def _give_up(self, state: tenacity.RetryCallState) -> None:
        failure = _failure(state)
        requested_wait = failure.retry_after
        retry_hint = (
            ""
            if requested_wait is None
            else f"; the helpdesk asks to be left alone for {requested_wait:.0f} s"
        )
        raise EndpointFailed(
            f"{failure} Given up after {state.attempt_number} tries and {state.idle_for:.0f} s of "
            f"waiting{retry_hint}."
        ) from None


def _failure(state: tenacity.RetryCallState) -> TransientError:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, TransientError):
        raise TypeError(f"not a failure to be tried again: {failure!r}")
    return failure
