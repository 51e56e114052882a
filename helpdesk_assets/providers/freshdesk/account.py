"""A Freshdesk account: its API key, query limits and rate limits.

Must not know tickets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from helpdesk_assets.errors import (
    EndpointFailed,
    HelpdeskAssetsError,
    RightMissing,
    SettingsError,
)
from helpdesk_assets.providers.client.auth import BasicAuth, api_token
from helpdesk_assets.providers.client.rate_limit import RateLimitState, parse_rate_limit_headers
from helpdesk_assets.providers.client.reply import Reply
from helpdesk_assets.settings import Settings

MAX_PAGE_SIZE = 100
# Freshdesk rejects page 301, whatever the page size.
MAX_PAGES = 300
INCLUDES = ("description", "requester", "stats")
# The scope of the lists: their rate limit is below the account's, 20 of 200 calls a minute on the
# Growth plan.
LIST_SCOPE = "lists"
GLOBAL_SCOPE = 1
MAX_SHOWN_CHARS = 40
SCOPES = {2: "the tickets of its groups only", 3: "the tickets assigned to it only"}


class PageOutOfRange(EndpointFailed):
    """Freshdesk rejected a page number."""


class FeatureMissing(RightMissing):
    """The account's plan does not have this endpoint."""


@dataclass(frozen=True, slots=True)
class FreshdeskLimits:
    """How much is requested.

    Attributes:
        page_size: rows per page.
        pages: pages per query.
        include: what Freshdesk embeds in each row.
        details: whether each ticket is also fetched by its id.
        archive: whether a reconciliation asks for archived tickets.
    """

    page_size: int
    pages: int
    include: tuple[str, ...]
    details: bool
    archive: bool

    @property
    def rows(self) -> int:
        """Rows per query."""
        return self.page_size * self.pages


def make_auth(settings: Settings) -> BasicAuth:
    """Return the login: the key as user, and a password that Freshdesk requires but ignores.

    Raises:
        SettingsError: the key is empty or invalid.
    """
    return BasicAuth(_key(settings), "X")


def query_limits(settings: Settings) -> FreshdeskLimits:
    """Return the limits: Freshdesk counts pages, HELPDESK_RESULT_CAP counts rows.

    Raises:
        SettingsError: a setting exceeds what Freshdesk offers.
    """
    size, pages = _page_limits(settings.helpdesk_result_cap, _page_size(settings))
    return FreshdeskLimits(
        size,
        pages,
        _include(settings),
        settings.helpdesk_fetch_details,
        settings.freshdesk_archive,
    )


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """Describe for `doctor` the settings that Freshdesk reads differently."""
    return {
        "helpdesk_api_token": lambda: "set (not shown)" if _key(settings) else "empty",
        "helpdesk_page_size": lambda: str(_page_size(settings)),
        "helpdesk_result_cap": lambda: _cap(settings),
        "freshdesk_include": lambda: ", ".join(_include(settings)) or "nothing",
        "freshdesk_lists_per_minute": lambda: str(
            settings.freshdesk_lists_per_minute or "what Freshdesk allows"
        ),
        "freshdesk_archive": lambda: str(settings.freshdesk_archive),
    }


def parse_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
    """Read the account's remaining calls; no header tells when the limit resets."""
    return parse_rate_limit_headers(
        headers, remaining="X-RateLimit-Remaining", limit="X-RateLimit-Total"
    )


def blind_spot(agent: Mapping[str, Any]) -> str | None:
    """Return why the key's agent may not see every ticket, as a clause; None if it does.

    Args:
        agent: the answer to GET /agents/me. Its `ticket_scope` is 1 for global access, 2 for the
            agent's groups and 3 for a restricted one (developers.freshdesk.com/api/#agents).
    """
    scope = agent.get("ticket_scope")
    # Nothing but the documented number counts as global: not `true`, which equals 1 in Python.
    number = scope if type(scope) is int else 0
    if number == GLOBAL_SCOPE:
        return None
    which = SCOPES.get(number, f"tickets by the scope {ascii(scope)[:MAX_SHOWN_CHARS]} only")
    return (
        f"the agent of HELPDESK_API_TOKEN sees {which}; give it the scope Global access in "
        "Freshdesk"
    )


def credits_of(include: Collection[str], each: int) -> int:
    """Return as how many calls Freshdesk counts one.

    Args:
        include: what is embedded.
        each: what one of these adds: 2 in a list, 1 in a single ticket
            (developers.freshdesk.com/api/#ratelimit). Whether it counts for the list's own limit
            too is not documented, so it does here.
    """
    return 1 + each * len(include)


def parse_error(reply: Reply) -> HelpdeskAssetsError | None:
    """Return an error for a rejected page number or a plan that lacks the endpoint."""
    if reply.status == 400 and b'"page"' in reply.body:
        return PageOutOfRange(f"GET {reply.path} answered 400: Freshdesk gives no further page.")
    if reply.status == 403 and b'"require_feature"' in reply.body:
        return FeatureMissing(
            f"GET {reply.path} answered 403: the plan of this Freshdesk account does not have it."
        )
    return None


def _page_limits(cap: int, size: int) -> tuple[int, int]:
    """Return rows per page and pages per query, within `cap` rows unless that is 0."""
    if not cap:
        return size, MAX_PAGES
    size = min(size, cap)
    return size, min(cap // size, MAX_PAGES)


def _cap(settings: Settings) -> str:
    size = min(settings.helpdesk_page_size, MAX_PAGE_SIZE)
    size, pages = _page_limits(settings.helpdesk_result_cap, size)
    return f"{size * pages} ({pages} pages of {size})"


def _key(settings: Settings) -> str:
    key = api_token(settings)
    if ":" in key or " " in key or not key.isascii() or not key.isprintable():
        raise SettingsError(
            "HELPDESK_API_TOKEN holds a colon, a space or a character outside ASCII, which no key "
            "of Freshdesk has. Copy the key alone, without the :X that follows it in examples."
        )
    return key


def _page_size(settings: Settings) -> int:
    if settings.helpdesk_page_size > MAX_PAGE_SIZE:
        raise SettingsError(
            f"HELPDESK_PAGE_SIZE is {settings.helpdesk_page_size}, and a page of Freshdesk has "
            f"{MAX_PAGE_SIZE} tickets at most. Set it to {MAX_PAGE_SIZE}."
        )
    return settings.helpdesk_page_size


def _include(settings: Settings) -> tuple[str, ...]:
    names = [name.strip() for name in settings.freshdesk_include.split(",") if name.strip()]
    if unknown := sorted(set(names) - set(INCLUDES)):
        raise SettingsError(
            f"FRESHDESK_INCLUDE names {', '.join(unknown)}, which Freshdesk's list does not have. "
            f"It has {', '.join(INCLUDES)}."
        )
    return tuple(dict.fromkeys(names))
