"""Zendesk's list and search of tickets, and several tickets by id.

No change endpoint: the list leaves out archived and deleted tickets, and the search ends at a
thousand. Sources: developer.zendesk.com, /api-reference/ticketing/tickets/tickets/,
/api-reference/ticketing/ticket-management/search/ and /api-reference/introduction/pagination/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request

from helpdesk_assets.local.simulator.dialects.zendesk_requests import (
    LARGEST_LIST_PAGE,
    LIST_PARAMETERS,
    ListedError,
    check_parameters,
    parse_page_size,
    whole_number,
)
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.middleware import ApiError, EndpointResult
from helpdesk_assets.local.simulator.ticket_factory import Json

# Pages by number end at these rows.
LARGEST_OFFSET, LARGEST_SEARCH = 10_000, 1_000
LARGEST_SHOWN = 100
SEARCH_PARAMETERS = frozenset({"query", "sort_by", "sort_order", "page", "per_page"})


class ListEndpoints:
    """The lists of one helpdesk."""

    def __init__(self, backend: HelpdeskBackend, shown: Callable[[str], Json]) -> None:
        """Create the endpoints; `shown` returns a live ticket by its id, or raises ApiError."""
        self._backend = backend
        self._shown = shown

    def listing(self, request: Request) -> EndpointResult:
        """By cursor, ascending by id; without archived and deleted tickets."""
        query = request.query_params
        check_parameters(self._backend, query, LIST_PARAMETERS)
        if "page" in query:
            return self._numbered(query)
        size = parse_page_size(query, "page[size]", LARGEST_LIST_PAGE)
        after = whole_number(query.get("page[after]", "0"), "page[after]")
        listed_ids = (
            int(each) for each in self._backend.store.ids() if each not in self._backend.archived
        )
        ids = sorted(each for each in listed_ids if each > after)
        rows = [self._shown(str(each)) for each in ids[:size]]
        more = len(ids) > size
        meta = {"has_more": more, "after_cursor": str(rows[-1]["id"]) if rows else None}
        return EndpointResult({"tickets": rows, "meta": meta}, tickets=len(rows))

    def _numbered(self, query: Mapping[str, str]) -> EndpointResult:
        page, size = _numbered_page(query)
        if page * size > LARGEST_OFFSET:
            raise ListedError(400, "Page is too deep", code="InvalidPaginationDepth")
        ids = sorted(map(int, set(self._backend.store.ids()) - self._backend.archived))
        rows = [self._shown(str(each)) for each in ids[(page - 1) * size : page * size]]
        return EndpointResult({"tickets": rows, "count": len(ids)}, tickets=len(rows))

    def search(self, request: Request) -> EndpointResult:
        """By the query `type:ticket` alone, in pages by number, newest ticket first."""
        query = request.query_params
        # With `page[size]` it is a 400 as well.
        check_parameters(self._backend, query, SEARCH_PARAMETERS)
        if query.get("query") != "type:ticket":
            raise ApiError(400, "only type:ticket is simulated")
        page, size = _numbered_page(query)
        if page * size > LARGEST_SEARCH:
            message = "Number of allowed results per search exceeded"
            raise ListedError(422, message, code="SearchResponseLimits")
        ids = sorted(map(int, self._backend.store.ids()), reverse=True)
        rows = [self._shown(str(each)) for each in ids[(page - 1) * size : page * size]]
        return EndpointResult({"results": rows, "count": len(ids)}, tickets=len(rows))

    def show_many(self, request: Request) -> EndpointResult:
        """By `ids`; those that there are not are absent."""
        query = request.query_params
        check_parameters(self._backend, query, frozenset({"ids"}))
        wanted = query.get("ids", "").split(",")
        if len(wanted) > LARGEST_SHOWN:
            raise ApiError(400, f"ids may have {LARGEST_SHOWN} at most", code="TooManyValues")
        live = [each for each in wanted if each in set(self._backend.store.ids())]
        return EndpointResult({"tickets": [self._shown(each) for each in live]}, tickets=len(live))


def _numbered_page(query: Mapping[str, str]) -> tuple[int, int]:
    size = parse_page_size(query, "per_page", LARGEST_LIST_PAGE)
    return whole_number(query.get("page", "1"), "page"), size
