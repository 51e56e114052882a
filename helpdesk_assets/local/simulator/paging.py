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

LARGEST_PAGE = 100


class BadParameter(ValueError):
    """A parameter of the call cannot be used; the text is for the caller."""


@dataclass(frozen=True, slots=True)
class PageAsk:
    """One page as it was asked for. `hop` counts tokens that stayed at one offset."""

    offset: int
    size: int
    token: str | None
    hop: int = 0


def write_token(endpoint: str, offset: int, hop: int = 0) -> str:
    return base64.urlsafe_b64encode(f"{endpoint}:{offset}:{hop}".encode()).decode()


def read_page_ask(endpoint: str, query: Mapping[str, str]) -> PageAsk:
    """The page wanted.

    Raises:
        BadParameter: pageSize or pageToken cannot be used here.
    """
    size = _whole_number(query.get("pageSize", str(LARGEST_PAGE)), "pageSize")
    if not 1 <= size <= LARGEST_PAGE:
        raise BadParameter(f"pageSize must be between 1 and {LARGEST_PAGE}")
    token = query.get("pageToken")
    if token is None:
        return PageAsk(0, size, None)
    try:
        kind, place, again = base64.b64decode(token, altchars=b"-_", validate=True).split(b":")
        offset, hop = int(place), int(again)
    except (ValueError, binascii.Error):
        raise BadParameter("pageToken is not one of ours") from None
    if kind != endpoint.encode() or offset < 0:
        raise BadParameter("pageToken belongs to another endpoint")
    return PageAsk(offset, size, token, hop)


def read_range(query: Mapping[str, str]) -> tuple[int, int]:
    """Both ends of `modifiedTimeRange`, inclusive, in seconds since 1970.

    Raises:
        BadParameter: it is absent, not two UTC times, reversed, or another order is asked for.
    """
    if query.get("sortBy", "modifiedTime") != "modifiedTime":
        raise BadParameter("sortBy must be modifiedTime")
    start, comma, end = query.get("modifiedTimeRange", "").partition(",")
    if not comma:
        raise BadParameter("modifiedTimeRange must be START,END")
    low, high = _utc_second(start), _utc_second(end)
    if low > high:
        raise BadParameter("modifiedTimeRange ends before it starts")
    return low, high


def _utc_second(text: str) -> int:
    # Only Z: an offset's plus sign arrives as a blank, and a bound without zone is a guess.
    if not text.endswith("Z") or "T" not in text:
        raise BadParameter(f"not an ISO 8601 UTC time: {text!r}")
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise BadParameter(f"not an ISO 8601 UTC time: {text!r}") from None


def _whole_number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadParameter(f"{name} must be a whole number")
    return int(text)
