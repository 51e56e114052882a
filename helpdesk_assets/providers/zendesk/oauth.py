"""Logs in at Zendesk as an OAuth client: its id and secret give an access token of half an hour.

    POST /oauth/tokens   grant_type, client_id, client_secret, scope

Nothing has to be kept: there is no refresh token. The token acts as the user of the client, and
cannot do more. Must not know tickets.

Source: developer.zendesk.com, /api-reference/ticketing/oauth/grant_type_tokens/ and
/documentation/api-basics/authentication/oauth-migration/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Unpack

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, HelpdeskAssetsError
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.error_text import excerpt
from helpdesk_assets.providers.client.header_values import retry_after
from helpdesk_assets.providers.client.http import REDIRECTS
from helpdesk_assets.providers.client.oauth import (
    IssuedToken,
    LoginRuntime,
    OAuthLogin,
    TokenEndpoint,
    TokenReply,
)
from helpdesk_assets.providers.client.token_cache import TokenCache

OAUTH_PATH = "/oauth/tokens"
# It covers tickets, users and organisations; `tickets:read` alone is refused elsewhere.
SCOPE = "read"
# The default of clients made since 2026-04-30, and of all from 2027-04-01. Tokens of older clients
# come without a number; they are renewed as often.
TOKEN_LIFETIME_SECONDS = 1800.0
# A token lives at most so long, whatever a client asks for.
MAX_LIFETIME_SECONDS = 172_800.0

# What to do, by Zendesk's error.
ADVICE_BY_ERROR = {
    "invalid_client": "ZENDESK_CLIENT_ID must be the identifier of a confidential client, which "
    "is a text and not its number, and ZENDESK_CLIENT_SECRET the secret of that client",
    "unauthorized_client": "the client of ZENDESK_CLIENT_ID must be a confidential one",
    "invalid_scope": f'the client of ZENDESK_CLIENT_ID may not have the scope "{SCOPE}"; allow it',
}
OTHER_ADVICE = "check ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET"


@dataclass(frozen=True, slots=True)
class ZendeskClient:
    """What a token request needs.

    Attributes:
        base_url: HELPDESK_BASE_URL.
        client_id: ZENDESK_CLIENT_ID.
        client_secret: ZENDESK_CLIENT_SECRET.
    """

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)


class ZendeskOAuth(OAuthLogin):
    """Puts an access token of an OAuth client on each request."""

    def __init__(
        self, client: ZendeskClient, cache: TokenCache, **runtime: Unpack[LoginRuntime]
    ) -> None:
        """Set up the login, without a request.

        Args:
            client: the OAuth client.
            cache: see `OAuthLogin`.
            **runtime: see `LoginRuntime`.
        """
        server = TokenEndpoint(client.base_url, OAUTH_PATH, "HELPDESK_BASE_URL")
        super().__init__(server, cache, **runtime)
        self._client = client

    @property
    def credentials(self) -> tuple[str, ...]:
        """See `OAuthLogin.credentials`."""
        return (self._client.client_secret,)

    def _request_token(self) -> IssuedToken:
        wanted = {
            "grant_type": "client_credentials",
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
            "scope": SCOPE,
        }
        reply = self._post(json=wanted)
        if reply.status not in (200, 201) or reply.token is None:
            raise self._error_for(reply)
        _check_scope(reply, self._server.call)
        lifetime = reply.lifetime(default=TOKEN_LIFETIME_SECONDS, longest=MAX_LIFETIME_SECONDS)
        return IssuedToken(reply.token, lifetime)

    def _error_for(self, reply: TokenReply) -> HelpdeskAssetsError:
        endpoint, status = self._server.call, reply.status
        if status in REDIRECTS:
            return EndpointFailed(
                f"{endpoint} is redirected, and a client's secret must not follow. Set "
                "HELPDESK_BASE_URL to the account's own address."
            )
        detail = excerpt(reply.content, self.secrets) or "an empty body"
        if status == errors.TOO_MANY_REQUESTS or status >= 500:
            return errors.TransientError(
                f"{endpoint} answered {status}: {detail}. Try again later.",
                retry_after(reply.headers, self._now()),
            )
        error = reply.body.get("error")
        if isinstance(error, str) or status in (401, 403):
            advice = ADVICE_BY_ERROR.get(str(error), OTHER_ADVICE)
            return CredentialsRefused(f"{endpoint} answered {status}: {detail}. To do: {advice}.")
        return EndpointFailed(
            f"{endpoint} answered {status} without a token. Check HELPDESK_BASE_URL."
        )


def _check_scope(reply: TokenReply, endpoint: str) -> None:
    """Compare the granted scope with the requested one.

    Zendesk also issues tokens whose scope allows nothing. An answer without a scope grants what was
    asked for (RFC 6749, 5.1).

    Raises:
        CredentialsRefused: the token cannot read.
    """
    granted = reply.body.get("scope")
    if granted is None or (isinstance(granted, str) and SCOPE in granted.split()):
        return
    raise CredentialsRefused(
        f'{endpoint} gave a token without the scope "{SCOPE}", which every later call would be '
        "refused for. Allow that scope to the client of ZENDESK_CLIENT_ID."
    )
