"""Assembles the parts between an adapter and its helpdesk that every vendor shares.

An adapter supplies the login, the vendor's documented limits and a parser for its rate limit
headers; everything else is here. Must not know any vendor.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.config.redaction import Redaction
from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.addresses import account_host
from helpdesk_assets.providers.client.auth import Auth
from helpdesk_assets.providers.client.http import Api
from helpdesk_assets.providers.client.rate_limit import (
    ACCOUNT,
    RateLimiter,
    RateLimitState,
    no_rate_limit,
)
from helpdesk_assets.providers.client.reply import ErrorParser, default_error
from helpdesk_assets.providers.client.retry import Retry
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.settings import Settings


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Time, waiting and randomness, so that tests can replace them.

    Attributes:
        now: the current time, aware.
        monotonic: seconds of a clock that never jumps.
        sleep: waits for a number of seconds.
        rng: a random number in [0, 1).
    """

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Connection:
    """One account's API and the policies for calling it.

    Attributes:
        api: sends the requests.
        retry: retries failed calls.
        concurrency: calls that may run at once.
        sleep: waits for a number of seconds.
        redact: removes the fields that must not be stored, None without REDACT_FIELDS.
        listing_delay: see `TimePager`.
        host: HELPDESK_BASE_URL's, in one spelling.
        organisation: the vendor's number of the account, where one host has several.
    """

    api: Api
    retry: Retry
    concurrency: int
    sleep: Callable[[float], None]
    redact: Redaction | None
    listing_delay: timedelta
    host: str
    organisation: str = ""


def connect(
    settings: Settings,
    auth: Auth,
    *,
    base_path: str = "",
    organisation: str = "",
    concurrency: int | None = None,
    per_minute: Mapping[str, int] | None = None,
    parse_rate_limit: Callable[[Mapping[str, str]], tuple[RateLimitState, ...]] = no_rate_limit,
    parse_error: ErrorParser = default_error,
    usage_counter: UsageCounter | None = None,
    runtime: Runtime | None = None,
) -> Connection:
    """Connect to the account that the settings name, without sending a request.

    Args:
        settings: address, timeout, concurrency, and the user's own rate limit.
        auth: puts credentials on each request.
        base_path: the path of the vendor's API below HELPDESK_BASE_URL, such as `/api/v2`.
        organisation: see `Connection`.
        concurrency: the vendor's limit of simultaneous calls, which caps HELPDESK_CONCURRENCY.
        per_minute: the documented rate limits by scope (see `RateLimiter`). If set,
            HELPDESK_CALLS_PER_MINUTE replaces the account's.
        parse_rate_limit: reads the remaining calls from an answer's headers.
        parse_error: turns a vendor's error answer into one of our errors.
        usage_counter: shared with a login that counts its own calls.
        runtime: time, waiting and randomness.

    Raises:
        SettingsError: HELPDESK_BASE_URL is not a valid address, or ends with `base_path`.
    """
    if base_path and settings.helpdesk_base_url.endswith(base_path):
        raise SettingsError(f"HELPDESK_BASE_URL ends with {base_path}. Remove that part.")
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
        api,
        retry,
        effective_concurrency,
        runtime.sleep,
        settings.redaction,
        settings.listing_delay,
        account_host(settings.helpdesk_base_url),
        organisation,
    )
