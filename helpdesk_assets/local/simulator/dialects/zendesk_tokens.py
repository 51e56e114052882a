"""Zendesk's token endpoint for OAuth clients, and the access tokens that it has issued.

Sources: developer.zendesk.com, /api-reference/ticketing/oauth/grant_type_tokens/ and
/documentation/api-basics/authentication/oauth-migration/; for requests that give a token that is
good for nothing, what others saw on live accounts. Must not import anything about tickets.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.middleware import ApiError
from helpdesk_assets.local.simulator.ticket_factory import Json

# The identifier of every simulated account's client; it gives access to nothing else.
CLIENT_ID = "helpdesk_sync"
# The default of clients made since 2026-04-30.
LIFETIME_SECONDS = 1800
# `expires_in` is more than five minutes and less than two days.
SHORTEST_SECONDS, LONGEST_SECONDS = 301, 172_799
PARAMETERS = frozenset({"grant_type", "client_id", "client_secret", "scope", "expires_in"})
# The scopes that the client may ask for, and some of those that Zendesk has beside them.
ALLOWED_SCOPES = frozenset({"read", "tickets:read"})
OTHER_SCOPES = frozenset({"write", "impersonate", "tickets:write", "users:read", "users:write"})


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An issued token. `is_admin`: the role of the client's user, which limits the token."""

    expires_at: float
    scopes: frozenset[str]
    is_admin: bool


class ZendeskTokenServer:
    """Issues and checks the access tokens of one confidential client."""

    def __init__(self, secret: str, now: Callable[[], float]) -> None:
        """Create a server; `now` returns the helpdesk's time in seconds since 1970."""
        self._secret = secret
        self._now = now
        self._tokens: dict[str, AccessToken] = {}
        self._issued = 0

    def issue_token(self, body: bytes) -> Json:
        """Return the answer to a token request.

        Raises:
            ApiError: the request is refused.
        """
        wanted = _parse(body)
        if wanted.get("grant_type") != "client_credentials":
            raise ApiError(400, "grant_type is not supported", code="unsupported_grant_type")
        # The client's number is not its identifier, and a text may not be sent as a number.
        if wanted.get("client_id") != CLIENT_ID:
            raise ApiError(401, "Client authentication failed", code="invalid_client")
        secret = wanted.get("client_secret")
        if secret not in (self._secret, TOKEN_WITHOUT_RIGHTS):
            raise ApiError(401, "Client authentication failed", code="invalid_client")
        lifetime = _lifetime(wanted.get("expires_in", LIFETIME_SECONDS))
        scopes = _granted(wanted.get("scope", ""))
        self._issued += 1
        token = f"zendesk-access-{self._issued:04d}-{id(self):x}"
        self._tokens[token] = AccessToken(
            self._now() + lifetime, scopes, is_admin=secret == self._secret
        )
        return {
            "access_token": token,
            "token_type": "bearer",
            "scope": " ".join(sorted(scopes)),
            "expires_in": lifetime,
        }

    def find(self, token: str) -> AccessToken | None:
        """Return an issued token, or None if it is unknown or has expired."""
        found = self._tokens.get(token)
        return found if found is not None and self._now() < found.expires_at else None

    def revoke_all(self) -> None:
        """Invalidate all access tokens. The client stays."""
        self._tokens.clear()

    def accept(self, secret: str) -> None:
        """Replace the client's secret, and invalidate all access tokens."""
        self._secret = secret
        self.revoke_all()


def _parse(body: bytes) -> dict[str, Any]:
    try:
        wanted = json.loads(body)
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict) or not PARAMETERS.issuperset(wanted):
        raise ApiError(400, "the request is not one for a token", code="invalid_request")
    return wanted


def _lifetime(seconds: Any) -> int:
    is_whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    if not is_whole or not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise ApiError(400, "expires_in is out of range", code="invalid_request")
    lifetime: int = seconds
    return lifetime


def _granted(scope: Any) -> frozenset[str]:
    """Return the scopes of the token: none for an array or an unknown name, as Zendesk does."""
    names = frozenset(scope.split()) if isinstance(scope, str) else frozenset()
    if names & OTHER_SCOPES:
        raise ApiError(400, "The requested scope is not allowed", code="invalid_scope")
    return names & ALLOWED_SCOPES
