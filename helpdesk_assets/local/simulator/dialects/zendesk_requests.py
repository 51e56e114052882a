"""Query parameters and credentials of Zendesk's API, and the errors for invalid parameters.

Must not import anything about tickets.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple

from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import ApiError

LARGEST_EXPORT_PAGE = 1000
LARGEST_LIST_PAGE = 100
# What the vendor's pages list for each endpoint, less side-loads, which the simulated account has
# not: incremental_exports/, tickets/#list-tickets, tickets/#show-ticket.
EXPORT_PARAMETERS = frozenset(
    {"start_time", "cursor", "per_page", "support_type_scope", "exclude_deleted"}
)
LIST_PARAMETERS = frozenset({"page[size]", "page[after]", "page", "per_page"})
# The default leaves out tickets that only AI agents handle (incremental_exports/).
SUPPORT_TYPE_SCOPES = ("all", "agent", "ai_agent")
DEFAULT_SUPPORT_TYPE_SCOPE = "agent"


class TextError(ApiError):
    """An error whose body is bare text, as gateways and some endpoints of Zendesk send."""


class ListedError(ApiError):
    """An error in a list `errors`, one of the vendor's four shapes."""


class ScopeError(ApiError):
    """A 403 because of the token's scope: `error` is a text, and no object as for rights."""


def check_parameters(
    backend: HelpdeskBackend, query: Mapping[str, str], known: frozenset[str]
) -> None:
    """Check that the endpoint has each parameter.

    Args:
        backend: knows whether Zendesk is taken to ignore others.
        query: the query string.
        known: the endpoint's parameters.

    Raises:
        ApiError: a 400, because it lacks one.
    """
    unknown = sorted(set(query) - known)
    if unknown and not backend.is_friendly("zendesk.unknown_parameter_is_ignored"):
        raise ApiError(400, f"unknown parameters: {', '.join(unknown)}", code="InvalidParameter")


def parse_choice(
    query: Mapping[str, str], name: str, choices: tuple[str, ...], default: str
) -> str:
    """Return the value of the parameter `name`.

    Args:
        query: the query string.
        name: the parameter's name.
        choices: the values that the endpoint accepts.
        default: the value if there is none.

    Raises:
        ApiError: a 400, because the value is not one of `choices`.
    """
    value = query.get(name, default)
    if value not in choices:
        raise ApiError(400, f"{name} must be one of {', '.join(choices)}")
    return value


class StreamPosition(NamedTuple):
    """A position in the export, after the given ticket at the given second.

    `repeat_count` distinguishes the cursors of empty pages at one position.
    """

    second: int
    ticket_id: str
    repeat_count: int = 0

    def cursor(self) -> str:
        """Return the position as a cursor of the API."""
        return base64.b64encode(
            f"{self.second}.{self.repeat_count}||{self.ticket_id}|".encode()
        ).decode()


def parse_cursor(text: str) -> StreamPosition:
    """Parse a cursor of the export.

    Raises:
        ApiError: a 400, because the text is not a cursor.
    """
    try:
        position, ticket_id, _ = base64.b64decode(text, validate=True).decode().rsplit("|", 2)
        second, repeat_count = position.removesuffix("|").split(".")
        return StreamPosition(int(second), ticket_id, int(repeat_count))
    except (ValueError, binascii.Error):
        raise ApiError(400, "cursor is not valid", code="InvalidCursor") from None


def parse_page_size(query: Mapping[str, str], name: str, largest: int) -> int:
    """Return the page size, which is `largest` by default.

    Args:
        query: the query string.
        name: the parameter's name.
        largest: the largest size that the endpoint accepts.

    Raises:
        ApiError: a 400, because the size is not between 1 and `largest`.
    """
    size = whole_number(query.get(name, str(largest)), name)
    if not 1 <= size <= largest:
        raise ApiError(400, f"{name} must be between 1 and {largest}")
    return size


def whole_number(text: str, name: str) -> int:
    """Parse the value of the parameter `name`.

    Raises:
        ApiError: a 400, because the value is not a whole number.
    """
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, f"{name} must be a whole number")
    return int(text)


def parse_password(basic: str) -> str | None:
    """Return the password of a user `{email}/token`, or None for other users."""
    try:
        user, _, password = base64.b64decode(basic, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password if "@" in user and user.endswith("/token") else None
