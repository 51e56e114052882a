"""Limits the calls of all threads of a run, so that the helpdesk need not answer 429.

A helpdesk limits calls per minute, some endpoints more tightly than the account, and reports the
remaining calls in its headers. Each call waits for a slot here before it is sent, and passes on the
answer's headers. Other programs use the same account, so the headers count as well as our own
calls: when few calls remain, they are spread over the time until the limit resets.

A scope is what one limit applies to: the account, or a group of endpoints. Must not know HTTP,
vendors, or what a call is for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from helpdesk_assets.errors import EndpointFailed, RateLimitExhausted
from helpdesk_assets.providers.client.header_values import parse_count, parse_reset
from helpdesk_assets.providers.client.usage import UsageCounter

MINUTE = 60.0
# The scope of every call: limits of the whole account.
ACCOUNT = ""
# Longer waits fail instead: a run that sleeps for hours looks like one that hangs.
MAX_WAIT_SECONDS = 300.0
# What a helpdesk says of its limit is believed for this long, and then it is asked again: a wrong
# answer, such as a reset in the year 2099, must not silence a process that runs for months.
MAX_BLOCK_SECONDS = 3600.0
# Below this share of the limit, the remaining calls are spread out: the rest of the team needs
# some too.
LOW_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """The remaining calls that an answer reports.

    Attributes:
        remaining: calls left until the reset.
        limit: calls per period, None if not reported.
        reset_seconds: seconds until the limit resets, None if not reported.
        scope: what the limit applies to.
    """

    remaining: int
    limit: int | None = None
    reset_seconds: float | None = None
    scope: str = ACCOUNT


def parse_rate_limit_headers(
    headers: Mapping[str, str], *, remaining: str, limit: str, reset: str = ""
) -> tuple[RateLimitState, ...]:
    """Read the account's remaining calls from headers that hold one number or time each.

    Args:
        headers: the answer's headers.
        remaining: name of the header with the remaining calls.
        limit: name of the header with the limit.
        reset: name of the header that says when the limit resets.

    Returns:
        One state, or none if `remaining` is absent or not a count.
    """
    calls_left = parse_count(headers.get(remaining))
    if calls_left is None:
        return ()
    return (
        RateLimitState(calls_left, parse_count(headers.get(limit)), parse_reset(headers, reset)),
    )


def no_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:  # noqa: ARG001
    """Report no state: for helpdesks without rate limit headers."""
    return ()


class _Scope:
    """The recent calls under one limit, the calls that remain, and until when it is blocked."""

    def __init__(self, per_minute: int | None) -> None:
        self._recent_calls: deque[float] | None = (
            None if not per_minute else deque(maxlen=per_minute)
        )
        # None: unknown, or enough remain that calls need not be spread.
        self._remaining: int | None = None
        self._resets_at = 0.0
        self._last_call_at = float("-inf")
        self._in_flight = 0
        self._blocked_until = float("-inf")

    def next_call_at(self, now: float, cost: int = 1) -> float:
        """Return when the next call may be sent, which counts as `cost` calls."""
        at = max(now, self._blocked_until)
        if self._remaining is not None:
            # No later than the reset, however few calls remain.
            step = (
                (self._resets_at - now) / self._remaining if self._remaining > 0 else float("inf")
            )
            at = max(at, min(self._last_call_at + step, self._resets_at))
        if self._recent_calls is not None:
            at = max(at, self._within_the_minute(self._recent_calls, cost))
        return at

    def _within_the_minute(self, recent_calls: deque[float], cost: int) -> float:
        """Return when any sixty seconds hold at most the limit, wherever the minute begins.

        A call that counts for more than the limit has the whole minute for itself.
        """
        limit = recent_calls.maxlen or 0
        too_many = len(recent_calls) + min(cost, limit) - limit
        return recent_calls[too_many - 1] + MINUTE if too_many > 0 else float("-inf")

    def record_call(self, now: float, cost: int = 1) -> None:
        self._last_call_at = now
        self._in_flight += 1
        if self._remaining is not None:
            self._remaining -= cost
        if self._recent_calls is not None:
            self._recent_calls.extend([now] * cost)

    def call_done(self) -> None:
        self._in_flight -= 1

    def block(self, until: float) -> None:
        self._blocked_until = max(self._blocked_until, until)

    def throttle(self, observed: RateLimitState, now: float, concurrency: int) -> None:
        """Spread calls in equal steps until the reset, if few remain."""
        reset_seconds = MINUTE if observed.reset_seconds is None else observed.reset_seconds
        resets_at = now + min(reset_seconds, MAX_BLOCK_SECONDS)
        # Twice: for calls that the helpdesk has counted since, and for those not counted yet.
        low = max(2 * concurrency, (observed.limit or 0) * LOW_SHARE)
        if observed.remaining > low:
            self._remaining = None
        elif observed.remaining == 0:
            self.block(resets_at)
        else:
            # Calls in flight may or may not be counted already; their answers will tell.
            self._remaining, self._resets_at = observed.remaining - self._in_flight, resets_at


class RateLimiter:
    """Delays calls to keep within the limits; may be used from any thread."""

    def __init__(
        self,
        usage_counter: UsageCounter,
        *,
        concurrency: int,
        per_minute: Mapping[str, int] | None = None,
        parse: Callable[[Mapping[str, str]], tuple[RateLimitState, ...]] = no_rate_limit,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start with full limits.

        Args:
            usage_counter: counts the seconds waited.
            concurrency: calls that may be in flight at once.
            per_minute: the limits by scope, documented by the helpdesk or set by the user.
            parse: reads the remaining calls from an answer's headers.
            monotonic: seconds of a clock that never jumps.
            sleep: waits for a number of seconds.
        """
        self._usage_counter = usage_counter
        self._concurrency = concurrency
        self._slots = threading.BoundedSemaphore(concurrency)
        self._limits = dict(per_minute or {})
        self._parse = parse
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._scopes: dict[str, _Scope] = {}

    @contextmanager
    def slot(self, scope: str = ACCOUNT, cost: int = 1) -> Iterator[None]:
        """Wait until a call in this scope may be sent, and hold a slot while it is in flight.

        Args:
            scope: what limits the call besides the account's limit.
            cost: as how many calls the helpdesk counts it.

        Raises:
            RateLimitExhausted: the wait for the account's limit would exceed `MAX_WAIT_SECONDS`.
            EndpointFailed: the wait for this scope's own limit would.
        """
        with self._slots:
            # Recomputed after each wait, since answers that arrive meanwhile change it.
            while (wait := self._try_call(scope, cost)) > 0:
                self._usage_counter.record_wait(wait)
                self._sleep(wait)
            try:
                yield
            finally:
                with self._lock:
                    for each in self._scopes_of(scope):
                        each.call_done()

    def observe(self, headers: Mapping[str, str]) -> None:
        """Adapt to the remaining calls that an answer reports."""
        observed = self._parse(headers)
        with self._lock:
            for state in observed:
                self._scope(state.scope).throttle(state, self._monotonic(), self._concurrency)

    def pause(self, seconds: float, scope: str = ACCOUNT) -> None:
        """Block the scope after a 429, for this many seconds but at most an hour."""
        with self._lock:
            self._scope(scope).block(self._monotonic() + min(seconds, MAX_BLOCK_SECONDS))

    def check_account(self) -> None:
        """Check that the account's limit allows a call soon.

        Raises:
            RateLimitExhausted: the wait for it would exceed `MAX_WAIT_SECONDS`.
        """
        with self._lock:
            now = self._monotonic()
            wait = self._scope(ACCOUNT).next_call_at(now) - now
            if wait > MAX_WAIT_SECONDS:
                raise RateLimitExhausted(_used_up(wait))

    def _try_call(self, scope: str, cost: int) -> float:
        """Record a call if one may be sent now; else return the seconds to wait."""
        with self._lock:
            scopes = self._scopes_of(scope)
            now = self._monotonic()
            wait = max(each.next_call_at(now, cost) for each in scopes) - now
            if wait > MAX_WAIT_SECONDS:
                account_wait = self._scope(ACCOUNT).next_call_at(now, cost) - now
                is_account = account_wait > MAX_WAIT_SECONDS
                raise (RateLimitExhausted if is_account else EndpointFailed)(_used_up(wait))
            if wait <= 0:
                for each in scopes:
                    each.record_call(now, cost)
            return wait

    def _scopes_of(self, scope: str) -> list[_Scope]:
        return [self._scope(name) for name in dict.fromkeys((ACCOUNT, scope))]

    def _scope(self, name: str) -> _Scope:
        if name not in self._scopes:
            self._scopes[name] = _Scope(self._limits.get(name))
        return self._scopes[name]


def _used_up(wait: float) -> str:
    return (
        f"The helpdesk allows no call for another {wait:.0f} s: its rate limit is used up, by this "
        "or by other programs. Run again then, or raise the limit there."
    )
