"""A Zendesk account: its login, page size and rate limits.

Must not know tickets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.base import DoctorWarning
from helpdesk_assets.providers.client.auth import Auth, BasicAuth, TokenAuth, api_token
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.client.header_values import parse_count, parse_reset
from helpdesk_assets.providers.client.rate_limit import RateLimitState
from helpdesk_assets.providers.client.token_cache import TokenCache, cache_dir, describe_cache
from helpdesk_assets.providers.client.usage import UsageCounter
from helpdesk_assets.providers.zendesk.oauth import SCOPE, ZendeskClient, ZendeskOAuth
from helpdesk_assets.providers.zendesk.page_size import MAX_PAGE_SIZE
from helpdesk_assets.settings import Settings

# All API tokens stop working then, and nobody can make one since 2026-10-27
# (developer.zendesk.com, /documentation/api-basics/authentication/oauth-migration/).
API_TOKENS_END = "2027-04-30"
NOT_USED = "not used: ZENDESK_CLIENT_ID is"
# A large page takes long to make; other clients wait 120 to 300 s.
EXPORT_TIMEOUT_SECONDS = 120.0
# The scope of the exports: their rate limit is far below the account's.
EXPORT_SCOPE = "export"
EXPORT_LIMIT_HEADER = "zendesk-ratelimit-incremental"


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """Describe for `doctor` the settings that Zendesk reads differently."""
    return {
        "helpdesk_user": lambda: _describe_user(settings),
        "helpdesk_api_token": lambda: _describe_api_token(settings),
        "helpdesk_page_size": lambda: str(page_size(settings)),
        "helpdesk_concurrency": lambda: "1 (the export has one cursor)",
        "helpdesk_result_cap": lambda: "not used: the export has no cap",
        "helpdesk_fetch_details": lambda: "not used: the export's rows are whole tickets",
        "helpdesk_timeout_seconds": lambda: (
            f"{settings.helpdesk_timeout_seconds:g}; for the export "
            f"{export_timeout(settings).total_seconds():g}"
        ),
        "helpdesk_token_cache": lambda: describe_cache(settings),
        "zendesk_client_id": lambda: _describe_client_id(settings),
        "zendesk_client_secret": lambda: _describe_client_secret(settings),
        "zendesk_exports_per_minute": lambda: str(settings.zendesk_exports_per_minute),
        "zendesk_tickets": lambda: settings.zendesk_tickets,
    }


def parse_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
    """Read the remaining calls of the account and, if reported, of the export.

    The export's header reads `total=10; remaining=9; resets=41`.
    """
    states = []
    remaining = headers.get("ratelimit-remaining") or headers.get("X-Rate-Limit-Remaining") or ""
    if (calls_left := parse_count(remaining)) is not None:
        limit = parse_count(headers.get("ratelimit-limit") or headers.get("X-Rate-Limit"))
        reset = parse_reset(headers, "ratelimit-reset")
        states.append(RateLimitState(calls_left, limit, reset))
    for name, value in headers.items():
        if name.lower().startswith(EXPORT_LIMIT_HEADER):
            parts = {key: int(number) for key, number in re.findall(r"(\w+)=(\d{1,18})\b", value)}
            if "remaining" in parts:
                remaining_calls = parts["remaining"]
                states.append(
                    RateLimitState(
                        remaining_calls, parts.get("total"), parts.get("resets"), EXPORT_SCOPE
                    )
                )
    return tuple(states)


def make_auth(settings: Settings, usage_counter: UsageCounter, runtime: Runtime) -> Auth:
    """Return the login: an OAuth client, an API token, or an access token.

    An API token is the password of `{email}/token`. Without an e-mail address, HELPDESK_API_TOKEN
    is an access token that is used as it is.

    Args:
        settings: the client, or address and token.
        usage_counter: counts the client's token requests.
        runtime: the clock by which tokens expire.

    Raises:
        SettingsError: a part of the client is missing, HELPDESK_USER is not an e-mail address, or
            the token is empty.
    """
    if not uses_client(settings):
        token, email = _api_token(settings), _email(settings)
        return BasicAuth(f"{email}/token", token) if email else TokenAuth(token)
    client = ZendeskClient(
        settings.helpdesk_base_url,
        _require(settings.zendesk_client_id, "ZENDESK_CLIENT_ID"),
        _require(settings.zendesk_client_secret.get_secret_value(), "ZENDESK_CLIENT_SECRET"),
    )
    return ZendeskOAuth(
        client,
        TokenCache(
            cache_dir(settings), client.base_url, client.client_id, client.client_secret, SCOPE
        ),
        usage_counter=usage_counter,
        timeout=settings.helpdesk_timeout_seconds,
        now=runtime.now,
    )


def uses_client(settings: Settings) -> bool:
    """Return whether an OAuth client logs in; it takes precedence over HELPDESK_API_TOKEN."""
    secret = settings.zendesk_client_secret.get_secret_value()
    return bool(settings.zendesk_client_id.strip() or secret.strip())


def export_timeout(settings: Settings) -> timedelta:
    """Return how long a page of the export is awaited."""
    seconds = max(EXPORT_TIMEOUT_SECONDS, settings.helpdesk_timeout_seconds)
    return timedelta(seconds=seconds)


def page_size(settings: Settings) -> int:
    """Return the maximum unless the user sets less: the export allows only 10 calls a minute."""
    is_set = "helpdesk_page_size" in settings.model_fields_set
    return settings.helpdesk_page_size if is_set else MAX_PAGE_SIZE


def _describe_user(settings: Settings) -> str:
    if uses_client(settings):
        return NOT_USED
    return _email(settings) or "empty: HELPDESK_API_TOKEN is an OAuth access token"


def _describe_api_token(settings: Settings) -> str:
    if uses_client(settings):
        return NOT_USED
    _api_token(settings)
    if not _email(settings):
        return DoctorWarning(
            "set (not shown). It is not renewed when it expires; ZENDESK_CLIENT_ID and "
            "ZENDESK_CLIENT_SECRET get tokens that are."
        )
    return DoctorWarning(
        f"set (not shown). Zendesk ends all API tokens on {API_TOKENS_END}, and before that each "
        "one that is unused for 30 days. Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET instead."
    )


def _describe_client_id(settings: Settings) -> str:
    if not uses_client(settings):
        return "empty: HELPDESK_API_TOKEN is used"
    return _require(settings.zendesk_client_id, "ZENDESK_CLIENT_ID")


def _describe_client_secret(settings: Settings) -> str:
    if not uses_client(settings):
        return "empty"
    secret = settings.zendesk_client_secret.get_secret_value()
    return "set (not shown)" if _require(secret, "ZENDESK_CLIENT_SECRET") else ""


def _api_token(settings: Settings) -> str:
    """Return HELPDESK_API_TOKEN, of accounts that still have one.

    Raises:
        SettingsError: it is empty, so there is no login at all.
    """
    if not settings.helpdesk_api_token.get_secret_value().strip():
        raise SettingsError(
            "No login is set. Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET; "
            "docs/helpdesks/zendesk.md says how to make them."
        )
    return api_token(settings)


def _require(value: str, name: str) -> str:
    if not value.strip():
        raise SettingsError(
            f"{name} is empty. Get it from Zendesk's Admin Center, Apps and integrations, APIs, "
            "OAuth clients."
        )
    return value.strip()


def _email(settings: Settings) -> str:
    """Return the address in HELPDESK_USER, empty for an OAuth token.

    Raises:
        SettingsError: HELPDESK_USER is not an e-mail address.
    """
    user = settings.helpdesk_user.strip().removesuffix("/token")
    if user and ("@" not in user or ":" in user or not user.isprintable()):
        raise SettingsError(
            "HELPDESK_USER is not an e-mail address. Set it to the address that the API token is "
            "used with, or leave it empty and set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET."
        )
    return user
