"""Zoho Desk: what is published of the endpoints that the adapter may call."""

from __future__ import annotations

from helpdesk_assets_tests.vendor_requests.description import TEXT, Endpoint, Values, VendorApi

OAS = "github.com/zoho/zohodesk-oas v1.0/"
DOCUMENT = "desk.zoho.com/DeskAPIDocument"
HEADERS = {
    "authorization": Values(pattern=r"Zoho-oauthtoken \S+"),
    # Every endpoint but /organizations needs it.
    "orgid": Values(pattern=r"\d+"),
}
ID = r"[0-9]+"
# One end of a range: years 1900 to 2099, no offset, at most three digits of a second.
_DAY = r"((19|20)\d\d)[-/.](0?[1-9]|1[012])[-/.](0?[1-9]|[12][0-9]|3[01])"
_TIME = r"([01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9]([/.]\d{0,3})?"
RANGE = Values(pattern=f"{_DAY}T{_TIME}Z,{_DAY}T{_TIME}Z", longest=100)
SORT_KEYS = ("createdTime", "customerResponseTime", "modifiedTime", "relevance")
MODULES = (
    "accounts", "calls", "contacts", "contracts", "events", "products", "solutions", "tasks",
    "tickets", "timeEntry", "topics",
)  # fmt: skip

ZOHO_DESK = VendorApi(
    "zoho_desk",
    (
        Endpoint(
            "POST",
            "/oauth/v2/token",
            "zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html",
            headers={"content-type": Values(pattern=r"application/x-www-form-urlencoded(;.*)?")},
            body={
                "grant_type": Values(choices=("refresh_token",)),
                "refresh_token": TEXT,
                "client_id": TEXT,
                "client_secret": TEXT,
            },
        ),
        Endpoint(
            "GET",
            "/api/v1/tickets/search",
            f"{OAS}Search.json searchTickets",
            query={
                "modifiedTimeRange": RANGE,
                "createdTimeRange": RANGE,
                "customerResponseTimeRange": RANGE,
                "sortBy": Values(choices=(*SORT_KEYS, *(f"-{key}" for key in SORT_KEYS))),
                "limit": Values(minimum=1, maximum=100),
                # 999 in the revision 75e1ba5, 4999 in 83b5c18.
                "from": Values(minimum=0, maximum=4999),
                "id": Values(pattern=ID, many=True),
                "departmentId": Values(pattern=ID),
            },
            headers=HEADERS,
        ),
        Endpoint(
            "GET",
            f"/api/v1/tickets/{ID}",
            f"{OAS}Ticket.json getTicket",
            query={
                "include": Values(
                    choices=(
                        "assignee", "contacts", "contract", "departments", "isRead", "products",
                        "skills", "team",
                    ),
                    many=True,
                )
            },
            headers=HEADERS,
        ),
        Endpoint(
            "GET",
            "/api/v1/recycleBin",
            f"{OAS}Recyclebin.json getRecycleBinEntities",
            query={
                # 50 in the revision 83b5c18, 100 in 3f7016e; sortBy and module in the latter only.
                "limit": Values(minimum=1, maximum=50),
                "from": Values(minimum=0),
                "departmentId": Values(pattern=ID),
                "moduleId": Values(pattern=ID),
                "module": Values(choices=MODULES),
                "sortBy": Values(pattern=r"-?(name|type|department|deletedBy|deletedTime)"),
                "include": Values(choices=("deletedBy", "department"), many=True),
            },
            headers=HEADERS,
        ),
        Endpoint(
            "GET",
            "/api/v1/organizationModules",
            f"{OAS}Module.json; {DOCUMENT}",
            headers=HEADERS,
        ),
    ),
)  # fmt: skip
