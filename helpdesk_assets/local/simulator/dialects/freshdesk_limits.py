"""Freshdesk's rate limits: the headers, and the limit that the ticket list has of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from helpdesk_assets.local.simulator.fault_registry import RateLimitStatus, RateWindow
from helpdesk_assets.local.simulator.middleware import ApiError

Endpoint = Callable[[Request], Awaitable[Response]]

MINUTE = 60.0
# What a name in `include` makes a call of a list count for, beside the call itself
# (developers.freshdesk.com/api/#ratelimit).
LIST_CREDITS = 2


def to_headers(status: RateLimitStatus) -> Mapping[str, str]:
    """Return the state of the account's limit; decimals, as accounts answered in 2026."""
    return {
        "X-RateLimit-Total": f"{status.limit:.1f}",
        "X-RateLimit-Remaining": f"{status.remaining:.1f}",
    }


def count_credits(query: Mapping[str, str], each: int) -> int:
    """Return as how many calls one counts; `each` is what a name in `include` adds."""
    return 1 + each * len([name for name in query.get("include", "").split(",") if name])


def with_limit_headers(serve: Endpoint, each: int) -> Endpoint:
    """Wrap an endpoint: a 404 may lack these headers, and does here; others tell what they cost.

    Args:
        serve: the endpoint.
        each: what a name in `include` adds.
    """

    async def counted(request: Request) -> Response:
        response = await serve(request)
        names = [name for name in response.headers if name.startswith("x-ratelimit-")]
        if response.status_code == 404:
            for name in names:
                del response.headers[name]
        elif names:
            used = count_credits(request.query_params, each)
            response.headers["X-RateLimit-Used-CurrentRequest"] = f"{used:.1f}"
        return response

    return counted


class ListLimit:
    """Counts the calls of the ticket list by minutes."""

    def __init__(self) -> None:
        self._window = RateWindow()

    def charge(self, now: float, limit: int | None, credits_used: int) -> None:
        """Count a call.

        Args:
            now: the helpdesk's time in seconds since 1970.
            limit: calls a minute; None: no limit.
            credits_used: as how many calls it counts.

        Raises:
            ApiError: the limit is used up.
        """
        if limit is None:
            return
        for _ in range(credits_used):
            status = self._window.count_call(now, limit, MINUTE)
        if status.exceeded:
            wait = {"Retry-After": str(status.reset_seconds)}
            raise ApiError(429, "You have exceeded the limit of requests per minute", wait)
