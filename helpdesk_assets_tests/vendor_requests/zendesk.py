"""Zendesk Support: what is published of the endpoints that the adapter may call."""

from __future__ import annotations

from helpdesk_assets_tests.vendor_requests.description import TEXT, Endpoint, Values, VendorApi

OAS = "github.com/api-evangelist/zendesk openapi/_original/"
REFERENCE = "developer.zendesk.com/api-reference/ticketing/"
# Basic has the user `{email}/token`; which one is for the login's own tests to say.
LOGIN = {"authorization": Values(pattern=r"(Bearer \S+|Basic [A-Za-z0-9+/]+=*)")}
# The id of a ticket is a positive whole number.
ID = r"[1-9]\d*"
SIDE_LOADS = (
    "comment_count", "dates", "groups", "incident_counts", "metric_sets", "organizations",
    "sharing_agreements", "ticket_forms", "users",
)  # fmt: skip

ZENDESK = VendorApi(
    "zendesk",
    (
        Endpoint(
            "GET",
            r"/api/v2/incremental/tickets/cursor(\.json)?",
            f"{OAS}incremental-openapi-original.yml, {REFERENCE}ticket-management/"
            "incremental_exports/",
            query={
                "start_time": Values(minimum=0),
                # Opaque: whatever an answer gave.
                "cursor": TEXT,
                "per_page": Values(minimum=1, maximum=1000),
                "support_type_scope": Values(choices=("agent", "ai_agent", "all")),
                "include": Values(choices=SIDE_LOADS, many=True),
                "exclude_deleted": Values(choices=("true", "false")),
            },
            exclusive=[("start_time", "cursor")],
            headers=LOGIN,
        ),
        Endpoint(
            "GET",
            r"/api/v2/tickets(\.json)?",
            f"{OAS}zendesk-support-openapi.yml, {REFERENCE}tickets/tickets/",
            query={
                r"page\[size\]": Values(minimum=1, maximum=100),
                r"page\[after\]": TEXT,
                "include": Values(choices=SIDE_LOADS, many=True),
            },
            headers=LOGIN,
        ),
        Endpoint(
            "GET",
            rf"/api/v2/tickets/{ID}(\.json)?",
            f"{OAS}zendesk-support-openapi.yml, {REFERENCE}tickets/tickets/#show-ticket",
            query={"include": Values(choices=SIDE_LOADS, many=True)},
            headers=LOGIN,
        ),
        Endpoint(
            "GET",
            r"/api/v2/users/me(\.json)?",
            f"{OAS}zendesk-support-openapi.yml, {REFERENCE}users/users/#show-self",
            headers=LOGIN,
        ),
        Endpoint(
            "POST",
            r"/oauth/tokens",
            f"{REFERENCE}oauth/grant_type_tokens/",
            headers={"content-type": Values(pattern=r"application/json(;.*)?")},
            body={
                "grant_type": Values(choices=("client_credentials",)),
                # The text that identifies a client; its number is refused.
                "client_id": Values(pattern=r".*\D.*"),
                "client_secret": TEXT,
                # A list is taken, and its token is good for nothing.
                "scope": Values(pattern=r"[a-z_:]+( [a-z_:]+)*"),
            },
            body_is_json=True,
        ),
    ),
)
