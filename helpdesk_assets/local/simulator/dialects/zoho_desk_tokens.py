"""Zoho's accounts server, which issues access tokens for a refresh token.

It answers refusals with status 200 too, issues at most ten tokens in ten minutes, and keeps at most
ten valid at once. Must not import anything about tickets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.ticket_factory import Json

# Credentials of every simulated helpdesk, which give access to nothing else.
CLIENT_ID = "1000.LOCALDEMO"
CLIENT_SECRET = "local-demo-client-secret"  # noqa: S105
ORG_ID = "60001280952"
SCOPES = frozenset(
    {"Desk.tickets.READ", "Desk.search.READ", "Desk.basic.READ", "Desk.settings.READ"}
)

LIFETIME_SECONDS = 3600
MAX_ACTIVE_TOKENS = 10
MAX_REQUESTS = 10
REQUESTS_WINDOW_SECONDS = 600


class TooManyRequests(Exception):
    """A request for an eleventh token within ten minutes."""


@dataclass(frozen=True, slots=True)
class _AccessToken:
    token: str
    expires_at: float
    scopes: frozenset[str]


class TokenServer:
    """Issues and checks the access tokens of one OAuth client."""

    def __init__(self, refresh_token: str, now: Callable[[], float]) -> None:
        """Create a server; `now` returns the helpdesk's time in seconds since 1970."""
        self._refresh_token = refresh_token
        self._now = now
        self._active_tokens: deque[_AccessToken] = deque(maxlen=MAX_ACTIVE_TOKENS)
        self._requested: deque[float] = deque(maxlen=MAX_REQUESTS)
        self._issued = 0

    def issue_token(self, body: bytes) -> Json:
        """Return the answer to a token request, which may be a refusal.

        Raises:
            TooManyRequests: this is the eleventh request within ten minutes.
        """
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        self._check_rate_limit()
        if form.get("grant_type") != "refresh_token":
            return {"error": "unsupported_grant_type"}
        if form.get("client_id") != CLIENT_ID:
            return {"error": "invalid_client"}
        if form.get("client_secret") != CLIENT_SECRET:
            return {"error": "invalid_client_secret"}
        if form.get("refresh_token") not in (self._refresh_token, TOKEN_WITHOUT_RIGHTS):
            return {"error": "invalid_code"}
        is_without = form["refresh_token"] == TOKEN_WITHOUT_RIGHTS
        return {
            "access_token": self._issue(frozenset() if is_without else SCOPES),
            # The domain of another product: a client that calls it finds no tickets.
            "api_domain": "https://www.zohoapis.example",
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
        }

    def scopes_of(self, token: str) -> frozenset[str] | None:
        """Return the scopes of an access token, or None if it is unknown or expired."""
        now = self._now()
        found = (
            each for each in self._active_tokens if each.token == token and now < each.expires_at
        )
        return next((each.scopes for each in found), None)

    def revoke_all(self) -> None:
        """Invalidate all access tokens. The refresh token stays valid."""
        self._active_tokens.clear()

    def accept(self, refresh_token: str) -> None:
        """Replace the refresh token, and invalidate all access tokens."""
        self._refresh_token = refresh_token
        self.revoke_all()

    def _check_rate_limit(self) -> None:
        now = self._now()
        if len(self._requested) == MAX_REQUESTS and (
            now - self._requested[0] < REQUESTS_WINDOW_SECONDS
        ):
            raise TooManyRequests
        self._requested.append(now)

    def _issue(self, scopes: frozenset[str]) -> str:
        self._issued += 1
        token = f"1000.access-{self._issued:04d}.{id(self):x}"
        self._active_tokens.append(_AccessToken(token, self._now() + LIFETIME_SECONDS, scopes))
        return token
