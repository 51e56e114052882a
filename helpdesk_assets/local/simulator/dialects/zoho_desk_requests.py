"""Query parameters of Zoho Desk, which answers an unknown or invalid one with an error.

Must not import anything about tickets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from helpdesk_assets.local.simulator.middleware import ApiError

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10
# Number of rows that one query can reach; the highest `from` is one less.
CAP = 5_000
MAX_BIN_PAGE_SIZE = 50

# Other documented filters of the search are not simulated, and are refused like unknown ones.
SEARCH_PARAMETERS = ("modifiedTimeRange", "createdTimeRange", "id", "sortBy", "limit", "from")
BIN_PARAMETERS = ("limit", "from", "departmentId", "moduleId")
TICKET_PARAMETERS = ("include",)
# Accepted in the query instead of the header of the same name.
ORG = "orgId"
INCLUDES = {
    "contacts": "contact",
    "products": "product",
    "departments": "department",
    "team": "team",
    "assignee": "assignee",
    "contract": "contract",
    "isRead": "isRead",
    "skills": "skills",
}
ORDERS = ("relevance", "modifiedTime", "createdTime")

# Offsets such as +05:30 do not fit.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")

Range = tuple[int, int]


class Unprocessable(ApiError):
    """A 422."""

    def __init__(self, message: str) -> None:
        super().__init__(422, message)


class SearchRequest(NamedTuple):
    """A requested page of the search.

    Attributes:
        modified: `modifiedTimeRange` in milliseconds since 1970; None if not given.
        created: `createdTimeRange`, likewise.
        ids: the filter `id`; None if not given.
        order_by: one of `ORDERS`.
        is_ascending: False if `sortBy` starts with a minus.
        limit: tickets per page.
        offset: position of the page's first ticket.
    """

    modified: Range | None
    created: Range | None
    ids: Collection[str] | None
    order_by: str
    is_ascending: bool
    limit: int
    offset: int

    @property
    def endpoint(self) -> str:
        """The endpoint's name for faults and counters: a range of creation times is a listing."""
        return "listing" if self.modified is None and self.created is not None else "search"


def parse_search(query: Mapping[str, str], cap: int | None) -> SearchRequest:
    """Parse the parameters of the search.

    Args:
        query: the query string.
        cap: number of rows that one query can reach; None for Zoho's 5,000.

    Raises:
        Unprocessable: a parameter is unknown or invalid.
    """
    _refuse_unknown(query, SEARCH_PARAMETERS)
    sort_by = query.get("sortBy", "relevance")
    order_by = sort_by.removeprefix("-")
    if order_by not in ORDERS:
        raise Unprocessable("The value passed for the 'sortBy' parameter is invalid.")
    return SearchRequest(
        _range(query, "modifiedTimeRange"),
        _range(query, "createdTimeRange"),
        frozenset(query["id"].split(",")) if "id" in query else None,
        order_by,
        not sort_by.startswith("-"),
        _number(query, "limit", DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE),
        _number(query, "from", 0, 0, (CAP if cap is None else cap) - 1),
    )


def parse_recycle_bin(query: Mapping[str, str]) -> tuple[int, int]:
    """Return offset and limit of a page of the recycle bin.

    Raises:
        Unprocessable: a parameter is unknown or invalid.
    """
    _refuse_unknown(query, BIN_PARAMETERS)
    limit = _number(query, "limit", DEFAULT_PAGE_SIZE, 1, MAX_BIN_PAGE_SIZE)
    return _number(query, "from", 0, 0, None), limit


def parse_includes(query: Mapping[str, str]) -> Collection[str]:
    """Return the additional fields that `include` requests for a single ticket.

    Raises:
        Unprocessable: a parameter is unknown or invalid.
    """
    _refuse_unknown(query, TICKET_PARAMETERS)
    names = query["include"].split(",") if "include" in query else []
    if set(names) - set(INCLUDES):
        raise Unprocessable("The value passed for the 'include' parameter is invalid.")
    return [INCLUDES[name] for name in names]


def _refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    for name in query:
        if name not in (*known, ORG):
            raise Unprocessable(f"Extra query parameter '{name}' is present in the input.")


def _number(
    query: Mapping[str, str], name: str, default: int, minimum: int, maximum: int | None
) -> int:
    text = query.get(name, str(default))
    is_number = text.isascii() and text.isdigit()
    if not is_number or int(text) < minimum or (maximum is not None and int(text) > maximum):
        raise Unprocessable(f"The value passed for the '{name}' parameter is invalid.")
    return int(text)


def _range(query: Mapping[str, str], name: str) -> Range | None:
    if name not in query:
        return None
    start, _, end = query[name].partition(",")
    if not (_TIME.fullmatch(start) and _TIME.fullmatch(end)):
        raise Unprocessable(f"The value passed for the '{name}' parameter is invalid.")
    try:
        low, high = (round(datetime.fromisoformat(t).timestamp() * 1000) for t in (start, end))
    except ValueError:
        raise Unprocessable(f"The value passed for the '{name}' parameter is invalid.") from None
    if low > high:
        raise Unprocessable(f"The value passed for the '{name}' parameter is invalid.")
    return low, high
