"""A Zendesk account: its login, page size and rate limits.

Must not know tickets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.providers.client.auth import Auth, BasicAuth, TokenAuth, api_token
from helpdesk_assets.providers.client.header_values import parse_count, parse_reset
from helpdesk_assets.providers.client.rate_limit import RateLimitState
from helpdesk_assets.settings import Settings

MAX_PAGE_SIZE = 1000
# The scope of the exports: their rate limit is far below the account's.
EXPORT_SCOPE = "export"
EXPORT_LIMIT_HEADER = "zendesk-ratelimit-incremental"


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """Describe for `doctor` the settings that Zendesk reads differently."""
    return {
        "helpdesk_user": lambda: _email(settings) or "empty: the token is an OAuth access token",
        "helpdesk_page_size": lambda: str(page_size(settings)),
        "helpdesk_concurrency": lambda: "1 (the export has one cursor)",
        "zendesk_exports_per_minute": lambda: str(settings.zendesk_exports_per_minute),
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


def make_auth(settings: Settings) -> Auth:
    """Return the login: an API token as password of `{email}/token`, or an OAuth bearer token.

    Raises:
        SettingsError: HELPDESK_USER is not an e-mail address, or the token is empty.
    """
    token, email = api_token(settings), _email(settings)
    return BasicAuth(f"{email}/token", token) if email else TokenAuth(token)


def page_size(settings: Settings) -> int:
    """Return the maximum unless the user sets less: the export allows only 10 calls a minute."""
    is_set = "helpdesk_page_size" in settings.model_fields_set
    return settings.helpdesk_page_size if is_set else MAX_PAGE_SIZE


def _email(settings: Settings) -> str:
    """Return the address in HELPDESK_USER, empty for an OAuth token.

    Raises:
        SettingsError: HELPDESK_USER is not an e-mail address.
    """
    user = settings.helpdesk_user.strip().removesuffix("/token")
    if user and ("@" not in user or ":" in user or not user.isprintable()):
        raise SettingsError(
            "HELPDESK_USER is not an e-mail address. Set it to the address that the API token is "
            "used with, or leave it empty if HELPDESK_API_TOKEN is an OAuth access token."
        )
    return user
