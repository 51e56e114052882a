"""Request Tracker: what REST 2 and its query languages take of what the adapter may ask.

The sources are the documentation within RT 5.0.3, lib/RT/REST2.pm, and what that release answered.
"""

from __future__ import annotations

from helpdesk_assets_tests.vendor_requests.description import Endpoint, Values, VendorApi

REST2 = "docs.bestpractical.com/rt/5.0.3/RT/REST2.html"
TICKET_SQL = "docs.bestpractical.com/rt/5.0.3/query_builder.html"
HEADERS = {"authorization": Values(pattern=r"(token \S+|Basic [A-Za-z0-9+/]+=*)")}
ID = r"[1-9]\d*"

# A time with a T is not refused: its time of day is dropped, or it finds nothing.
_TIME = r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d'"
_OPERATOR = r" (=|!=|<=|>=|<|>) "
_TICKET = rf"(LastUpdated{_OPERATOR}{_TIME}|id{_OPERATOR}\d+)"
_TRANSACTION = (
    rf"((Created|TicketLastUpdated){_OPERATOR}{_TIME}|(id|ObjectId){_OPERATOR}\d+"
    r"|(ObjectType|TicketType|TicketStatus|Type|Field|NewValue) = '[^']+')"
)


def _query(condition: str) -> Values:
    """Conditions joined by AND and OR, with brackets around any of them."""
    return Values(pattern=rf"\(*{condition}\)*( (AND|OR) \(*{condition}\)*)*")


def _list_parameters(condition: str, order: tuple[str, ...]) -> dict[str, Values]:
    return {
        "query": _query(condition),
        "orderby": Values(choices=order),
        # Any other value counts as ASC, without a word.
        "order": Values(choices=("ASC", "DESC")),
        "page": Values(minimum=1),
        # More than 100 are cut to 100, without a word.
        "per_page": Values(minimum=1, maximum=100),
        **FIELDS,
    }


FIELDS = {
    "fields": Values(pattern=r"[A-Z]\w+", many=True),
    r"fields\[\w+\]": Values(pattern=r"[A-Z]\w+", many=True),
}

REQUEST_TRACKER = VendorApi(
    "request_tracker",
    (
        Endpoint(
            "GET",
            "/REST/2.0/tickets",
            f"{REST2} Tickets, Paging, Fields; {TICKET_SQL}",
            query=_list_parameters(_TICKET, ("LastUpdated", "id")),
            required=["query"],
            headers=HEADERS,
            repeatable=["orderby", "order"],
        ),
        Endpoint(
            "GET",
            "/REST/2.0/transactions",
            f"{REST2} Transactions",
            query=_list_parameters(_TRANSACTION, ("id",)),
            required=["query"],
            headers=HEADERS,
            repeatable=["orderby", "order"],
        ),
        Endpoint(
            "GET",
            f"/REST/2.0/ticket/{ID}",
            f"{REST2} Tickets, Fields",
            query=FIELDS,
            headers=HEADERS,
        ),
        Endpoint("GET", "/REST/2.0/user/[^/]+", f"{REST2} Users", query=FIELDS, headers=HEADERS),
    ),
)
