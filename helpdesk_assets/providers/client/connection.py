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
from helpdesk_assets.providers.client.http import Api, Explain, explains_nothing
from helpdesk_assets.providers.client.rate_limit import ACCOUNT, Left, RateBudget, tells_nothing
from helpdesk_assets.providers.client.retry import Retry
from helpdesk_assets.providers.client.usage import Meter
from helpdesk_assets.settings import Settings


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class World:
    """What an adapter takes from outside: time, waiting and chance. Tests bring their own."""

    clock: Callable[[], datetime] = _utc_now
    timer: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Connection:
    """One account's API, how its calls are tried again, how many run at once, how to wait, and what
    of its tickets must not be stored. `settled_after`: see `TimeWalk`."""

    api: Api
    retry: Retry
    at_once: int
    sleep: Callable[[float], None]
    redact: Redaction | None
    settled_after: timedelta


def connect(
    settings: Settings,
    auth: Auth,
    *,
    base_path: str = "",
    at_once: int | None = None,
    per_minute: Mapping[str, int] | None = None,
    read_left: Callable[[Mapping[str, str]], tuple[Left, ...]] = tells_nothing,
    explain: Explain = explains_nothing,
    meter: Meter | None = None,
    world: World | None = None,
) -> Connection:
    """
    Args:
        settings: address, time-out, concurrency, and a limit of the user's own.
        auth: puts credentials on each request.
        base_path: what the vendor's API has behind HELPDESK_BASE_URL, such as `/api/v2`.
        at_once: calls at a time that the vendor allows, where that may be less than asked for.
        per_minute: by lane (`budget`), what the vendor documents. HELPDESK_CALLS_PER_MINUTE, where
            it is set, stands in for the account's.
        read_left: finds in an answer's headers what is left.
        explain: finds in a refused answer what the vendor means by it.
        meter: where the login counts calls of its own.
        world: time, waiting and chance.

    Raises:
        SettingsError: the address is none.
    """
    world = world or World()
    meter = meter or Meter()
    places = min(settings.helpdesk_concurrency, at_once or settings.helpdesk_concurrency)
    limits = dict(per_minute or {})
    if settings.helpdesk_calls_per_minute:
        limits[ACCOUNT] = settings.helpdesk_calls_per_minute
    budget = RateBudget(
        meter,
        at_once=places,
        per_minute=limits,
        read=read_left,
        now=world.timer,
        sleep=world.sleep,
    )
    api = Api(
        settings.helpdesk_base_url,
        auth,
        base_path=base_path,
        timeout=settings.helpdesk_timeout_seconds,
        connections=places,
        budget=budget,
        meter=meter,
        explain=explain,
        clock=world.clock,
    )
    retry = Retry(meter, sleep=world.sleep, chance=world.chance)
    return Connection(api, retry, places, world.sleep, settings.redaction, settings.settled_after)
