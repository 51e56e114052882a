"""Answers to posts that no vendor would send, over HTTP and with the warehouse."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from helpdesk_assets.receiver import admission
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.hostile.raw_helpdesk import row
from helpdesk_assets_tests.hostile.test_tickets import BOTTOMLESS, DEEP, STORED
from helpdesk_assets_tests.receiver.conftest import stored_events
from helpdesk_assets_tests.receiver.webhook_posts import (
    Sender,
    rest_event,
    rest_headers,
    whole_ticket,
)


def event(ticket_id: str, *members: str) -> bytes:
    return (
        f'{{"id":"event of {ticket_id}","type":"ticket.updated","ticketId":"{ticket_id}","ticket":'
    ).encode() + b"%b}" % row(ticket_id, *members)


def post(sender: Sender, body: bytes) -> int:
    return sender.post(body, rest_headers(body)).status_code


def test_hostile_tickets_are_appended_as_they_are(
    sender: Sender, warehouse: BigQueryClient
) -> None:
    for place, kept in enumerate(STORED.values()):
        assert post(sender, event(str(place), *kept.members)) == 200
    stored = {each.ticket_id: each.ticket for each in stored_events(warehouse)}
    for place, kept in enumerate(STORED.values()):
        found = {name: getattr(stored[str(place)], name) for name in kept.columns}
        assert found == kept.columns


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize(("deep", "status"), [(DEEP, 400), (BOTTOMLESS, 400)])
def test_too_deep_nesting_is_rejected(
    sender: Sender, warehouse: BigQueryClient, deep: str, status: int
) -> None:
    assert post(sender, event("1", deep)) == status
    assert stored_events(warehouse) == []


def test_replayed_post_is_one_event_and_rejected_once_old(
    sender: Sender, warehouse: BigQueryClient
) -> None:
    body = event("1")
    headers = rest_headers(body)
    answers = [sender.post(body, headers).status_code for _ in range(3)]
    old = rest_headers(body, at=time.time() - 301)
    assert (answers, sender.post(body, old).status_code) == ([200, 200, 200], 401)
    assert {each.event_id for each in stored_events(warehouse)} == {"event of 1"}


def test_unsigned_posts_are_counted(sender: Sender, warehouse: BigQueryClient) -> None:
    before = sender.health()
    event_body = rest_event(whole_ticket(1), "first")
    assert sender.send(event_body, secret="another-secret-of-some-length").status_code == 401
    assert _numbers(sender.health()) > _numbers(before)
    assert stored_events(warehouse) == []


def _numbers(health: dict[str, Any]) -> int:
    return int(health["refused"].get("401", 0))


def test_slow_body_is_not_waited_for(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "BODY_TIMEOUT_SECONDS", 0.2)
    address = urlsplit(sender.url)
    head = b"POST /webhooks/rest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    with socket.create_connection((address.hostname, address.port), timeout=30) as drip:
        drip.sendall(head)
        assert drip.recv(100).startswith(b"HTTP/1.1 408 ")
