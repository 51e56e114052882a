"""Freshdesk: what is published of the endpoints that the adapter may call."""

from __future__ import annotations

from helpdesk_assets_tests.vendor_requests.description import Endpoint, Values, VendorApi

OAS = "github.com/api-evangelist/freshdesk openapi/_original/freshdesk-rest-api-openapi.yml"
REFERENCE = "developers.freshdesk.com/api/"
HEADERS = {
    "authorization": Values(pattern=r"Basic [A-Za-z0-9+/]+=*"),
    # Anything else is a 406.
    "accept": Values(pattern=r"(application/json|\*/\*)"),
}
ID = r"[1-9]\d*"
TIME = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
LIST_INCLUDES = Values(choices=("description", "requester", "stats"), many=True)
TICKET_INCLUDES = Values(choices=("company", "conversations", "requester", "stats"), many=True)

FRESHDESK = VendorApi(
    "freshdesk",
    (
        Endpoint(
            "GET",
            "/api/v2/tickets",
            f"{OAS} listTickets, {REFERENCE}#list_all_tickets",
            query={
                "updated_since": Values(pattern=TIME),
                "order_by": Values(choices=("created_at", "due_by", "status", "updated_at")),
                "order_type": Values(choices=("asc", "desc")),
                "per_page": Values(minimum=1, maximum=100),
                "page": Values(minimum=1, maximum=300),
                "filter": Values(choices=("deleted", "new_and_my_open", "spam", "watching")),
                "include": LIST_INCLUDES,
            },
            headers=HEADERS,
        ),
        Endpoint(
            "GET",
            f"/api/v2/tickets/{ID}",
            f"{OAS} getTicket, {REFERENCE}#view_a_ticket",
            query={"include": TICKET_INCLUDES},
            headers=HEADERS,
        ),
        Endpoint(
            "GET",
            f"/api/v2/tickets/archived/{ID}",
            f"{REFERENCE}#archive_tickets",
            query={"include": TICKET_INCLUDES},
            headers=HEADERS,
        ),
        Endpoint(
            "GET",
            "/api/v2/agents/me",
            f"{OAS} getCurrentAgent, {REFERENCE}#me",
            headers=HEADERS,
        ),
        Endpoint(
            "GET",
            "/api/v2/ticket_fields",
            f"{REFERENCE}#list_all_ticket_fields",
            query={"type": Values(pattern=r"\w+")},
            headers=HEADERS,
        ),
    ),
)
