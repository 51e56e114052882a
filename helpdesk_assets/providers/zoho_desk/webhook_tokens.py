"""Verifies the tokens by which Zoho identifies itself: RS256, with keys that Zoho publishes.

Zoho's documents describe the token's times as milliseconds but show seconds, so both are read. An
unknown key is fetched from ZOHO_JWKS_URL, and from nowhere else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from helpdesk_assets.errors import EndpointFailed, SettingsError
from helpdesk_assets.providers.webhooks.events import Verification
from helpdesk_assets.providers.webhooks.payloads import parse_unix_time
from helpdesk_assets.settings import Settings

if TYPE_CHECKING:
    import jwt

LEEWAY = timedelta(seconds=60)
FETCH_SECONDS = 3
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
            import jwt
        except ModuleNotFoundError:
            raise SettingsError(
                "ZOHO_JWKS_URL is set, which requires PyJWT: pip install 'pyjwt[crypto]'."
            ) from None
        issuer = f"orgId:{settings.zoho_org_id}" if settings.zoho_org_id else None
        return cls(jwt.PyJWKClient(url, timeout=FETCH_SECONDS), issuer)

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
