"""Whatever is posted, the receiver answers, and writes nothing without a valid signature."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpdesk_assets.providers.registry import PROVIDERS, make_webhook_format
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.hostile.in_memory_receiver import answer
from helpdesk_assets_tests.hostile.strategies import MODIFIED, fewer, objects, values, written
from helpdesk_assets_tests.receiver.webhook_posts import (
    SECRET,
    START,
    rest_headers,
    zendesk_headers,
)

STATUSES = {200, 400, 413, 422}
every_vendor = pytest.mark.parametrize("name", PROVIDERS)
NAMES = (
    "id", "ticketId", "ticket_id", "type", "modifiedTime", "ticket", "updated_at", "lastUpdated",
    "transaction", "zendesk_event_version", "detail", "time", "eventType", "eventTime", "payload",
    "freshdesk_webhook", "createdTime", "deletedTime", "subject",
)  # fmt: skip
KINDS = st.sampled_from(
    ("ticket.deleted", "zen:event-type:ticket.created", "Ticket_Update", "Ticket_Delete", "\ud800")
)
near = objects(NAMES, of=KINDS | objects(NAMES) | values)
bodies = (
    st.binary(max_size=40)
    | values.map(written)
    | near.map(written)
    | st.lists(near, max_size=2).map(written)
)
DEEP = b'{"id":1,"ticketId":"1","type":"ticket.deleted","modifiedTime":"2026-11-20T08:00:00Z","x":'


def made(name: str) -> Any:
    return make_webhook_format(Settings(_env_file=None, helpdesk_provider=name))  # type: ignore[call-arg,unused-ignore]


def signed(name: str, body: bytes) -> dict[str, bytes]:
    if name == "rest":
        headers = rest_headers(body, at=START.timestamp())
    elif name == "zendesk":
        headers = zendesk_headers(body, SECRET, START)
    else:
        headers = {"X-Webhook-Secret": SECRET}
    return {key.lower(): value.encode() for key, value in headers.items()}


@every_vendor
@fewer
@given(body=bodies)
@example(body=DEEP + b"[" * 300 + b"]" * 300 + b"}")
@example(body=DEEP + b"[" * 100_000 + b"]" * 100_000 + b"}")
@example(body=b"[" * 500_000)
@example(body=b'{"id":' + b"9" * 10_000 + b',"ticketId":' + b"9" * 10_000 + b"}")
@example(body=b'{"id":"1","ticketId":"1","ticket_id":"1","type":"\\ud800","eventType":"\\ud800"}')
def test_every_body_gets_a_response(name: str, body: bytes) -> None:
    answered = answer(made(name), body, signed(name, body))
    assert answered.status in STATUSES, answered.body
    assert answered.body["status"] in ("ok", "refused")
    if answered.status != 200:
        assert answered.rows == []
    for row in answered.rows:
        assert json.loads(row)["ticket_id"]


@pytest.mark.parametrize(
    "ticket_id", ["7\n8", "\x1b[2J7", "\u20287", "", "  ", "7" * 101, True, 1.5, None, ["7"], {}]
)
def test_invalid_ids_are_rejected(ticket_id: Any) -> None:
    """Such an id would go into a request to the helpdesk and into the log."""
    event = {"id": "1", "type": "ticket.deleted", "modifiedTime": MODIFIED, "ticketId": ticket_id}
    body = json.dumps(event).encode()
    answered = answer(made("rest"), body, signed("rest", body))
    assert (answered.status, answered.rows) == (400, [])


header_values = st.binary(max_size=60).map(
    lambda text: text.replace(b"\n", b"").replace(b"\r", b"")
)
names_of_headers = st.sampled_from(
    (
        "webhook-id", "webhook-timestamp", "webhook-signature", "x-webhook-secret", "x-zdesk-jwt",
        "x-zendesk-webhook-signature", "x-zendesk-webhook-signature-timestamp",
        "x-zendesk-webhook-invocation-id", "content-length", "content-type",
    )
)  # fmt: skip


@every_vendor
@fewer
@given(
    body=near.map(written),
    headers=st.dictionaries(names_of_headers, header_values, max_size=5),
    query=st.binary(max_size=30),
    keeps=st.sets(st.sampled_from(("time", "signature"))),
)
def test_nothing_is_written_without_the_secret(
    name: str, body: bytes, headers: dict[str, bytes], query: bytes, keeps: set[str]
) -> None:
    """Not even with a correct time, or with the signature of another body."""
    right = signed(name, body + b" ")
    kept = {
        key: value
        for key, value in right.items()
        if key != "x-webhook-secret" and ("time" if "timestamp" in key else "signature") in keeps
    }
    answered = answer(made(name), body, {**headers, **kept}, query)
    assert answered.status in (401, 413)
    assert answered.rows == []
