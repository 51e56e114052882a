"""Query parameters and credentials of Zendesk's API, and the errors for invalid parameters.

Must not import anything about tickets.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple

from helpdesk_assets.local.simulator.middleware import ApiError

LARGEST_EXPORT_PAGE = 1000
LARGEST_LIST_PAGE = 100


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
