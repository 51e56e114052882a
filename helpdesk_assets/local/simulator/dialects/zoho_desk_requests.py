"""Query parameters of Zoho Desk, which answers an unknown or invalid one with an error.

Must not import anything about tickets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from helpdesk_assets.local.simulator.middleware import ApiError

# "Search tickets": zoho/zohodesk-oas, v1.0/Search.json, searchTickets.
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10
# Number of rows that one query can reach; the highest `from` is one less.
CAP = 5_000
# "List deleted resources": v1.0/Recyclebin.json at 83b5c18. At 3f7016e it is 100.
MAX_BIN_PAGE_SIZE = 50

# Other documented filters of the search are not simulated, and are refused like unknown ones.
SEARCH_PARAMETERS = ("modifiedTimeRange", "createdTimeRange", "id", "sortBy", "limit", "from")
BIN_PARAMETERS = ("limit", "from", "departmentId", "moduleId", "include")
# At 3f7016e alone.
SORTED_BIN_PARAMETERS = ("sortBy", "module")
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
ORDERS = ("relevance", "modifiedTime", "createdTime", "customerResponseTime")
BIN_ORDERS = ("name", "type", "department", "deletedBy", "deletedTime")
BIN_INCLUDES = ("deletedBy", "department")

# The vendor's pattern of one end of a range (v1.0/Search.json): the years 1900 to 2099 alone, and
# offsets such as +05:30 do not fit.
_TIME = re.compile(
    r"((19|20)\d\d)[-/.](0?[1-9]|1[012])[-/.](0?[1-9]|[12][0-9]|3[01])T"
    r"([01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9]([/.]\d{0,3})?Z",
    re.ASCII,
)
_ID = re.compile(r"[0-9]+", re.ASCII)

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
    ids = query["id"].split(",") if "id" in query else None
    for each in ids or ():
        _check_id(each, "id")
    sort_by = query.get("sortBy", "relevance")
    order_by = sort_by.removeprefix("-")
    if order_by not in ORDERS:
        raise Unprocessable("The value passed for the 'sortBy' parameter is invalid.")
    return SearchRequest(
        _range(query, "modifiedTimeRange"),
        _range(query, "createdTimeRange"),
        None if ids is None else frozenset(ids),
        order_by,
        not sort_by.startswith("-"),
        _number(query, "limit", DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE),
        _number(query, "from", 0, 0, (CAP if cap is None else cap) - 1),
    )


class BinRequest(NamedTuple):
    """A requested page of the recycle bin.

    Attributes:
        offset: position of the page's first row.
        limit: rows per page.
        module_id: the module of the rows; None: all.
        order_by: one of `BIN_ORDERS`; None: the bin's own order.
        is_ascending: False if `sortBy` starts with a minus.
    """

    offset: int
    limit: int
    module_id: str | None
    order_by: str | None
    is_ascending: bool


def parse_recycle_bin(
    query: Mapping[str, str], *, can_sort: bool, is_unlimited: bool
) -> BinRequest:
    """Parse the parameters of the recycle bin.

    Args:
        query: the query string.
        can_sort: whether the parameters of the one revision are known.
        is_unlimited: whether any offset is taken; else as many rows can be reached as in a search.

    Raises:
        Unprocessable: a parameter is unknown or invalid.
    """
    _refuse_unknown(query, (*BIN_PARAMETERS, *(SORTED_BIN_PARAMETERS if can_sort else ())))
    for name in ("departmentId", "moduleId"):
        if name in query:
            _check_id(query[name], name)
    order = query.get("sortBy")
    if order is not None and order.removeprefix("-") not in BIN_ORDERS:
        raise Unprocessable("The value passed for the 'sortBy' parameter is invalid.")
    if set(query.get("include", "department").split(",")) - set(BIN_INCLUDES):
        raise Unprocessable("The value passed for the 'include' parameter is invalid.")
    return BinRequest(
        _number(query, "from", 0, 0, None if is_unlimited else CAP - 1),
        _number(query, "limit", DEFAULT_PAGE_SIZE, 1, MAX_BIN_PAGE_SIZE),
        query.get("moduleId"),
        order and order.removeprefix("-"),
        not (order or "").startswith("-"),
    )


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
    if _ID.fullmatch(text) is None:
        raise Unprocessable(f"The value passed for the '{name}' parameter is invalid.")
    if int(text) < minimum or (maximum is not None and int(text) > maximum):
        # As users report it, for example of limit.
        span = f"{minimum}-{maximum}"
        raise Unprocessable(f"The value passed for field '{name}' exceeds the range of '{span}'.")
    return int(text)


def _check_id(text: str, name: str) -> None:
    if _ID.fullmatch(text) is None:
        raise Unprocessable(f"The value passed for the '{name}' parameter is invalid.")


def check_no_parameters(query: Mapping[str, str]) -> None:
    """Refuse every parameter.

    Raises:
        Unprocessable: there is one.
    """
    _refuse_unknown(query, ())


def check_ticket_id(ticket_id: str) -> None:
    """Refuse what is no id (v1.0/Ticket.json, getTicket).

    Raises:
        Unprocessable: it is not made of digits.
    """
    _check_id(ticket_id, "ticketId")


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
