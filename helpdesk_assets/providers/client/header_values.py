"""Reads numbers and times of headers, in each form that helpdesks and gateways send.

Every rate-limit header and every `Retry-After` is read here. Must not know limits or retries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# More digits than any count or time has; Python refuses to convert thousands of them.
NUMBER = re.compile(r"\s*([+-]?\d{1,18}(?:\.\d{0,18})?)\s*", re.ASCII)
# No helpdesk asks for a wait of thirty years: from here on a number is a time since 1970, and from
# the second bound on it counts milliseconds.
SINCE_1970_FROM = 1e9
MILLISECONDS_FROM = 1e11


def parse_number(text: str | None) -> float | None:
    """Parse a number such as `50`, `50.0` or `-1`; None if it is absent or not one."""
    found = NUMBER.fullmatch(text or "")
    return float(found[1]) if found else None


def parse_count(text: str | None) -> int | None:
    """Parse a number of calls, rounded down; None if it is absent, negative or not one.

    Freshdesk sends counts as `50.0`. A negative count may mean that there is no limit.
    """
    number = parse_number(text)
    return None if number is None or number < 0 else int(number)


def parse_http_date(text: str | None) -> datetime | None:
    """Parse the time of an HTTP header; None if it is absent or unreadable."""
    if not text:
        return None
    try:
        return _aware(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def parse_wait(text: str | None, now: datetime | None) -> float | None:
    """Parse how long to wait, in seconds; zero for a time that has passed, None if unreadable.

    Args:
        text: seconds, an HTTP date, an ISO date, or seconds or milliseconds since 1970.
        now: the clock that dates refer to, which is the sender's; None if that is not known, and
            then only seconds are readable.
    """
    number = parse_number(text)
    if number is not None and number < SINCE_1970_FROM:
        return max(0.0, number)
    until = _date(text) if number is None else _since_1970(number)
    return None if until is None or now is None else max(0.0, until - now.timestamp())


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that `Retry-After` asks for; None without one that is in the future.

    Args:
        headers: the answer's headers.
        now: the helpdesk's clock when it answered.
    """
    return parse_wait(headers.get("Retry-After"), now) or None


def parse_reset(headers: Mapping[str, str], name: str) -> float | None:
    """Return in how many seconds a limit resets, by the header of that name; None if unreadable."""
    return parse_wait(headers.get(name), parse_http_date(headers.get("Date")))


def _since_1970(number: float) -> float:
    # Not as a datetime: the number may name a year that none has.
    return number / 1000 if number >= MILLISECONDS_FROM else number


def _date(text: str | None) -> float | None:
    moment = _parse_iso_date(text) or parse_http_date(text)
    return None if moment is None else moment.timestamp()


def _parse_iso_date(text: str | None) -> datetime | None:
    try:
        return _aware(datetime.fromisoformat((text or "").strip()))
    except (ValueError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    # HTTP knows only GMT; "-0000" and an ISO date without an offset are parsed as naive.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
