"""Webhooks without a raw ticket, end to end: the row is what the vendor's API returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.receiver.app import create_app
from helpdesk_assets_tests.conformance.vendors import (
    FRESHDESK,
    REQUEST_TRACKER,
    ZENDESK,
    ZOHO_DESK,
    Vendor,
)
from helpdesk_assets_tests.harness import Harness, open_harness
from helpdesk_assets_tests.receiver.receiver_process import served
from helpdesk_assets_tests.receiver.webhook_posts import SECRET, Sender, zendesk_headers

SHOWN = {"X-Webhook-Secret": SECRET}


def posted(
    vendor: Vendor, ticket_id: str, *, deleted: bool = False
) -> tuple[bytes, Mapping[str, str]]:
    """A post in the vendor's format that names this ticket."""
    payload: Any = {"ticket_id": ticket_id}
    if vendor is ZENDESK and deleted:
        payload = {
            "zendesk_event_version": "2022-11-06",
            "type": "zen:event-type:ticket.soft_deleted",
            "detail": {"id": ticket_id},
        }
    if vendor is FRESHDESK:
        payload = {"freshdesk_webhook": payload}
    if vendor is REQUEST_TRACKER:
        payload = {"id": int(ticket_id), "type": "Status", "transaction": 1}
    if vendor is ZOHO_DESK:
        payload = [{"payload": {"id": ticket_id}, "eventType": "Ticket_Update"}]
    body = json.dumps(payload).encode()
    if vendor is ZENDESK:
        return body, zendesk_headers(body, SECRET, datetime.now(UTC))
    return body, SHOWN


def send(harness: Harness, sender: Sender, ticket_id: str, *, deleted: bool = False) -> int:
    body, headers = posted(harness.vendor, ticket_id, deleted=deleted)
    return sender.post(body, headers).status_code


@pytest.mark.parametrize(
    "vendor", [ZENDESK, FRESHDESK, REQUEST_TRACKER, ZOHO_DESK], ids=lambda v: v.name
)
def test_hint_stores_the_current_ticket(warehouse_endpoint: str, vendor: Vendor) -> None:
    with open_harness(warehouse_endpoint, 20, vendor, webhook_secrets=SecretStr(SECRET)) as harness:
        settings = harness.settings
        with (
            served(create_app(settings)) as url,
            closing(Sender(url, vendor.name)) as sender,
        ):
            (changed,) = harness.simulator.change(1)
            assert send(harness, sender, changed.ticket_id) == 200
            (stored,) = harness.rows()
            raw_ticket = {
                each.ticket_id: each.raw_ticket for each in harness.simulator.truth(raw_ticket=True)
            }
            true = vendor.columns(raw_ticket[changed.ticket_id] or {})
            assert {column: stored[column] for column in true} == true
            assert stored["deletedTime"] is None

            # Posts without an id are distinguished by the version they contain.
            harness.simulator.advance(5)
            harness.simulator.delete(ids=[changed.ticket_id])
            assert send(harness, sender, changed.ticket_id, deleted=True) == 200
            (stored,) = harness.rows()
            assert stored["subject"] == true["subject"]
            assert stored["deletedTime"] is not None
            # Both were one invocation, or one transaction; the others' posts have no id.
            assert len(harness.rows("webhook_events")) == (
                1 if vendor in (ZENDESK, REQUEST_TRACKER) else 2
            )
