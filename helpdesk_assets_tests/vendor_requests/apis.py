"""The descriptions by the provider's name."""

from __future__ import annotations

from helpdesk_assets_tests.vendor_requests.description import VendorApi
from helpdesk_assets_tests.vendor_requests.freshdesk import FRESHDESK
from helpdesk_assets_tests.vendor_requests.request_tracker import REQUEST_TRACKER
from helpdesk_assets_tests.vendor_requests.rest import REST
from helpdesk_assets_tests.vendor_requests.zendesk import ZENDESK
from helpdesk_assets_tests.vendor_requests.zoho_desk import ZOHO_DESK

APIS: dict[str, VendorApi] = {
    api.provider: api for api in (FRESHDESK, REQUEST_TRACKER, REST, ZENDESK, ZOHO_DESK)
}
