"""The receiver's answers over HTTP, and the rows in the warehouse after them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pydantic import SecretStr

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.registry import make_webhook_format
from helpdesk_assets.receiver import admission
from helpdesk_assets.receiver.delivery import Delivery
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets_tests.receiver.conftest import MemoryStore, Open
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


def rows(warehouse: BigQueryClient, spec: TableSpec) -> list[dict[str, Any]]:
    if warehouse.get_table(spec.name, fresh=True) is None:
        return []
    return list(warehouse.list_rows(spec.name))


def tickets(warehouse: BigQueryClient) -> dict[str, dict[str, Any]]:
    found = rows(warehouse, tables.TICKETS)
    assert len({row["ticket_id"] for row in found}) == len(found)
    return {row["ticket_id"]: row for row in found}


def events(warehouse: BigQueryClient) -> dict[str, dict[str, Any]]:
    found = rows(warehouse, tables.WEBHOOK_EVENTS)
    assert len({row["event_id"] for row in found}) == len(found)
    return {row["event_id"]: row for row in found}


def test_whole_ticket_is_stored_in_both_tables_before_the_response(
    sender: Sender, warehouse: BigQueryClient
) -> None:
    answer = sender.send(rest_event(whole_ticket(1, 5), "first"))

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "events": 1})
    stored, event = tickets(warehouse)["1"], events(warehouse)["first"]
    assert stored["modifiedTime"] == START + timedelta(seconds=5)
    assert (stored["_synced_by"], stored["deletedTime"]) == ("webhook", None)
    assert stored["_first_synced_at"] == stored["_synced_at"]
    assert event["modifiedTime"] == stored["modifiedTime"]
    assert event["received_at"] <= event["committed_at"]
    assert (event["type"], event["helpdesk"], event["deleted"]) == ("ticket.updated", "rest", False)
    assert event["_run_id"] == stored["_run_id"]


def test_redacted_fields_are_not_stored_by_webhook(
    open_receiver: Open, warehouse: BigQueryClient
) -> None:
    with open_receiver(redact_fields="subject, requester.email") as sender:
        ticket = whole_ticket(1, subject="of xyzzy", requester={"email": "xyzzy"})
        assert sender.send(rest_event(ticket, "first")).status_code == 200
        gone_at = text(START + timedelta(seconds=60))
        gone = rest_event(ticket, "second", type="ticket.deleted", modifiedTime=gone_at)
        assert sender.send(gone).status_code == 200
    stored = tickets(warehouse)
    assert stored["1"]["deletedTime"] is not None
    assert stored["1"]["subject"] is None
    assert "xyzzy" not in f"{stored} {events(warehouse)}"


def test_older_version_only_adds_an_event(sender: Sender, warehouse: BigQueryClient) -> None:
    sender.send(rest_event(whole_ticket(1, 5), "newer"))
    assert sender.send(rest_event(whole_ticket(1, 3), "older")).status_code == 200

    assert tickets(warehouse)["1"]["modifiedTime"] == START + timedelta(seconds=5)
    assert set(events(warehouse)) == {"newer", "older"}


def test_duplicate_event_is_one_row(sender: Sender, warehouse: BigQueryClient) -> None:
    event = rest_event(whole_ticket(1), "twice")
    sender.send(event)
    before = events(warehouse)
    assert sender.send(event).status_code == 200

    assert events(warehouse) == before
    seen = sender.health()
    assert (seen["accepted"], seen["duplicates"]) == (2, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Helpdesk-Timestamp": "1", "X-Helpdesk-Signature": "zz"},
        rest_headers(b"{}", secret="another-secret-that-is-long"),
        rest_headers(b'{"another": "body"}'),
        rest_headers(b"{}", at=1.0),
    ],
    ids=["none", "no-hex", "other-secret", "other-body", "old"],
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


def test_hint_fetches_the_ticket(
    sender: Sender, warehouse: BigQueryClient, simulator: SimulatedHelpdesk
) -> None:
    (changed,) = simulator.change(1)
    answer = sender.send({"id": "hint", "type": "ticket.updated", "ticketId": changed.ticket_id})

    assert answer.status_code == 200
    stored = tickets(warehouse)[changed.ticket_id]
    assert stored["modifiedTime"] == changed.modified_time
    assert events(warehouse)["hint"]["modifiedTime"] == changed.modified_time


def test_of_two_edits_within_a_second_the_later_fetch_stays(
    sender: Sender, warehouse: BigQueryClient, simulator: SimulatedHelpdesk
) -> None:
    """A `Date` header counts whole seconds, so both fetches have the same one."""
    simulator.freeze()
    one = next(simulator.truth()).ticket_id
    hint = {"type": "ticket.updated", "ticketId": one}
    for number in range(3):
        simulator.change(ids=[one], fields={"subject": f"edit {number}"})
        assert sender.send({"id": f"hint {number}", **hint}).status_code == 200
        assert tickets(warehouse)[one]["subject"] == f"edit {number}"


def test_helpdesk_failure_is_503_until_it_recovers(
    sender: Sender, simulator: SimulatedHelpdesk, warehouse: BigQueryClient
) -> None:
    (changed,) = simulator.change(1)
    hint = {"id": "hint", "type": "ticket.updated", "ticketId": changed.ticket_id}
    simulator.fault("error_500", on="ticket", status=418)
    answer = sender.send(hint)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    simulator.clear_faults()
    assert sender.send(hint).status_code == 200
    assert set(events(warehouse)) == {"hint"}


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

    def write_tickets(self, deliveries: Sequence[Delivery], run_id: str) -> None:
        self.under_way.set()
        assert self.resume.wait(60)


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
        "status", "queued", "accepted", "duplicates", "ignored", "refused", "refused_because",
        "commits", "last_commit", "failing_since", "failing_because", "fetch_failing_since",
        "fetch_failing_because", "clock_off_seconds", "refusals", "connections",
    }  # fmt: skip
    assert (seen["status"], seen["accepted"], seen["commits"]) == ("ok", 1, 1)
    assert SECRET not in json.dumps(seen)
