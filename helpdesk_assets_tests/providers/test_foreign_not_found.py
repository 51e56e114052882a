"""A gateway's 404 or 403 says nothing about a ticket, whatever the vendor."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import SecretStr

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.providers.client.auth import TokenAuth
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.client.http import Api
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, loopback

HTML = b"<html><body><h1>404 Not Found</h1><hr>nginx</body></html>"
OWN = {
    "zendesk": b'{"error":"RecordNotFound","description":"Not found"}',
    "freshdesk": b"",
    "rest": b'{"error":"no such ticket"}',
}
# An empty list of each.
LISTS: dict[str, object] = {
    "zendesk": {"tickets": [], "end_of_stream": True, "after_cursor": None},
    "freshdesk": [],
    "rest": {"tickets": []},
    "request_tracker": {"items": [], "total": 0, "count": 0},
}


def settings(provider: str, url: str) -> Settings:
    return Settings(  # type: ignore[call-arg,unused-ignore]
        _env_file=None,
        helpdesk_provider=provider,
        helpdesk_base_url=url,
        helpdesk_user="ann@example.com",
        helpdesk_api_token=SecretStr("token"),
        helpdesk_time_zone="UTC",
    )


@pytest.mark.parametrize("provider", [*OWN, "request_tracker"])
@pytest.mark.parametrize("body", [HTML, b"  \n" + HTML, b"page not found\n"])
@pytest.mark.parametrize("status", [404, 403])
def test_gateway_is_not_taken_for_the_helpdesk(provider: str, body: bytes, status: int) -> None:
    """Lists answer, so a helpdesk's own 403 would be of this one ticket."""

    def respond(asked: object) -> CannedResponse:
        path = getattr(asked, "path", "")
        if not re.search(r"/tickets?/7\b", path):
            return CannedResponse(json.dumps(LISTS[provider]).encode())
        return CannedResponse(body, status)

    with loopback(respond) as server:
        helpdesk = make_helpdesk(settings(provider, server.url), Runtime(sleep=lambda _: None))
        with pytest.raises(EndpointFailed, match=str(status)):
            helpdesk.ticket("7")
        helpdesk.close()


@pytest.mark.parametrize(("provider", "body"), OWN.items())
def test_helpdesk_itself_may_have_no_such_ticket(provider: str, body: bytes) -> None:
    with loopback(lambda _: CannedResponse(body, 404)) as server:
        helpdesk = make_helpdesk(settings(provider, server.url), Runtime(sleep=lambda _: None))
        assert helpdesk.ticket("7") is None
        helpdesk.close()


def test_accepted_not_found_must_be_of_the_helpdesk() -> None:
    """Every adapter's calls go through here, also Zoho's, which needs a login first."""
    with loopback(lambda _: CannedResponse(HTML, 404)) as server:
        api = Api(server.url, TokenAuth("token"), timeout=10, connections=1)
        with pytest.raises(EndpointFailed, match="gateway"):
            api.get("/tickets/7", accept={200, 404})
        api.close()
