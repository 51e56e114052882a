"""The accounts server beside the simulated Zoho Desk: access tokens for a refresh token.

It answers with status 200 also where it refuses, gives ten tokens in ten minutes, and lets ten live
at once. Must not know tickets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.ticket_factory import Json

# They open nothing but the simulated helpdesk, and are the same for each.
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
    """The eleventh token within ten minutes."""


@dataclass(frozen=True, slots=True)
class _AccessToken:
    token: str
    expires_at: float
    scopes: frozenset[str]


class TokenServer:
    """Tokens of one client. `now`: seconds since 1970."""

    def __init__(
        self, refresh_token: str, now: Callable[[], float], scopes: Iterable[str] = SCOPES
    ) -> None:
        self._refresh_token = refresh_token
        self._scopes = frozenset(scopes)
        self._now = now
        self._active_tokens: deque[_AccessToken] = deque(maxlen=MAX_ACTIVE_TOKENS)
        self._requested: deque[float] = deque(maxlen=MAX_REQUESTS)
        self._issued = 0

    def issue_token(self, body: bytes) -> Json:
        """What a token request gets; a refusal is an answer like any other.

        Raises:
            TooManyRequests: it was the eleventh.
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
            "access_token": self._issue(frozenset() if is_without else self._scopes),
            # Of another product: a call that went there would find no tickets.
            "api_domain": "https://www.zohoapis.example",
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
        }

    def scopes_of(self, token: str) -> frozenset[str] | None:
        """What a token opens, None where it is none or has ended."""
        now = self._now()
        found = (
            each for each in self._active_tokens if each.token == token and now < each.expires_at
        )
        return next((each.scopes for each in found), None)

    def revoke_all(self) -> None:
        """Every access token; the refresh token gives new ones."""
        self._active_tokens.clear()

    def accept(self, refresh_token: str) -> None:
        self._refresh_token = refresh_token
        self.revoke_all()

    def limit_to(self, scopes: Iterable[str]) -> None:
        """What tokens open that are issued from now on."""
        self._scopes = frozenset(scopes)

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
