"""Logs in at Zoho: exchanges a permanent refresh token for an access token of one hour.

    POST {accounts}/oauth/v2/token   refresh_token, client_id, client_secret, grant_type

Zoho issues at most ten access tokens in ten minutes. So the token is cached between runs
(`token_cache`), threads and processes share one, and an eleventh is not requested. Zoho's refusals
come with status 200 and an `error`. Must not know tickets.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    MachineError,
    RateLimitExhausted,
)
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.http import REDIRECTS, answer_deadline, open_session
from helpdesk_assets.providers.client.token_cache import CachedToken, TokenCache
from helpdesk_assets.providers.client.usage import UsageCounter

log = logging.getLogger(__name__)

OAUTH_PATH = "/oauth/v2/token"
SCHEME = "Zoho-oauthtoken"
MAX_TOKEN_REQUESTS = 10
TOKEN_REQUESTS_SECONDS = 600.0
# A token this close to its expiry might expire in transit.
EXPIRY_MARGIN_SECONDS = 60.0
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

    @property
    def host(self) -> str:
        """Host and port of the accounts server."""
        return urlsplit(self.accounts_url).netloc


class ZohoOAuth:
    """Puts an access token and the organisation on each request; may be used from any thread."""

    def __init__(
        self,
        client: ZohoClient,
        org_id: str,
        cache: TokenCache,
        *,
        usage_counter: UsageCounter,
        timeout: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the login, without a request.

        Args:
            client: the OAuth client.
            org_id: the organisation's number.
            cache: shares tokens between runs and processes.
            usage_counter: counts token requests.
            timeout: seconds to wait for an answer.
            now: the current time, aware.
            monotonic: seconds of a clock that never jumps.
        """
        self._client = client
        self._org_id = org_id
        self._cache = cache
        self._usage_counter = usage_counter
        self._timeout = timeout
        self._now = now
        self._monotonic = monotonic
        self._session = open_session(1, monotonic)
        self._lock = threading.Lock()
        self._cached = CachedToken()

    def __repr__(self) -> str:
        return f"ZohoOAuth({self._client.host})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Auth.secrets`."""
        known = (self._client.client_secret, self._client.refresh_token, self._cached.token)
        return tuple(secret for secret in known if secret)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials on a request, and obtain a token first if there is none.

        Raises:
            CredentialsRefused: Zoho rejects the client or the refresh token.
            RateLimitExhausted: Zoho's limit of tokens is used up.
            EndpointFailed: Zoho did not answer with a token.
        """
        with self._lock:
            if not self._is_valid(self._cached, rejected=""):
                self._obtain(rejected="")
            request.headers["Authorization"] = f"{SCHEME} {self._cached.token}"
        request.headers["orgId"] = self._org_id
        return request

    def renew(self, rejected: str) -> bool:
        """See `Auth.renew`.

        The first thread whose call was rejected obtains another token; the others then use that
        one.
        """
        with self._lock:
            if rejected == f"{SCHEME} {self._cached.token}":
                self._obtain(rejected=self._cached.token)
        return True

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _obtain(self, *, rejected: str) -> None:
        """Obtain a token other than `rejected`: from another process, or a new one."""
        with self._cache.exclusive(self._timeout):
            stored = self._cache.read()
            if self._is_valid(stored, rejected):
                self._cached = stored
                return
            now = self._epoch_seconds()
            requested_at = self._recent_requests(stored, now)
            if len(requested_at) >= MAX_TOKEN_REQUESTS:
                raise _too_many_requests(requested_at[0] + TOKEN_REQUESTS_SECONDS - now)
            # Recorded before it is sent: Zoho also counts a request whose answer is lost.
            self._cached = CachedToken(requested_at=(*requested_at, now))
            self._cache.write(self._cached)
            token, lifetime = self._request_token()
            expires_at = now + max(lifetime - EXPIRY_MARGIN_SECONDS, lifetime / 2)
            self._cached = replace(self._cached, token=token, expires_at=expires_at)
            self._cache.write(self._cached)
        log.info("%s has issued an access token.", self._client.host)

    def _is_valid(self, cached: CachedToken, rejected: str) -> bool:
        is_other = bool(cached.token) and cached.token != rejected
        return is_other and self._epoch_seconds() < cached.expires_at

    def _recent_requests(self, stored: CachedToken, now: float) -> list[float]:
        """Return when tokens were requested in the last ten minutes, by all who share the cache."""
        # A time in both records is one request, but one record may hold a time twice.
        every = (Counter(stored.requested_at) | Counter(self._cached.requested_at)).elements()
        return sorted(moment for moment in every if now - TOKEN_REQUESTS_SECONDS < moment <= now)

    def _request_token(self) -> tuple[str, float]:
        """Request a new token; return it with its lifetime in seconds."""
        form = {
            "refresh_token": self._client.refresh_token,
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
            "grant_type": "refresh_token",
        }
        self._usage_counter.record_call()
        began = self._monotonic()
        try:
            response = self._session.post(
                self._client.accounts_url + OAUTH_PATH,
                data=form,
                auth=_without_netrc,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            call, host = f"POST {OAUTH_PATH}", self._client.host
            if self._monotonic() - began >= (seconds := answer_deadline(self._timeout)):
                raise errors.AnswerTooSlow(call, host, seconds) from None
            raise errors.connection_error(
                call, host, self._timeout, error, "ZOHO_ACCOUNTS_URL"
            ) from None
        except OSError as error:
            raise MachineError.of(error, f"POST {OAUTH_PATH} to {self._client.host}") from error
        self._usage_counter.record_bytes(len(response.content))
        body = _json(response.content)
        if response.status_code == 200 and _is_token(body.get("access_token")):
            return body["access_token"], _lifetime(body.get("expires_in"))
        raise self._error_for(response.status_code, body)

    def _error_for(self, status: int, body: dict[str, Any]) -> HelpdeskAssetsError:
        """Return the error without the answer's text, which may quote the secrets sent."""
        endpoint = f"POST {OAUTH_PATH} at {self._client.host}"
        if status in REDIRECTS:
            return EndpointFailed(
                f"{endpoint} is redirected, and a refresh token must not follow. Set "
                "ZOHO_ACCOUNTS_URL to the accounts server of your data centre."
            )
        error = str(body.get("error", ""))
        if error.casefold() == TOO_MANY or status == errors.TOO_MANY_REQUESTS:
            return _too_many_requests(TOKEN_REQUESTS_SECONDS)
        if error in SETTING_BY_ERROR:
            return CredentialsRefused(
                f"{endpoint} answered {error}: {SETTING_BY_ERROR[error]} is not valid there. "
                "Correct it, or make another in Zoho's API console of your data centre, to which "
                "HELPDESK_BASE_URL and ZOHO_ACCOUNTS_URL must belong."
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

    def _epoch_seconds(self) -> float:
        return self._now().timestamp()


def _too_many_requests(seconds: float) -> RateLimitExhausted:
    return RateLimitExhausted(
        f"Zoho issues {MAX_TOKEN_REQUESTS} access tokens in ten minutes, and all were requested. "
        f"Run again in {max(seconds, 1.0):.0f} s. If this happens again, look for a program that "
        "invalidates or requests tokens; ZOHO_TOKEN_CACHE keeps one token between runs."
    )


def _without_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Change nothing: without an `auth`, requests would add a password from the user's .netrc."""
    return request


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_token(value: Any) -> bool:
    """Return whether a value may go into a header; requests quotes an invalid one in its error."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


def _lifetime(seconds: Any) -> float:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return (
        float(seconds)
        if is_number and 0 < seconds <= TOKEN_LIFETIME_SECONDS
        else TOKEN_LIFETIME_SECONDS
    )
