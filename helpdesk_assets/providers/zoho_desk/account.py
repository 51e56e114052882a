"""A Zoho Desk account: its data centre, settings, limits and errors.

Must not know tickets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    HelpdeskAssetsError,
    RateLimitExhausted,
    RightMissing,
    SettingsError,
)
from helpdesk_assets.providers.client import errors
from helpdesk_assets.providers.client.header_values import parse_count, retry_after
from helpdesk_assets.providers.client.rate_limit import MAX_BLOCK_SECONDS, RateLimitState
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.providers.client.retry import MAX_TOTAL_WAIT_SECONDS
from helpdesk_assets.providers.client.token_cache import describe_cache
from helpdesk_assets.providers.zoho_desk.oauth import MAX_TOKEN_REQUESTS, ZohoClient
from helpdesk_assets.settings import Settings

# The accounts server of each data centre. A client of one is unknown to the others.
ACCOUNTS = {
    "desk.zoho.com": "https://accounts.zoho.com",
    "desk.zoho.eu": "https://accounts.zoho.eu",
    "desk.zoho.in": "https://accounts.zoho.in",
    "desk.zoho.com.au": "https://accounts.zoho.com.au",
    "desk.zoho.jp": "https://accounts.zoho.jp",
    "desk.zoho.com.cn": "https://accounts.zoho.com.cn",
    "desk.zohocloud.ca": "https://accounts.zohocloud.ca",
    "desk.zoho.sa": "https://accounts.zoho.sa",
    "desk.zoho.sg": "https://accounts.zoho.sg",
    "desk.zoho.ae": "https://accounts.zoho.ae",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_PAGE_SIZE = 100
# `from` is at most 4999; one revision of the vendor's API description says 999.
RESULT_CAP = 5_000
UNPROCESSABLE = 422
RECYCLE_BIN = "/recycleBin"
MODULES = "/organizationModules"
# The scope that a token needs for each path; all others need `TICKETS_SCOPE`.
SCOPES = {RECYCLE_BIN: "Desk.settings.READ", "/tickets/search": "Desk.search.READ"}
TICKETS_SCOPE = "Desk.tickets.READ"


@dataclass(frozen=True, slots=True)
class ZohoLimits:
    """How much is requested.

    Attributes:
        page_size: rows per page.
        result_cap: rows per query.
        details: whether each ticket is also fetched by its id.
        recycle_bin: whether the recycle bin is read.
    """

    page_size: int
    result_cap: int
    details: bool
    recycle_bin: bool


def client(settings: Settings) -> ZohoClient:
    """Return the OAuth client that the settings name.

    Raises:
        SettingsError: a part of it is empty or invalid.
    """
    return ZohoClient(
        accounts_url(settings),
        _require(settings.zoho_client_id, "ZOHO_CLIENT_ID"),
        _require(settings.zoho_client_secret.get_secret_value(), "ZOHO_CLIENT_SECRET"),
        _require(settings.zoho_refresh_token.get_secret_value(), "ZOHO_REFRESH_TOKEN"),
    )


def accounts_url(settings: Settings) -> str:
    """Return ZOHO_ACCOUNTS_URL, or the accounts server of HELPDESK_BASE_URL's data centre.

    Raises:
        SettingsError: the setting is empty and the data centre is unknown, or the address is not
            safe for a refresh token.
    """
    url = settings.zoho_accounts_url.strip().rstrip("/")
    if not url:
        host = urlsplit(settings.helpdesk_base_url).hostname or ""
        if host not in ACCOUNTS:
            raise SettingsError(
                "ZOHO_ACCOUNTS_URL is empty, and the host of HELPDESK_BASE_URL is not one of "
                f"Zoho's data centres: {', '.join(ACCOUNTS)}. Correct HELPDESK_BASE_URL, or set "
                "ZOHO_ACCOUNTS_URL."
            )
        return ACCOUNTS[host]
    parts = _split_url(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (is_safe and parts.hostname) or parts.username or parts.path or parts.query:
        raise SettingsError(
            "ZOHO_ACCOUNTS_URL is not an address like https://accounts.zoho.eu. Leave it empty to "
            "use that of HELPDESK_BASE_URL's data centre."
        )
    return url


def org_id(settings: Settings) -> str:
    """Return ZOHO_ORG_ID.

    Raises:
        SettingsError: it is not a number.
    """
    number = settings.zoho_org_id.strip()
    if not (number.isascii() and number.isdigit()):
        raise SettingsError(
            "ZOHO_ORG_ID is not the number of an organisation. Zoho Desk shows it under Setup, "
            "Developer Space, API."
        )
    return number


def query_limits(settings: Settings) -> ZohoLimits:
    """Return the limits that the settings name.

    Raises:
        SettingsError: HELPDESK_PAGE_SIZE exceeds what Zoho Desk offers.
    """
    result_cap = settings.helpdesk_result_cap or RESULT_CAP
    size = min(_page_size(settings), result_cap)
    return ZohoLimits(size, result_cap, settings.helpdesk_fetch_details, settings.zoho_recycle_bin)


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """Describe for `doctor` the settings that only Zoho Desk uses or that it reads differently."""
    return {
        "helpdesk_api_token": lambda: "not used: ZOHO_REFRESH_TOKEN is",
        "helpdesk_page_size": lambda: str(_page_size(settings)),
        "helpdesk_result_cap": lambda: str(settings.helpdesk_result_cap or RESULT_CAP),
        "zoho_accounts_url": lambda: accounts_url(settings),
        "zoho_org_id": lambda: org_id(settings),
        "zoho_client_id": lambda: _require(settings.zoho_client_id, "ZOHO_CLIENT_ID"),
        "zoho_client_secret": lambda: _masked(settings.zoho_client_secret, "ZOHO_CLIENT_SECRET"),
        "zoho_refresh_token": lambda: _masked(settings.zoho_refresh_token, "ZOHO_REFRESH_TOKEN"),
        "helpdesk_token_cache": lambda: describe_cache(
            settings, f"Zoho issues {MAX_TOKEN_REQUESTS} in ten minutes."
        ),
        "zoho_credits_kept": lambda: (
            f"{settings.zoho_credits_kept} a day" if settings.zoho_credits_kept else "none"
        ),
        "zoho_recycle_bin": lambda: (
            "read" if settings.zoho_recycle_bin else "not read: deleted tickets stay as they were"
        ),
    }


def remaining_credits(headers: Mapping[str, str]) -> int | None:
    """Return the credits that the portal has left today; None if the answer does not say."""
    return parse_count(headers.get("X-Rate-Limit-Remaining-v3"))


def parse_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
    """Read the remaining daily credits, as a number of calls at the last call's cost."""
    header_values = (
        headers.get(f"X-Rate-Limit-{name}-v3", "") for name in ("Remaining", "Request-Weight")
    )
    remaining_calls, cost = map(parse_count, header_values)
    return () if remaining_calls is None else (RateLimitState(remaining_calls // (cost or 1)),)


def parse_error(reply: Reply) -> HelpdeskAssetsError | None:
    """Return the error for a vendor's error code, None if it adds nothing to the status."""
    code = _code(reply)
    if code == "THRESHOLD_EXCEEDED":
        return _credits_spent(reply)
    if reply.status == errors.TOO_MANY_REQUESTS:
        # All limits are the portal's, so the listing would be refused like the search.
        return errors.AccountLimitReached(
            f"Zoho Desk answered 429 to GET {reply.path}: the portal's limit of calls is used up. "
            "Run again later, or lower HELPDESK_CONCURRENCY.",
            retry_after(reply.headers, reply.served_at),
        )
    if reply.status == UNPROCESSABLE:
        return _refused_parameter(reply)
    if reply.status not in (401, 403):
        return None
    scope = SCOPES.get(reply.path, TICKETS_SCOPE)
    bin_is_optional = " or set ZOHO_RECYCLE_BIN=false" if reply.path == RECYCLE_BIN else ""
    messages = {
        "SCOPE_MISMATCH": f"the refresh token was made without the scope {scope}; make another "
        f"with it, set it as ZOHO_REFRESH_TOKEN{bin_is_optional}",
        "OAUTH_ORG_MISMATCH": "the refresh token belongs to another organisation than ZOHO_ORG_ID; "
        "correct one of them",
        "LICENSE_ACCESS_LIMITED": "the plan or the agent's licence does not allow it; see the plan "
        "of ZOHO_ORG_ID",
        "FORBIDDEN": "the agent who made ZOHO_REFRESH_TOKEN lacks the right; give it to the "
        f"agent's profile{bin_is_optional}",
    }
    unknown = (
        "it does not accept the access token; check that HELPDESK_BASE_URL is of the data centre "
        "that ZOHO_REFRESH_TOKEN was made in"
    )
    # Any other code that is known speaks of the token or the portal, not of one ticket.
    is_of_one = reply.status == 403 and (code == "FORBIDDEN" or code not in messages)
    detail = f" ({reply.said.rstrip('.')})" if reply.said else ""
    return (RightMissing if is_of_one else CredentialsRefused)(
        f"Zoho Desk answered {reply.status}{detail} to GET {reply.path}: "
        f"{messages.get(code, unknown)}."
    )


def _refused_parameter(reply: Reply) -> HelpdeskAssetsError:
    """Return the error for a parameter that Zoho Desk does not take; its message names it."""
    named = re.search(r"(?:parameter|field) '(\w{1,40})'|'(\w{1,40})' parameter", _message(reply))
    name = "" if named is None else named[1] or named[2]
    advice = (
        f"Set HELPDESK_PAGE_SIZE to {MAX_PAGE_SIZE} or less."
        if name == "limit"
        else "No setting is to blame: look for a newer version of helpdesk-assets, and report this "
        "line if there is none."
    )
    return EndpointFailed(
        f"Zoho Desk answered 422: it refuses {name or 'a parameter'} of GET {reply.path}. {advice}"
    )


def _credits_spent(reply: Reply) -> HelpdeskAssetsError:
    """Return the error for spent credits, one to retry if the requested wait is short enough."""
    requested_wait = retry_after(reply.headers, reply.served_at)
    is_short = requested_wait is not None and requested_wait <= MAX_TOTAL_WAIT_SECONDS
    when = "tomorrow"
    if requested_wait is not None and requested_wait <= MAX_BLOCK_SECONDS * 24:
        when = "later" if is_short else f"in {requested_wait / 60:.0f} minutes"
    text = (
        f"Zoho Desk answered {reply.status} (THRESHOLD_EXCEEDED) to GET {reply.path}: the day's "
        f"API credits of the whole portal are used up. Run again {when}, or see under Setup, "
        "Developer Space, API what has used them."
    )
    if is_short:
        return errors.AccountLimitReached(text, requested_wait)
    return RateLimitExhausted(text)


def _code(reply: Reply) -> str:
    return _text_of(reply, "errorCode")


def _message(reply: Reply) -> str:
    return _text_of(reply, "message")


def _text_of(reply: Reply, name: str) -> str:
    try:
        body: Any = reply.json()
    except errors.TransientError:
        return ""
    return str(body.get(name, "")) if isinstance(body, dict) else ""


def _page_size(settings: Settings) -> int:
    if settings.helpdesk_page_size > MAX_PAGE_SIZE:
        raise SettingsError(
            f"HELPDESK_PAGE_SIZE is {settings.helpdesk_page_size}, and a page of Zoho Desk has "
            f"{MAX_PAGE_SIZE} tickets at most. Set it to {MAX_PAGE_SIZE}."
        )
    return settings.helpdesk_page_size


def _masked(secret: Any, name: str) -> str:
    return "set (not shown)" if _require(secret.get_secret_value(), name) else ""


def _require(value: str, name: str) -> str:
    if not value.strip():
        # The console gives a code, and no refresh token.
        step = 4 if name == "ZOHO_REFRESH_TOKEN" else 2
        raise SettingsError(
            f'{name} is empty. Get it as step {step} of "What to click" in '
            "docs/helpdesks/zoho_desk.md says."
        )
    return value.strip()


def _split_url(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts
