"""The API of the adapter `rest`, which this project defines."""

from __future__ import annotations

from helpdesk_assets_tests.vendor_requests.description import TEXT, Endpoint, Values, VendorApi

PAGE = "docs/helpdesks/rest.md"
LOGIN = {"authorization": Values(pattern=r"Bearer \S+")}
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
PAGING = {"pageSize": Values(minimum=1, maximum=100), "pageToken": TEXT}

REST = VendorApi(
    "rest",
    (
        Endpoint(
            "GET",
            "/v2/tickets/search",
            PAGE,
            query={
                "modifiedTimeRange": Values(pattern=f"{_TIME},{_TIME}"),
                "sortBy": Values(choices=("modifiedTime",)),
                **PAGING,
            },
            required=["modifiedTimeRange", "sortBy", "pageSize"],
            headers=LOGIN,
        ),
        Endpoint("GET", "/v2/tickets", PAGE, query=PAGING, required=["pageSize"], headers=LOGIN),
        Endpoint("GET", "(?s)/v2/tickets/.+", PAGE, headers=LOGIN),
    ),
)
