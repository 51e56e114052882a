"""Log in at Zoho: an access token of one hour for a refresh token that lasts.

    POST {accounts}/oauth/v2/token   refresh_token, client_id, client_secret, grant_type

Zoho issues ten access tokens in ten minutes, so one is kept between runs (`token_cache`), several
threads or processes fetch one together, and the eleventh is not asked for. Its refusals come with
status 200 and an `error`. Must not know tickets.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from helpdesk_assets.errors import (
    AllowanceSpent,
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
)
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.http import REDIRECTS, open_session
from helpdesk_assets.providers.client.token_cache import Noted, TokenCache
from helpdesk_assets.providers.client.usage import Meter

log = logging.getLogger(__name__)

TOKENS = "/oauth/v2/token"
SCHEME = "Zoho-oauthtoken"
MOST_REQUESTS = 10
REQUESTS_WINDOW = 600.0
# A token this near to its end might end on the way.
MARGIN = 60.0
LIFETIME = 3600.0

# What Zoho says, and the setting that is wrong then.
REFUSALS = {
    "invalid_code": "ZOHO_REFRESH_TOKEN",
    "invalid_client": "ZOHO_CLIENT_ID",
    "invalid_client_secret": "ZOHO_CLIENT_SECRET",
}
# Seen with status 400.
TOO_MANY = "access denied"


@dataclass(frozen=True, slots=True)
class Client:
    """What a token request needs. `accounts_url` is the server of the client's data centre."""

    accounts_url: str
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.accounts_url).netloc


class ZohoLogin:
    """Puts an access token and the organisation on each request, from any thread."""

    def __init__(
        self,
        client: Client,
        org_id: str,
        cache: TokenCache,
        *,
        meter: Meter,
        timeout: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._org_id = org_id
        self._cache = cache
        self._meter = meter
        self._timeout = timeout
        self._clock = clock
        self._session = open_session(1)
        self._lock = threading.Lock()
        self._noted = Noted()

    def __repr__(self) -> str:
        return f"ZohoLogin({self._client.host})"

    @property
    def secrets(self) -> tuple[str, ...]:
        known = (self._client.client_secret, self._client.refresh_token, self._noted.token)
        return tuple(secret for secret in known if secret)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """
        Raises:
            CredentialsRefused: Zoho gives no token for what the settings say.
            AllowanceSpent: it has given as many as it does, or would not give another.
            EndpointFailed: it did not answer, or not with a token.
        """
        with self._lock:
            if not self._is_good(self._noted, refused=""):
                self._obtain(refused="")
            request.headers["Authorization"] = f"{SCHEME} {self._noted.token}"
        request.headers["orgId"] = self._org_id
        return request

    def renew(self, refused: str) -> bool:
        """See `Auth.renew`. Of the threads whose calls were refused with one token, the first gets
        another, and the rest find that it has."""
        with self._lock:
            if refused == f"{SCHEME} {self._noted.token}":
                self._obtain(refused=self._noted.token)
        return True

    def close(self) -> None:
        self._session.close()

    def _obtain(self, *, refused: str) -> None:
        """Another token than `refused`: one that another process has fetched, or a new one."""
        with self._cache.alone(self._timeout):
            kept = self._cache.read()
            if self._is_good(kept, refused):
                self._noted = kept
                return
            now = self._now()
            requested = self._requested(kept, now)
            if len(requested) >= MOST_REQUESTS:
                raise _too_many(requested[0] + REQUESTS_WINDOW - now)
            # Noted before it is sent: Zoho counts it also where the answer gets lost.
            self._noted = Noted(requested=(*requested, now))
            self._cache.write(self._noted)
            token, lifetime = self._asked()
            ends_at = now + max(lifetime - MARGIN, lifetime / 2)
            self._noted = replace(self._noted, token=token, ends_at=ends_at)
            self._cache.write(self._noted)
        log.info("%s has issued an access token.", self._client.host)

    def _is_good(self, noted: Noted, refused: str) -> bool:
        is_other = bool(noted.token) and noted.token != refused
        return is_other and self._now() < noted.ends_at

    def _requested(self, kept: Noted, now: float) -> list[float]:
        """When tokens were asked for in the last ten minutes, by anybody who shares the cache."""
        # What both have noted is the same request, but two may be of the same moment.
        every = (Counter(kept.requested) | Counter(self._noted.requested)).elements()
        return sorted(moment for moment in every if now - REQUESTS_WINDOW < moment <= now)

    def _asked(self) -> tuple[str, float]:
        """A new token and the seconds that it lives."""
        form = {
            "refresh_token": self._client.refresh_token,
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
            "grant_type": "refresh_token",
        }
        self._meter.called()
        try:
            response = self._session.post(
                self._client.accounts_url + TOKENS,
                data=form,
                auth=_as_it_is,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            call, host = f"POST {TOKENS}", self._client.host
            raise errors.unreachable(
                call, host, self._timeout, error, "ZOHO_ACCOUNTS_URL"
            ) from None
        self._meter.received(len(response.content))
        body = _json(response.content)
        if response.status_code == 200 and _is_token(body.get("access_token")):
            return body["access_token"], _lifetime(body.get("expires_in"))
        raise self._refused(response.status_code, body)

    def _refused(self, status: int, body: dict[str, Any]) -> HelpdeskAssetsError:
        """The text of an answer stays out of it: what was sent may be quoted there."""
        where = f"POST {TOKENS} at {self._client.host}"
        if status in REDIRECTS:
            return EndpointFailed(
                f"{where} is redirected, and a refresh token follows no redirect. Set "
                "ZOHO_ACCOUNTS_URL to the accounts server of your data centre."
            )
        error = str(body.get("error", ""))
        if error.casefold() == TOO_MANY or status == errors.TOO_MANY_REQUESTS:
            return _too_many(REQUESTS_WINDOW)
        if error in REFUSALS:
            return CredentialsRefused(
                f"{where} answered {error}: {REFUSALS[error]} is not valid there. Correct it, or "
                "make another in Zoho's API console of your data centre, to which "
                "HELPDESK_BASE_URL and ZOHO_ACCOUNTS_URL must belong."
            )
        if error:
            said = error if re.fullmatch(r"\w{1,40}", error) else "an error"
            return CredentialsRefused(
                f"{where} answered {said}. Check ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, "
                "ZOHO_REFRESH_TOKEN and ZOHO_ACCOUNTS_URL."
            )
        if status >= 500:
            return errors.PassingFailure(f"{where} answered {status}. Try again later.")
        return EndpointFailed(
            f"{where} answered {status} without a token. Check ZOHO_ACCOUNTS_URL."
        )

    def _now(self) -> float:
        return self._clock().timestamp()


def _too_many(seconds: float) -> AllowanceSpent:
    return AllowanceSpent(
        f"Zoho issues {MOST_REQUESTS} access tokens in ten minutes, and as many were asked for. "
        f"Run again in {max(seconds, 1.0):.0f} s. If this comes again, look for what ends them so "
        "soon or asks beside this: ZOHO_TOKEN_CACHE keeps one between runs."
    )


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without an `auth`, requests would add a password from the user's .netrc."""
    return request


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_token(value: Any) -> bool:
    """requests quotes a header value that it refuses, so nothing else may become one."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


def _lifetime(seconds: Any) -> float:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return float(seconds) if is_number and 0 < seconds <= LIFETIME else LIFETIME
