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
from helpdesk_assets.providers.client.errors import PassingFailure
from helpdesk_assets.providers.client.usage import Meter

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 8
BRIEF_TRIES = 3
FIRST_WAIT = 0.5
# Doubling from half a second meets the one-minute windows of most rate limits at the eighth try.
LONGEST_WAIT = 60.0
# Five minutes for one call; a scheduled run has two hours, but nobody is helped by a stuck one.
LONGEST_IN_ALL = 300.0


class Retry:
    """Calls until it works, a fault is not of the passing kind, or tries and time are used up."""

    def __init__(
        self,
        meter: Meter,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        tries: int = TRIES,
        longest_in_all: float = LONGEST_IN_ALL,
    ) -> None:
        """`chance` gives a number in [0, 1) and spreads the waits of threads apart."""
        self._meter = meter
        self._chance = chance
        self._tries = tries
        self._longest_in_all = longest_in_all
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingFailure),
            wait=self._wait,
            stop=self._is_enough,
            before_sleep=self._note,
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

    def briefly(self) -> Retry:
        """The same with few tries, for calls that there is another way for."""
        return Retry(
            self._meter,
            sleep=self._retrying.sleep,
            chance=self._chance,
            tries=BRIEF_TRIES,
            longest_in_all=self._longest_in_all,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """The helpdesk's own word if it gave one, never less: coming back early is counted as a
        further offence by some. A little is added to it, since all threads were told the same."""
        ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (state.attempt_number - 1))
        backoff = ceiling * (0.5 + 0.5 * self._chance())
        asked = _failure(state).retry_after
        return backoff if asked is None else asked + self._chance()

    def _is_enough(self, state: tenacity.RetryCallState) -> bool:
        too_long = state.idle_for + state.upcoming_sleep > self._longest_in_all
        return state.attempt_number >= self._tries or too_long

    def _note(self, state: tenacity.RetryCallState) -> None:
        self._meter.retried(state.upcoming_sleep)
        log.info("%s Trying again in %.1f s.", _failure(state), state.upcoming_sleep)

    def _give_up(self, state: tenacity.RetryCallState) -> None:
        failure = _failure(state)
        asked = failure.retry_after
        wish = "" if asked is None else f"; the helpdesk asks to be left alone for {asked:.0f} s"
        raise EndpointFailed(
            f"{failure} Given up after {state.attempt_number} tries and {state.idle_for:.0f} s of "
            f"waiting{wish}."
        ) from None


def _failure(state: tenacity.RetryCallState) -> PassingFailure:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, PassingFailure):
        raise TypeError(f"not a failure to be tried again: {failure!r}")
    return failure
