"""What is Freshdesk's own about an account: its key, how much may be asked for, and what is left.

Must not know tickets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from helpdesk_assets.errors import EndpointFailed, SettingsError
from helpdesk_assets.providers.client.auth import BasicAuth, api_token
from helpdesk_assets.providers.client.http import Reply
from helpdesk_assets.providers.client.rate_limit import RateLimitState, parse_rate_limit_headers
from helpdesk_assets.settings import Settings

MAX_PAGE_SIZE = 100
# Page 301 is refused, however many tickets a page has.
MAX_PAGES = 300
INCLUDES = ("description", "requester", "stats")
# The lane of the lists: their limit is below the account's, 20 of 200 a minute on the Growth plan.
LIST_SCOPE = "lists"


class PageOutOfRange(EndpointFailed):
    """Freshdesk gives no page of that number."""


@dataclass(frozen=True, slots=True)
class FreshdeskLimits:
    """How much is asked for: rows a page, pages a query, what is embedded in each row, and whether
    each ticket is fetched by its id as well."""

    page_size: int
    pages: int
    include: tuple[str, ...]
    details: bool

    @property
    def rows(self) -> int:
        return self.page_size * self.pages


def make_auth(settings: Settings) -> BasicAuth:
    """The key is the user. Freshdesk wants a password too and does not look at it.

    Raises:
        SettingsError: the key is empty or cannot be one.
    """
    return BasicAuth(_key(settings), "X")


def query_limits(settings: Settings) -> FreshdeskLimits:
    """Freshdesk counts pages, HELPDESK_RESULT_CAP counts rows.

    Raises:
        SettingsError: more is asked for than there is.
    """
    size, pages = _page_limits(settings.helpdesk_result_cap, _page_size(settings))
    return FreshdeskLimits(size, pages, _include(settings), settings.helpdesk_fetch_details)


def describe_settings(settings: Settings) -> Mapping[str, Callable[[], str]]:
    """What the doctor says of the settings that Freshdesk reads in its own way."""
    return {
        "helpdesk_api_token": lambda: "set (not shown)" if _key(settings) else "empty",
        "helpdesk_page_size": lambda: str(_page_size(settings)),
        "helpdesk_result_cap": lambda: _cap(settings),
        "freshdesk_include": lambda: ", ".join(_include(settings)) or "nothing",
        "freshdesk_lists_per_minute": lambda: str(
            settings.freshdesk_lists_per_minute or "what Freshdesk allows"
        ),
    }


def parse_rate_limit(headers: Mapping[str, str]) -> tuple[RateLimitState, ...]:
    """What is left of the account's minute. No header tells when the next one begins."""
    return parse_rate_limit_headers(
        headers, remaining="X-RateLimit-Remaining", limit="X-RateLimit-Total"
    )


def parse_error(reply: Reply) -> PageOutOfRange | None:
    """A refused page says so by the field `page` among the errors of a 400."""
    if reply.status != 400 or b'"page"' not in reply.body:
        return None
    return PageOutOfRange(f"GET {reply.path} answered 400: Freshdesk gives no further page.")


def _page_limits(cap: int, size: int) -> tuple[int, int]:
    """Rows a page and pages a query, within `cap` rows where that is not 0."""
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
