"""Reading what a call asks for, and the page tokens.

Tokens are offsets underneath, as in the helpdesks that lose tickets this way: a ticket that changes
leaves its place, the rest shift by one, and the next page skips one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

MAX_PAGE_SIZE = 100


class InvalidParameter(ValueError):
    """A parameter of the call cannot be used; the text is for the caller."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page as it was asked for. `repeat_count` counts tokens that stayed at one offset."""

    offset: int
    size: int
    token: str | None
    repeat_count: int = 0


def encode_page_token(endpoint: str, offset: int, repeat_count: int = 0) -> str:
    return base64.urlsafe_b64encode(f"{endpoint}:{offset}:{repeat_count}".encode()).decode()


def parse_page_request(endpoint: str, query: Mapping[str, str]) -> PageRequest:
    """The page wanted.

    Raises:
        BadParameter: pageSize or pageToken cannot be used here.
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
    """Both ends of `modifiedTimeRange`, inclusive, in seconds since 1970.

    Raises:
        BadParameter: it is absent, not two UTC times, reversed, or another order is asked for.
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
    # Only Z: an offset's plus sign arrives as a blank, and a bound without zone is a guess.
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
