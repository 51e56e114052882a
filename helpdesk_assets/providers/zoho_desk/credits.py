"""Leaves some of a portal's daily credits to its other integrations.

All integrations of a portal share its credits, and each answer says how many are left. Must not
know what a call is for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

import requests

from helpdesk_assets.errors import RateLimitExhausted
from helpdesk_assets.providers.client.auth import Auth
from helpdesk_assets.providers.client.rate_limit import MAX_BLOCK_SECONDS, RateLimitState
from helpdesk_assets.providers.zoho_desk.account import parse_rate_limit, remaining_credits

log = logging.getLogger(__name__)


class CreditKeeper:
    """A login that signs no request once too few credits are left; for any thread."""

    def __init__(
        self, auth: Auth, kept: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Set up with all credits left.

        Args:
            auth: the login.
            kept: credits that are not used, ZOHO_CREDITS_KEPT; 0: all may be.
            monotonic: seconds of a clock that never jumps.
        """
        self._auth = auth
        self._kept = kept
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._remaining: int | None = None
        self._told_at = 0.0
        self._is_warned = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Auth.secrets`."""
        return tuple(self._auth.secrets)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials on a request.

        Raises:
            RateLimitExhausted: no more credits are left than are kept.
            HelpdeskAssetsError: the errors of the login.
        """
        self._check()
        return self._auth(request)

    def renew(self, rejected: str, *, again: bool = False) -> bool:
        """See `Auth.renew`."""
        return self._auth.renew(rejected, again=again)

    def observe(self, headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
        """Note the credits that an answer says are left, and return them as calls."""
        remaining = remaining_credits(headers)
        with self._lock:
            if remaining is not None:
                self._remaining, self._told_at = remaining, self._monotonic()
            elif self._kept and self._remaining is None and not self._is_warned:
                self._is_warned = True
                log.warning(
                    "Zoho Desk does not say how many API credits are left. Until it does, "
                    "ZOHO_CREDITS_KEPT=%d has no effect.",
                    self._kept,
                )
        return parse_rate_limit(headers)

    def _check(self) -> None:
        with self._lock:
            # A receiver runs for months: a new day is found out by a call now and then.
            is_old = self._monotonic() - self._told_at > MAX_BLOCK_SECONDS
            if not self._kept or self._remaining is None or is_old:
                return
            if self._remaining <= self._kept:
                raise RateLimitExhausted(
                    f"The Zoho Desk portal has {self._remaining:,} API credits left today, and "
                    f"ZOHO_CREDITS_KEPT={self._kept} leaves those to other integrations. Run again "
                    "tomorrow, or lower ZOHO_CREDITS_KEPT; if nothing else has used any today, it "
                    "is higher than the day's credits, which Zoho Desk shows under Setup, "
                    "Developer Space, API."
                )
