"""Freshdesk's rate limits: the headers, and the limit that the ticket list has of its own."""

from __future__ import annotations

from collections.abc import Mapping

from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus, RateWindow
from helpdesk_assets.local.simulator.middleware import ApiError

MINUTE = 60.0
# What a name in `include` makes a call of a list count for, beside the call itself
# (developers.freshdesk.com/api/#ratelimit).
LIST_CREDITS = 2


def to_headers(status: RateLimitStatus) -> Mapping[str, str]:
    """Return the state of the account's limit; decimals, as accounts answered in 2026."""
    return {
        "X-RateLimit-Total": f"{status.limit:.1f}",
        "X-RateLimit-Remaining": f"{status.remaining:.1f}",
        "X-RateLimit-Used-CurrentRequest": "1.0",
    }


class ListLimit:
    """Counts the calls of the ticket list by minutes."""

    def __init__(self) -> None:
        self._window = RateWindow()

    def charge(self, now: float, limit: int | None, includes: int) -> None:
        """Count a call; nobody says that what `include` adds does not count here.

        Args:
            now: the helpdesk's time in seconds since 1970.
            limit: calls a minute; None: no limit.
            includes: names in `include`.

        Raises:
            ApiError: the limit is used up.
        """
        if limit is None:
            return
        for _ in range(1 + LIST_CREDITS * includes):
            status = self._window.count_call(now, limit, MINUTE)
        if status.exceeded:
            wait = {"Retry-After": str(status.reset_seconds)}
            raise ApiError(429, "You have exceeded the limit of requests per minute", wait)
