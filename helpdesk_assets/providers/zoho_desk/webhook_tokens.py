"""Verifies the tokens by which Zoho identifies itself: RS256, with keys that Zoho publishes.

Zoho's documents describe the token's times as milliseconds but show seconds, so both are read. An
unknown key is fetched from ZOHO_JWKS_URL, and from nowhere else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import requests

from helpdesk_assets.answer_deadline import get_once
from helpdesk_assets.errors import EndpointFailed, SettingsError
from helpdesk_assets.providers.webhooks.events import Verification
from helpdesk_assets.providers.webhooks.payloads import parse_unix_time
from helpdesk_assets.settings import Settings

if TYPE_CHECKING:
    import jwt

LEEWAY = timedelta(seconds=60)
# For one read, and for the whole answer: a post that waits for the keys holds a place.
FETCH_SECONDS = 3.0
FETCH_DEADLINE_SECONDS = 3.0
MAX_TOKEN_CHARS = 8192
# Seconds since 1970 stay below this until the year 5138; milliseconds exceed it since 1973.
MIN_MILLISECONDS = 10**11


class ZohoWebhookTokens:
    """Verifies tokens with the keys of one address."""

    def __init__(self, keys: jwt.PyJWKClient, issuer: str | None) -> None:
        """Set up with `issuer`, the required issuer; None if the organisation is unknown."""
        self._keys = keys
        self._issuer = issuer

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Create the verifier, None without ZOHO_JWKS_URL: then tokens are not checked.

        Raises:
            SettingsError: the address is not https, or PyJWT is not installed.
        """
        url = settings.zoho_jwks_url
        if not url:
            return None
        if not url.startswith("https://"):
            raise SettingsError(
                "ZOHO_JWKS_URL must begin with https://, since its keys decide who is Zoho."
            )
        try:
            keys = _keys_of(url)
        except ModuleNotFoundError:
            raise SettingsError(
                "ZOHO_JWKS_URL is set, which requires PyJWT: pip install 'pyjwt[crypto]'."
            ) from None
        issuer = f"orgId:{settings.zoho_org_id}" if settings.zoho_org_id else None
        return cls(keys, issuer)

    def verify(self, token: str, now: datetime) -> Verification:
        """Return whether Zoho signed this token for our organisation, and whether it has expired.

        Raises:
            EndpointFailed: Zoho's keys could not be fetched.
        """
        import jwt

        if not token or len(token) > MAX_TOKEN_CHARS:
            return Verification(is_signed=False)
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key, algorithms=["RS256"], options=_DECODE_OPTIONS)
        except jwt.PyJWKClientConnectionError:
            raise EndpointFailed(
                "The keys of ZOHO_JWKS_URL could not be fetched, so no post of Zoho's can be "
                "verified. Check the address and the network."
            ) from None
        except (jwt.PyJWTError, RecursionError):
            return Verification(is_signed=False)
        is_our_issuer = self._issuer is None or claims.get("iss") == self._issuer
        expires_at = _moment(claims.get("exp"))
        if not is_our_issuer or expires_at is None:
            return Verification(is_signed=False)
        has_expired = now > expires_at + LEEWAY
        return Verification(is_signed=True, time_off=expires_at - now if has_expired else None)


def _keys_of(url: str) -> jwt.PyJWKClient:
    """Return the keys of an address; fetching them is bounded in time and size."""
    import jwt

    class BoundedKeys(jwt.PyJWKClient):
        """Differs from its base in how the keys are fetched."""

        def fetch_data(self) -> Any:
            """See `PyJWKClient.fetch_data`."""
            found = fetch_keys(self.uri)
            if self.jwk_set_cache is not None and found is not None:
                self.jwk_set_cache.put(found)
            if found is None:
                raise jwt.PyJWKClientConnectionError("no keys came")
            return found

    return BoundedKeys(url)


def fetch_keys(url: str, monotonic: Callable[[], float] = time.monotonic) -> Any:
    """Fetch a set of keys.

    Args:
        url: where from; a redirect is not followed.
        monotonic: seconds of a clock that never jumps.

    Returns:
        The set as JSON; None if it did not come in time or is no object.
    """
    try:
        answer = get_once(
            url, timeout=FETCH_SECONDS, deadline=FETCH_DEADLINE_SECONDS, monotonic=monotonic
        )
        found = json.loads(answer.body) if answer.status == 200 else None
    except (requests.RequestException, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


# `are_valid` compares times and issuer: PyJWT knows only seconds, and uses its own clock.
_DECODE_OPTIONS: Any = {
    "verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False,
    "verify_iss": False,
}  # fmt: skip


def _moment(value: Any) -> datetime | None:
    if isinstance(value, float):
        value = int(value)
    large = isinstance(value, int) and value >= MIN_MILLISECONDS
    return parse_unix_time(value, units_per_second=1000 if large else 1)
