"""The call that docs/webhooks.md gives for making a webhook fits what Zoho Desk publishes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
# zoho/zohodesk-oas, v1.0/Webhook.json at 83b5c18, createWebhook.
FIELDS = {"subscriptions", "includeEventsFrom", "isEnabled", "name", "description"}
FIELDS |= {"ignoreSourceId", "url"}
URL_CHARACTERS = 100
URL = r"https?://[-.\w]*(/?)([a-zA-Z0-9\-.?,:'/\\+=&;%$#_@]*)?"


@pytest.fixture
def body() -> dict[str, Any]:
    text = PAGE.read_text(encoding="utf-8")
    call = re.search(r"api/v1/webhooks.*?-d '(\{.*?\}\})'", text, re.DOTALL)
    assert call is not None
    found: dict[str, Any] = json.loads(call[1])
    return found


def test_setup_call_has_known_fields_and_a_short_url(body: dict[str, Any]) -> None:
    assert body.keys() <= FIELDS
    assert re.fullmatch(URL, body["url"])
    assert len(body["url"]) <= URL_CHARACTERS
    assert "/webhooks/zoho_desk?secret=" in body["url"]


def test_setup_call_asks_for_events_of_automations(body: dict[str, Any]) -> None:
    assert body["includeEventsFrom"] == ["AUTOMATION"]


def test_setup_call_subscribes_to_tickets_alone(body: dict[str, Any]) -> None:
    events = body["subscriptions"]
    assert {"Ticket_Add", "Ticket_Update", "Ticket_Delete"} <= events.keys()
    assert all(name.startswith("Ticket_") for name in events)
    options = {key for each in events.values() if each for key in each}
    assert options == {"departmentIds"}
