"""One budget of calls for all threads of a run, so that the helpdesk need not say 429.

A helpdesk limits calls by the minute, some endpoints more tightly than the account, and tells in
headers of its own how many are left. Each call takes its turn here before it is sent and reports
what the answer told. Other programs use the same account, so the headers count and not our own
book alone: when little is left, calls are spread over the time until the helpdesk counts anew.

Must not know HTTP, vendors, or what a call is for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from helpdesk_assets.errors import EndpointFailed, RateLimitExhausted
from helpdesk_assets.providers.client.usage import UsageCounter

MINUTE = 60.0
# The lane that every call is in: limits of the whole account.
ACCOUNT = ""
# Whoever would have to wait longer is told so: a run asleep for hours looks like one that hangs.
MAX_WAIT_SECONDS = 300.0
# Below this part of its limit, what is left is spread out. The rest of the team needs some too.
LOW_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """What an answer told of the calls that are left, None where it does not say.

    `scope` is the lane that it speaks of. `reset_seconds`: until the helpdesk counts anew.
    """

    remaining: int
    limit: int | None = None
    reset_seconds: float | None = None
    scope: str = ACCOUNT


def parse_rate_limit_headers(
    headers: Mapping[str, str], *, remaining: str, limit: str, reset: str = ""
) -> tuple[RateLimitState, ...]:
    """What headers of these names tell of the account's lane, where each is a plain number."""
    calls_left = _count(headers.get(remaining))
    if calls_left is None:
        return ()
    return (RateLimitState(calls_left, _count(headers.get(limit)), _count(headers.get(reset))),)


def no_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:  # noqa: ARG001
    """For helpdesks without such headers."""
    return ()


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


class _Scope:
    """The times of the last calls under one limit, what is left of it, and until when there may be
    none."""

    def __init__(self, per_minute: int | None) -> None:
        self._recent_calls: deque[float] | None = (
            None if not per_minute else deque(maxlen=per_minute)
        )
        # None: nothing is known, or so much is left that it need not be spread.
        self._remaining: int | None = None
        self._resets_at = 0.0
        self._last_call_at = float("-inf")
        self._in_flight = 0
        self._blocked_until = float("-inf")

    def next_call_at(self, now: float) -> float:
        """When the next call may be sent."""
        at = max(now, self._blocked_until)
        if self._remaining is not None:
            # No later than the helpdesk counts anew, whatever was left.
            step = (
                (self._resets_at - now) / self._remaining if self._remaining > 0 else float("inf")
            )
            at = max(at, min(self._last_call_at + step, self._resets_at))
        if self._recent_calls is not None and len(self._recent_calls) == self._recent_calls.maxlen:
            # Any sixty seconds hold at most the limit, wherever the helpdesk's minute begins.
            at = max(at, self._recent_calls[0] + MINUTE)
        return at

    def record_call(self, now: float) -> None:
        self._last_call_at = now
        self._in_flight += 1
        if self._remaining is not None:
            self._remaining -= 1
        if self._recent_calls is not None:
            self._recent_calls.append(now)

    def call_done(self) -> None:
        self._in_flight -= 1

    def block(self, until: float) -> None:
        self._blocked_until = max(self._blocked_until, until)

    def throttle(self, observed: RateLimitState, now: float, concurrency: int) -> None:
        """Heed what the helpdesk told: with enough left, nothing; else in equal steps."""
        resets_at = now + (MINUTE if observed.reset_seconds is None else observed.reset_seconds)
        # Once for the calls that the helpdesk has counted since, once for those it has not yet.
        low = max(2 * concurrency, (observed.limit or 0) * LOW_SHARE)
        if observed.remaining > low:
            self._remaining = None
        elif observed.remaining == 0:
            self.block(resets_at)
        else:
            # Those under way may be counted already, or not: the answers to them will say.
            self._remaining, self._resets_at = observed.remaining - self._in_flight, resets_at


class RateLimiter:
    """Takes turns; may be used from any thread."""

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
        """
        Args:
            usage_counter: is told of the seconds waited.
            concurrency: calls that may be under way together.
            per_minute: by lane, what the helpdesk documents or the user has set.
            parse: finds in an answer's headers what is left.
            monotonic: seconds of a clock that never jumps.
            sleep: waits so many seconds.
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
    def slot(self, scope: str = ACCOUNT) -> Iterator[None]:
        """Wait until a call in this lane may be sent, and hold one of the places meanwhile.

        Raises:
            RateLimitExhausted: the account's limit is used up for too long.
            EndpointFailed: the limit of this scope alone is.
        """
        with self._slots:
            # What the helpdesk tells meanwhile counts, so nobody's time is fixed before it comes.
            while (wait := self._try_call(scope)) > 0:
                self._usage_counter.record_wait(wait)
                self._sleep(wait)
            try:
                yield
            finally:
                with self._lock:
                    for each in self._scopes_of(scope):
                        each.call_done()

    def observe(self, headers: Mapping[str, str]) -> None:
        """Take note of what an answer told."""
        observed = self._parse(headers)
        with self._lock:
            for calls_left in observed:
                self._scope(calls_left.scope).throttle(
                    calls_left, self._monotonic(), self._concurrency
                )

    def pause(self, seconds: float, scope: str = ACCOUNT) -> None:
        """The helpdesk said 429: nobody calls in this lane before that time is over."""
        with self._lock:
            self._scope(scope).block(self._monotonic() + seconds)

    def _try_call(self, scope: str) -> float:
        """Take a turn, where there is one now; else the seconds until there may be."""
        with self._lock:
            scopes = self._scopes_of(scope)
            now = self._monotonic()
            wait = max(each.next_call_at(now) for each in scopes) - now
            if wait > MAX_WAIT_SECONDS:
                account_wait = self._scope(ACCOUNT).next_call_at(now) - now
                is_account = account_wait > MAX_WAIT_SECONDS
                raise (RateLimitExhausted if is_account else EndpointFailed)(
                    f"The helpdesk allows no call for another {wait:.0f} s: its limit is used "
                    "up, by this or by other programs. Run again then, or raise the limit there."
                )
            if wait <= 0:
                for each in scopes:
                    each.record_call(now)
            return wait

    def _scopes_of(self, scope: str) -> list[_Scope]:
        return [self._scope(name) for name in dict.fromkeys((ACCOUNT, scope))]

    def _scope(self, name: str) -> _Scope:
        if name not in self._scopes:
            self._scopes[name] = _Scope(self._limits.get(name))
        return self._scopes[name]
