"""Everything between an adapter and its helpdesk that is the same for every vendor, put together.

An adapter says how to log in, what limits the vendor documents, and how its headers tell what is
left; the rest is here. Must not know any vendor.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.config.redaction import Redaction
from helpdesk_assets.providers.client.auth import Auth
from helpdesk_assets.providers.client.http import Api, ErrorParser, default_error
from helpdesk_assets.providers.client.rate_limit import (
    ACCOUNT,
    RateLimiter,
    RateLimitState,
    no_rate_limit,
)
from helpdesk_assets.providers.client.retry import Retry
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.settings import Settings


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What an adapter takes from outside: time, waiting and chance. Tests bring their own."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Connection:
    """One account's API, how its calls are tried again, how many run at once, how to wait, and what
    of its tickets must not be stored. `listing_delay`: see `TimePager`."""

    api: Api
    retry: Retry
    concurrency: int
    sleep: Callable[[float], None]
    redact: Redaction | None
    listing_delay: timedelta


def connect(
    settings: Settings,
    auth: Auth,
    *,
    base_path: str = "",
    concurrency: int | None = None,
    per_minute: Mapping[str, int] | None = None,
    parse_rate_limit: Callable[[Mapping[str, str]], tuple[RateLimitState, ...]] = no_rate_limit,
    parse_error: ErrorParser = default_error,
    usage_counter: UsageCounter | None = None,
    runtime: Runtime | None = None,
) -> Connection:
    """
    Args:
        settings: address, time-out, concurrency, and a limit of the user's own.
        auth: puts credentials on each request.
        base_path: what the vendor's API has behind HELPDESK_BASE_URL, such as `/api/v2`.
        at_once: calls at a time that the vendor allows, where that may be less than asked for.
        per_minute: by lane (`rate_limiter`), what the vendor documents. HELPDESK_CALLS_PER_MINUTE,
            where it is set, stands in for the account's.
        read_left: finds in an answer's headers what is left.
        explain: finds in a refused answer what the vendor means by it.
        meter: where the login counts calls of its own.
        world: time, waiting and chance.

    Raises:
        SettingsError: the address is none.
    """
    runtime = runtime or Runtime()
    usage_counter = usage_counter or UsageCounter()
    effective_concurrency = min(
        settings.helpdesk_concurrency, concurrency or settings.helpdesk_concurrency
    )
    limits = dict(per_minute or {})
    if settings.helpdesk_calls_per_minute:
        limits[ACCOUNT] = settings.helpdesk_calls_per_minute
    rate_limiter = RateLimiter(
        usage_counter,
        concurrency=effective_concurrency,
        per_minute=limits,
        parse=parse_rate_limit,
        monotonic=runtime.monotonic,
        sleep=runtime.sleep,
    )
    api = Api(
        settings.helpdesk_base_url,
        auth,
        base_path=base_path,
        timeout=settings.helpdesk_timeout_seconds,
        connections=effective_concurrency,
        rate_limiter=rate_limiter,
        usage_counter=usage_counter,
        parse_error=parse_error,
        now=runtime.now,
    )
    retry = Retry(usage_counter, sleep=runtime.sleep, rng=runtime.rng)
    return Connection(
        api, retry, effective_concurrency, runtime.sleep, settings.redaction, settings.listing_delay
    )
