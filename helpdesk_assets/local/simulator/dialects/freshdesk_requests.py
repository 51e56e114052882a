"""Query parameters of Freshdesk's ticket list, and the errors for invalid ones.

Must not import anything about tickets.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from helpdesk_assets.local.simulator.helpdesk import RemovalKind
from helpdesk_assets.local.simulator.middleware import ApiError

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 30
MAX_PAGES = 300

FILTERS = {"deleted": RemovalKind.DELETED, "spam": RemovalKind.SPAM}
ORDERS = ("created_at", "due_by", "updated_at", "status")
LIST_PARAMETERS = (
    "updated_since", "order_by", "order_type", "per_page", "page", "filter", "include",
)  # fmt: skip
LIST_INCLUDES = ("requester", "stats", "description")
TICKET_INCLUDES = ("conversations", "requester", "company", "stats")


class InvalidField(ApiError):
    """A 400 that names the parameter."""

    def __init__(self, field: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(400, message, code=code)
        self.field = field


class ListRequest(NamedTuple):
    """A requested page of the list.

    Attributes:
        removal_kind: the `filter`; None for live tickets.
        since: `updated_since` in seconds since 1970; None if not given.
        order_by: one of `ORDERS`.
        is_ascending: whether `order_type` is `asc`.
        size: tickets per page.
        page: number of the page, from 1.
        include: additional fields.
    """

    removal_kind: RemovalKind | None
    since: int | None
    order_by: str
    is_ascending: bool
    size: int
    page: int
    include: Sequence[str]

    @property
    def offset(self) -> int:
        """Position of the page's first ticket."""
        return (self.page - 1) * self.size

    @property
    def endpoint(self) -> str:
        """The endpoint's name for faults and counters."""
        return "gone" if self.removal_kind else "search"


def parse_list_request(query: Mapping[str, str], cap: int | None) -> ListRequest:
    """Parse the parameters of the list.

    Args:
        query: the query string.
        cap: number of rows that one query can reach; None for 300 pages.

    Raises:
        InvalidField: a parameter is invalid.
    """
    removed = _choice(query, "filter", tuple(FILTERS), "")
    size = _whole_number(query, "per_page", DEFAULT_PAGE_SIZE)
    if size > MAX_PAGE_SIZE:
        raise InvalidField("per_page", f"It should be less than or equal to {MAX_PAGE_SIZE}")
    page = _whole_number(query, "page", 1)
    pages = MAX_PAGES if cap is None else cap // size
    if page > pages:
        raise InvalidField(
            "page",
            f"You cannot access tickets beyond the {pages}th page. Please provide a smaller "
            "page number.",
        )
    return ListRequest(
        FILTERS[removed] if removed else None,
        _second(query["updated_since"]) if "updated_since" in query else None,
        _choice(query, "order_by", ORDERS, "created_at"),
        _choice(query, "order_type", ("asc", "desc"), "desc") == "asc",
        size,
        page,
        parse_include(query, LIST_INCLUDES),
    )


def check_accept(headers: Mapping[str, str]) -> None:
    """Check that the client takes JSON (developers.freshdesk.com/api/#error, 406).

    Raises:
        ApiError: it does not.
    """
    accepted = {part.partition(";")[0].strip() for part in headers.get("accept", "").split(",")}
    if not accepted & {"application/json", "*/*"}:
        raise ApiError(406, "This resource is given as application/json only.")


def check_names(query: Mapping[str, str], known: Sequence[str]) -> None:
    """Check that each parameter is known.

    The refusal was seen on Freshservice; of Freshdesk nobody says whether it ignores them.

    Raises:
        InvalidField: one is not in `known`.
    """
    for name in query:
        if name not in known:
            raise InvalidField(name, "Unexpected/invalid field in request", "invalid_field")


def _choice(query: Mapping[str, str], name: str, known: Sequence[str], default: str) -> str:
    value = query.get(name, default)
    if value not in (*known, default):
        raise InvalidField(name, f"It should be one of these values: '{','.join(known)}'")
    return value


def parse_include(query: Mapping[str, str], known: Sequence[str]) -> Sequence[str]:
    """Return the names in `include`.

    Raises:
        InvalidField: a name is not in `known`.
    """
    names = query["include"].split(",") if "include" in query else []
    if set(names) - set(known):
        raise InvalidField("include", f"It should be one of these values: '{','.join(known)}'")
    return names


def _whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise InvalidField(name, "It should be a Positive Integer", "datatype_mismatch")
    return int(text)


def _second(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        message = "It should be in the 'combined date and time ISO8601' format"
        raise InvalidField("updated_since", message, "invalid_date") from None


def basic_user(basic: str) -> str | None:
    """Return the user of Basic credentials, None if they are malformed."""
    try:
        user, colon, _ = base64.b64decode(basic, validate=True).decode().partition(":")
    except ValueError:
        return None
    return user if colon else None
