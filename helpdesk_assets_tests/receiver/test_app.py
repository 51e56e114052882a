"""The receiver's answers over HTTP, and the events in the warehouse after them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests
from pydantic import SecretStr

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.providers.registry import make_webhook_format
from helpdesk_assets.receiver import admission
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open, stored_events
from helpdesk_assets_tests.receiver.webhook_posts import (
    SECRET,
    START,
    Sender,
    rest_event,
    rest_headers,
    text,
    whole_ticket,
)

NEXT_SECRET = "the-one-that-follows-the-first"


def test_whole_ticket_is_appended_before_the_response(
    sender: Sender, warehouse: BigQueryClient
) -> None:
    answer = sender.send(rest_event(whole_ticket(1, 5), "first"))

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "events": 1})
    (stored,) = stored_events(warehouse)
    assert stored.modified_time == START + timedelta(seconds=5)
    assert (stored.event_id, stored.ticket_id) == ("first", "1")
    assert stored.committed_at is not None
    assert stored.received_at <= stored.committed_at
    assert (stored.type, stored.helpdesk) == ("ticket.updated", "rest")
    assert stored.kind is EventKind.TICKET
    assert stored.ticket is not None
    assert json.loads(stored.ticket.raw_json) == whole_ticket(1, 5)


def test_redacted_fields_are_not_stored_by_webhook(
    open_receiver: Open, warehouse: BigQueryClient
) -> None:
    with open_receiver(redact_fields="subject, requester.email") as sender:
        ticket = whole_ticket(1, subject="of xyzzy", requester={"email": "xyzzy"})
        assert sender.send(rest_event(ticket, "first")).status_code == 200
        gone_at = text(START + timedelta(seconds=60))
        gone = rest_event(ticket, "second", type="ticket.deleted", modifiedTime=gone_at)
        assert sender.send(gone).status_code == 200
    stored = stored_events(warehouse)
    assert [each.kind for each in stored] == [EventKind.TICKET, EventKind.DELETION]
    assert stored[0].ticket is not None
    assert stored[0].ticket.subject is None
    assert "xyzzy" not in repr(stored)


def test_event_that_comes_twice_is_appended_twice(
    sender: Sender, warehouse: BigQueryClient
) -> None:
    """Only readers know that it is one: no receiver waits for a look at the table."""
    event = rest_event(whole_ticket(1), "twice")
    answers = [sender.send(event).status_code for _ in range(2)]

    assert answers == [200, 200]
    first, second = stored_events(warehouse)
    assert first.event_id == second.event_id == "twice"
    assert first.received_at < second.received_at
    assert sender.health()["accepted"] == 2


def test_two_receivers_append_to_one_table(open_receiver: Open, warehouse: BigQueryClient) -> None:
    with open_receiver() as one, open_receiver() as other, ThreadPoolExecutor(8) as threads:
        events = [rest_event(whole_ticket(n % 5, n), f"event {n}") for n in range(60)]

        def send(place: int) -> int:
            sender = Sender((one if place % 2 else other).url)
            with closing(sender):
                return sender.send(events[place]).status_code

        assert set(threads.map(send, range(60))) == {200}
    assert sorted(each.event_id for each in stored_events(warehouse)) == sorted(
        each["id"] for each in events
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,zz"},
        rest_headers(b"{}", secret="another-secret-that-is-long"),
        rest_headers(b'{"another": "body"}'),
        rest_headers(b"{}", at=1.0),
    ],
    ids=["none", "no-base64", "other-secret", "other-body", "old"],
)
def test_wrong_signature_is_401_and_writes_nothing(
    sender_alone: Sender, memory: MemoryStore, headers: dict[str, str]
) -> None:
    answer = sender_alone.post(b"{}", headers)

    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert sender_alone.health()["refused"] == {"401": 1}
    assert memory.written == []


def test_two_secrets_are_accepted_during_rotation(open_alone: Open, memory: MemoryStore) -> None:
    both = SecretStr(f"{SECRET},{NEXT_SECRET}")
    with open_alone(webhook_secrets=both, store=memory) as sender:
        answers = [
            sender.send(rest_event(whole_ticket(1), f"by-{secret}"), secret=secret).status_code
            for secret in (SECRET, NEXT_SECRET)
        ]
    assert answers == [200, 200]


def test_a_body_that_is_not_json_is_400(sender_alone: Sender) -> None:
    assert sender_alone.post(b"ticket=1", rest_headers(b"ticket=1")).status_code == 400
    assert sender_alone.send({"no": "ticket"}).status_code == 400


def test_unstorable_ticket_is_422(sender_alone: Sender, memory: MemoryStore) -> None:
    answer = sender_alone.send(rest_event(whole_ticket(1, modifiedTime="yesterday"), "bad"))

    assert answer.status_code == 422
    assert memory.written == []


def test_unknown_helpdesk_is_404(sender_alone: Sender) -> None:
    with requests.Session() as session:
        session.trust_env = False
        assert session.post(f"{sender_alone.url}/webhooks/acme", data=b"{}").status_code == 404
        assert session.get(f"{sender_alone.url}/webhooks/acme").status_code == 404


def test_get_request_is_answered(sender_alone: Sender) -> None:
    assert [sender_alone.request(method).status_code for method in ("GET", "HEAD")] == [200, 200]
    assert sender_alone.request("DELETE").status_code == 405


def test_body_over_a_mebibyte_is_413_whatever_its_header(sender_alone: Sender) -> None:
    too_much = b" " * (admission.MAX_BODY_BYTES + 1)
    read: list[int] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            read.append(1)
            yield b" " * 65536

    assert sender_alone.post(too_much, {}).status_code == 413
    with suppress(requests.ConnectionError):  # cut while it is still being sent
        assert sender_alone.post(chunks(), {}).status_code == 413
    assert sender_alone.health()["refused"] == {"413": 2}
    fits = json.dumps(rest_event(whole_ticket(1), "fits")).encode().ljust(admission.MAX_BODY_BYTES)
    assert sender_alone.post(fits, rest_headers(fits)).status_code == 200


def test_too_large_content_length_is_rejected_at_once(sender_alone: Sender) -> None:
    where = urlsplit(sender_alone.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as raw:
        raw.sendall(b"POST /webhooks/rest HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_unavailable_warehouse_is_503(open_alone: Open) -> None:
    with open_alone() as sender:
        answer = sender.send(rest_event(whole_ticket(1), "e"))
        seen = sender.health()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert seen["refused"] == {"503": 1}
    assert seen["failing_since"]
    assert seen["queued"] == 0


class BlockedStore(MemoryStore):
    """A store that blocks until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = threading.Event()
        self.resume = threading.Event()

    def append_events(self, events: Sequence[WebhookEvent]) -> Mapping[int, HelpdeskAssetsError]:
        self.under_way.set()
        assert self.resume.wait(60)
        return super().append_events(events)


def test_full_queue_is_503_and_queued_posts_are_answered(open_alone: Open) -> None:
    store = BlockedStore()
    answers: list[int] = []
    with open_alone(webhook_queue_size=1, store=store) as sender:

        def send_first() -> None:
            answers.append(sender.send(rest_event(whole_ticket(1), "first")).status_code)

        first = threading.Thread(target=send_first)
        first.start()
        assert store.under_way.wait(60)
        other = Sender(sender.url)
        answer = other.send(rest_event(whole_ticket(2), "second"))
        assert other.health()["queued"] == 1
        store.resume.set()
        first.join()
        other.close()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answers == [200]
    assert store.written == ["first"]


def test_timed_out_post_is_503_and_its_event_written(
    open_alone: Open, settings_alone: Settings
) -> None:
    store = BlockedStore()
    vendor = replace(make_webhook_format(settings_alone), timeout=0.05)
    with open_alone(store=store, webhook_format=vendor) as sender:
        answer = sender.send(rest_event(whole_ticket(1), "slow"))
        assert store.written == []
        assert sender.health()["queued"] == 1
        store.resume.set()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert store.written == ["slow"]


def test_health_response_contains_no_secrets(sender_alone: Sender) -> None:
    sender_alone.send(rest_event(whole_ticket(1), "e"))
    seen = sender_alone.health()

    assert set(seen) == {
        "status", "queued", "accepted", "ignored", "refused", "refused_because", "appends",
        "last_append", "append_seconds", "failing_since", "failing_because",
        "verify_failing_since", "verify_failing_because", "clock_off_seconds", "refusals",
        "drain", "connections",
    }  # fmt: skip
    assert (seen["status"], seen["accepted"], seen["appends"]) == ("ok", 1, 1)
    assert SECRET not in json.dumps(seen)
