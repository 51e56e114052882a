"""Logs in at Zoho: exchanges a permanent refresh token for an access token of one hour.

    POST {accounts}/oauth/v2/token   refresh_token, client_id, client_secret, grant_type

Zoho issues at most ten access tokens in ten minutes. So threads, runs and processes share one, and
an eleventh is not requested. Zoho's refusals come with status 200 and an `error`. Must not know
tickets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Unpack

import requests

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    RateLimitExhausted,
)
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.http import REDIRECTS
from helpdesk_assets.providers.client.oauth import (
    REQUESTS_SECONDS,
    IssuedToken,
    LoginRuntime,
    OAuthLogin,
    TokenEndpoint,
    TokenReply,
)
from helpdesk_assets.providers.client.token_cache import TokenCache

OAUTH_PATH = "/oauth/v2/token"
MAX_TOKEN_REQUESTS = 10
TOKEN_LIFETIME_SECONDS = 3600.0

# The setting that is wrong, by Zoho's error.
SETTING_BY_ERROR = {
    "invalid_code": "ZOHO_REFRESH_TOKEN",
    "invalid_client": "ZOHO_CLIENT_ID",
    "invalid_client_secret": "ZOHO_CLIENT_SECRET",
}
# Seen with status 400.
TOO_MANY = "access denied"


@dataclass(frozen=True, slots=True)
class ZohoClient:
    """What a token request needs.

    Attributes:
        accounts_url: the accounts server of the client's data centre.
        client_id: ZOHO_CLIENT_ID.
        client_secret: ZOHO_CLIENT_SECRET.
        refresh_token: ZOHO_REFRESH_TOKEN.
    """

    accounts_url: str
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


class ZohoOAuth(OAuthLogin):
    """Puts an access token and the organisation on each request."""

    scheme = "Zoho-oauthtoken"

    def __init__(
        self, client: ZohoClient, org_id: str, cache: TokenCache, **runtime: Unpack[LoginRuntime]
    ) -> None:
        """Set up the login, without a request.

        Args:
            client: the OAuth client.
            org_id: the organisation's number.
            cache: see `OAuthLogin`.
            **runtime: see `LoginRuntime`.
        """
        server = TokenEndpoint(client.accounts_url, OAUTH_PATH, "ZOHO_ACCOUNTS_URL")
        super().__init__(server, cache, **runtime)
        self._client = client
        self._org_id = org_id

    @property
    def credentials(self) -> tuple[str, ...]:
        """See `OAuthLogin.credentials`."""
        return self._client.client_secret, self._client.refresh_token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """See `OAuthLogin.__call__`."""
        request = super().__call__(request)
        request.headers["orgId"] = self._org_id
        return request

    def _check_request_allowed(self, requested_at: Sequence[float], now: float) -> None:
        if len(requested_at) >= MAX_TOKEN_REQUESTS:
            raise _too_many_requests(requested_at[0] + REQUESTS_SECONDS - now)

    def _request_token(self) -> IssuedToken:
        form = {
            "refresh_token": self._client.refresh_token,
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
            "grant_type": "refresh_token",
        }
        reply = self._post(form=form)
        if reply.status == 200 and reply.token is not None:
            longest = TOKEN_LIFETIME_SECONDS
            return IssuedToken(reply.token, reply.lifetime(default=longest, longest=longest))
        raise self._error_for(reply)

    def _error_for(self, reply: TokenReply) -> HelpdeskAssetsError:
        """Return the error without the answer's text, which may quote the secrets sent."""
        endpoint, status = self._server.call, reply.status
        if status in REDIRECTS:
            return EndpointFailed(
                f"{endpoint} is redirected, and a refresh token must not follow. Set "
                "ZOHO_ACCOUNTS_URL to the accounts server of your data centre."
            )
        error = str(reply.body.get("error", ""))
        if error.casefold() == TOO_MANY or status == errors.TOO_MANY_REQUESTS:
            return _too_many_requests(REQUESTS_SECONDS)
        if error in SETTING_BY_ERROR:
            return CredentialsRefused(
                f"{endpoint} answered {error}: {SETTING_BY_ERROR[error]} is not valid there. "
                "Correct it, or make another as docs/helpdesks/zoho_desk.md says, in the data "
                "centre of HELPDESK_BASE_URL and ZOHO_ACCOUNTS_URL."
            )
        if error:
            detail = error if re.fullmatch(r"\w{1,40}", error) else "an error"
            return CredentialsRefused(
                f"{endpoint} answered {detail}. Check ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, "
                "ZOHO_REFRESH_TOKEN and ZOHO_ACCOUNTS_URL."
            )
        if status >= 500:
            return errors.TransientError(f"{endpoint} answered {status}. Try again later.")
        return EndpointFailed(
            f"{endpoint} answered {status} without a token. Check ZOHO_ACCOUNTS_URL."
        )


def _too_many_requests(seconds: float) -> RateLimitExhausted:
    return RateLimitExhausted(
        f"Zoho issues {MAX_TOKEN_REQUESTS} access tokens in ten minutes, and all were requested. "
        f"Run again in {max(seconds, 1.0):.0f} s. If this happens again, look for a program that "
        "invalidates or requests tokens; HELPDESK_TOKEN_CACHE keeps one token between runs."
    )
