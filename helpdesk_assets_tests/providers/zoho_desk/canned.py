"""Canned answers of Zoho Desk, and an adapter that asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets.providers.zoho_desk.adapter import ZohoDeskAdapter, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TOKENS = "/oauth/v2/token"
SEARCH = "/api/v1/tickets/search"
TICKETS = "/api/v1/tickets"
BIN = "/api/v1/recycleBin"
MODULES = "/api/v1/organizationModules"

ROW: dict[str, Any] = {
    "id": "1892000000042034",
    "subject": "s",
    "status": "Open",
    "priority": "High",
    "assigneeId": "1892000000056007",
    "createdTime": "2026-11-01T08:00:00.000Z",
    "modifiedTime": "2026-11-23T09:00:00.123Z",
}
BINNED = {
    "id": ROW["id"],
    "type": "Tickets",
    "displayName": "s",
    "deletedTime": "2026-11-23T09:30:00.000Z",
}
MODULE_ID = "1892000000006001"
NOTHING = CannedResponse(b"", 204, {"Content-Length": None})
UNPROCESSABLE = CannedResponse(
    b'{"errorCode": "UNPROCESSABLE_ENTITY", "message": "Extra query parameter"}', 422
)

Connect = Callable[..., ZohoDeskAdapter]


def settings_for(url: str, **more: Any) -> Settings:
    given = {
        "helpdesk_provider": "zoho_desk",
        "helpdesk_base_url": url,
        "zoho_accounts_url": url,
        "zoho_org_id": "6000",
        "zoho_client_id": "cl1ent",
        "zoho_client_secret": "s3cret",
        "zoho_refresh_token": "r3fresh",
        "helpdesk_token_cache": "off",
    }
    return Settings.model_validate({**given, **more})


def connect_to(url: str, **more: Any) -> ZohoDeskAdapter:
    return from_settings(settings_for(url, **more))


def answering(**by_name: Any) -> Callable[[ReceivedRequest], CannedResponse]:
    """A server whose `search`, `bin`, `modules` and `ticket` are bodies, answers or functions of a
    request.

    The others find nothing.
    """

    def respond(seen: ReceivedRequest) -> CannedResponse:
        asked = sent_requests([seen])[0]
        if asked.path == TOKENS:
            return CannedResponse(b'{"access_token": "t0ken", "expires_in": 3600}')
        name = {SEARCH: "search", BIN: "bin", MODULES: "modules"}.get(asked.path, "ticket")
        answer = by_name.get(name, NOTHING if name != "ticket" else CannedResponse(b"{}", 404))
        body = answer(asked) if callable(answer) else answer
        return (
            body if isinstance(body, CannedResponse) else CannedResponse(json.dumps(body).encode())
        )

    return respond


def found(*rows: Any, **more: Any) -> dict[str, Any]:
    return {"data": list(rows), "count": len(rows), **more}


def rows(count: int, first: int = 1) -> list[dict[str, Any]]:
    """Rows of one millisecond."""
    return [{**ROW, "id": str(number)} for number in range(first, first + count)]


def cut(asked: SentRequest, every: list[Any], **more: Any) -> Any:
    """Return the requested page; those beyond the end have no body."""
    first, size = int(asked.params["from"]), int(asked.params["limit"])
    here = every[first : first + size]
    return found(*here, count=len(every)) | more if here else NOTHING


def after_login(seen: list[ReceivedRequest]) -> list[SentRequest]:
    """Return the requests after the token request, which has its own test."""
    login, *others = sent_requests(seen)
    assert login.path == TOKENS
    return others
