"""Query parameters and page tokens of the `rest` API.

Tokens are encoded offsets. Helpdesks with such tokens lose tickets: a ticket that changes leaves
its position, the rest shift by one, and the next page skips one ticket.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

MAX_PAGE_SIZE = 100


class InvalidParameter(ValueError):
    """A query parameter is invalid; the message is the answer to the client."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A requested page. `repeat_count` is the number of tokens issued for this offset before."""

    offset: int
    size: int
    token: str | None
    repeat_count: int = 0


def encode_page_token(endpoint: str, offset: int, repeat_count: int = 0) -> str:
    """Return the token of the page at `offset`.

    Args:
        endpoint: the only endpoint that accepts the token.
        offset: position of the page's first ticket.
        repeat_count: makes a further token for the same offset different.
    """
    return base64.urlsafe_b64encode(f"{endpoint}:{offset}:{repeat_count}".encode()).decode()


def refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse parameters that are not in `known`.

    Raises:
        InvalidParameter: there is one.
    """
    for name in query:
        if name not in known:
            raise InvalidParameter(f"unknown parameter {name}")


def parse_page_request(endpoint: str, query: Mapping[str, str]) -> PageRequest:
    """Parse `pageSize` and `pageToken`.

    Raises:
        InvalidParameter: `pageSize` is out of range, or `pageToken` is invalid for this endpoint.
    """
    size = _whole_number(query.get("pageSize", str(MAX_PAGE_SIZE)), "pageSize")
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise InvalidParameter(f"pageSize must be between 1 and {MAX_PAGE_SIZE}")
    token = query.get("pageToken")
    if token is None:
        return PageRequest(0, size, None)
    try:
        kind, offset_text, repeat_text = base64.b64decode(
            token, altchars=b"-_", validate=True
        ).split(b":")
        offset, repeat_count = int(offset_text), int(repeat_text)
    except (ValueError, binascii.Error):
        raise InvalidParameter("pageToken is not one of ours") from None
    if kind != endpoint.encode() or offset < 0:
        raise InvalidParameter("pageToken belongs to another endpoint")
    return PageRequest(offset, size, token, repeat_count)


def parse_range(query: Mapping[str, str]) -> tuple[int, int]:
    """Return both ends of `modifiedTimeRange`, inclusive, in seconds since 1970.

    Raises:
        InvalidParameter: the range is missing, not two UTC times or reversed, or `sortBy` is not
            `modifiedTime`.
    """
    if query.get("sortBy", "modifiedTime") != "modifiedTime":
        raise InvalidParameter("sortBy must be modifiedTime")
    start, comma, end = query.get("modifiedTimeRange", "").partition(",")
    if not comma:
        raise InvalidParameter("modifiedTimeRange must be START,END")
    low, high = _utc_second(start), _utc_second(end)
    if low > high:
        raise InvalidParameter("modifiedTimeRange ends before it starts")
    return low, high


def _utc_second(text: str) -> int:
    # Only Z: an offset's plus sign arrives as a space, and a time without zone is ambiguous.
    if not text.endswith("Z") or "T" not in text:
        raise InvalidParameter(f"not an ISO 8601 UTC time: {text!r}")
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise InvalidParameter(f"not an ISO 8601 UTC time: {text!r}") from None


def _whole_number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidParameter(f"{name} must be a whole number")
    return int(text)
