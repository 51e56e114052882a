"""Verification and parsing of each vendor's posts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from helpdesk_assets.errors import SettingsError, TicketUnreadable
from helpdesk_assets.providers.registry import PROVIDERS, make_webhook_format
from helpdesk_assets.providers.webhooks.events import (
    Event,
    Post,
    Verification,
    WebhookFormat,
    event_digest,
)
from helpdesk_assets.providers.zoho_desk.webhook_tokens import ZohoWebhookTokens
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.webhook_posts import (
    SECRET,
    START,
    rest_event,
    rest_headers,
    text,
    whole_ticket,
    zendesk_headers,
)

NOW = START
SECRETS = (SECRET,)
SHOWN = {"x-webhook-secret": SECRET}


def vendor(name: str, **settings: Any) -> WebhookFormat:
    return make_webhook_format(Settings(_env_file=None, helpdesk_provider=name, **settings))  # type: ignore[call-arg,unused-ignore]


def post(
    payload: Any, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> Post:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return Post(body, lower, query or {}, NOW)


def read(name: str, payload: Any, headers: Mapping[str, str] | None = None) -> list[Event]:
    return vendor(name).read(post(payload, headers))


def event_fields(event: Event) -> tuple[str | None, str, str, datetime | None, bool]:
    """Return an event's fields except the ticket and its content."""
    return event.event_id, event.ticket_id, event.type, event.modified_time, event.deleted


def test_every_provider_has_a_webhook_format() -> None:
    assert [vendor(name).name for name in PROVIDERS] == list(PROVIDERS)


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize(
    ("name", "payload"),
    [
        *((name, b"ticket=1") for name in PROVIDERS),
        *(("rest", payload) for payload in (b"", b"{", b'{"a": NaN}', b"\xff", b"[" * 100_000)),
    ],
)
def test_invalid_json_is_rejected(name: str, payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(name, payload)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("payload", [None, 1, "text", {}, [1], {"id": None}, {"ticketId": {}}])
def test_json_without_a_ticket_is_rejected_or_ignored(name: str, payload: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(name, payload)


# --- rest


def test_rest_signature_covers_time_and_body() -> None:
    rest, body = vendor("rest"), b'{"ticketId": "1"}'
    good = rest_headers(body, at=NOW.timestamp())

    assert rest.verify(post(body, good), SECRETS).is_accepted
    assert rest.verify(post(body, good), ("another-one-that-is-new", SECRET)).is_accepted
    assert not rest.verify(post(body + b" ", good), SECRETS).is_accepted
    for name in good:
        assert not rest.verify(post(body, good | {name: "1"}), SECRETS).is_accepted
        assert not rest.verify(post(body, good | {name: ""}), SECRETS).is_accepted
    assert not rest.verify(post(body, good), ("another-one-that-is-new",)).is_accepted
    assert not rest.verify(post(body, {}), SECRETS).is_accepted


def test_rest_reads_the_published_example() -> None:
    """Of the specification: github.com/standard-webhooks/standard-webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    payload = b'{"test": 2432232314}'
    verified = vendor("rest").verify(post(payload, headers), (secret,))
    assert verified.is_signed
    assert not verified.is_accepted
    assert not vendor("rest").verify(post(payload, headers), (secret[:-1],)).is_signed


def test_rest_accepts_one_good_signature_of_several() -> None:
    good = rest_headers(b"{}", at=NOW.timestamp())
    signature = good["webhook-signature"]
    verify = vendor("rest").verify
    for several in (
        f"v1,AAAA {signature}",
        f"{signature} v1a,AAAA v2,AAAA",
        f"v1,not-base64 v1 , {signature}",
    ):
        headers = good | {"webhook-signature": several}
        assert verify(post(b"{}", headers), SECRETS).is_accepted
    for none in ("v1,AAAA", signature.replace("v1,", "v1a,"), signature[3:], "v1,"):
        headers = good | {"webhook-signature": none}
        assert not verify(post(b"{}", headers), SECRETS).is_accepted


@pytest.mark.parametrize(("late", "good"), [(299, True), (301, False), (-301, False)])
def test_rest_rejects_old_posts(late: float, good: bool) -> None:
    headers = rest_headers(b"{}", at=NOW.timestamp() - late)
    assert vendor("rest").verify(post(b"{}", headers), SECRETS).is_accepted is good
    patient = vendor("rest", webhook_tolerance_seconds=3600)
    assert patient.verify(post(b"{}", headers), SECRETS).is_accepted


def test_rest_contains_the_whole_ticket() -> None:
    ticket = whole_ticket(7, 3, amount=9_007_199_254_740_993)
    (event,) = read("rest", rest_event(ticket, "e-1"))

    at = START + timedelta(seconds=3)
    assert event_fields(event) == ("e-1", "7", "ticket.updated", at, False)
    assert event.ticket is not None
    assert json.loads(event.ticket.raw_json) == ticket
    assert event.ticket.modified_time == at


def test_rest_without_a_ticket_is_a_hint() -> None:
    (event,) = read("rest", {"ticketId": 7, "modifiedTime": text(START)})
    assert event_fields(event) == (None, "7", "ticket", START, False)
    assert event.ticket is None


def test_rest_reports_deletions() -> None:
    (event,) = read(
        "rest", {"type": "ticket.deleted", "ticketId": "7", "modifiedTime": text(START)}
    )
    assert event.ticket is not None
    assert (event.ticket.tombstone, event.ticket.deleted_time) == (True, START)
    (untimed,) = read("rest", {"type": "ticket.deleted", "ticketId": "7"})
    assert (untimed.deleted, untimed.ticket) == (True, None)


def test_rest_rejects_a_mismatched_or_bad_ticket() -> None:
    with pytest.raises(ValueError, match="not the ticket of ticketId 7"):
        read("rest", rest_event(whole_ticket(8), "e", ticketId="7"))
    with pytest.raises(TicketUnreadable):
        read("rest", rest_event(whole_ticket(8, createdTime="yesterday"), "e"))


# --- Zendesk

ZENDESK: dict[str, Any] = {
    "account_id": 1, "id": "01HEVENT", "type": "zen:event-type:ticket.status_changed",
    "time": "2026-11-01T08:00:07.5Z", "subject": "zen:ticket:101",
    "zendesk_event_version": "2022-11-06",
    "detail": {"id": "101", "status": "OPEN", "updated_at": "2026-11-01T08:00:05Z"},
    "event": {"current": "OPEN", "previous": "NEW"},
}  # fmt: skip


def test_zendesk_is_signed_in_base64_with_an_iso_time() -> None:
    zendesk, body = vendor("zendesk"), json.dumps(ZENDESK).encode()
    good = zendesk_headers(body, SECRET, NOW)

    assert zendesk.verify(post(body, good), SECRETS).is_accepted
    assert not zendesk.verify(post(body, good), ("another-one-that-is-new",)).is_accepted
    assert not zendesk.verify(post(body + b" ", good), SECRETS).is_accepted
    old = zendesk_headers(body, SECRET, NOW - timedelta(seconds=301))
    assert not zendesk.verify(post(body, old), SECRETS).is_accepted
    # The secret and the signature of a test webhook, as computed with openssl.
    known = {
        "X-Zendesk-Webhook-Signature-Timestamp": "2026-11-01T08:00:00Z",
        "X-Zendesk-Webhook-Signature": "L2RA/aHfL21g4KWGPFYgLDycLiVnDZS/hdyTf0vQ+qM=",
    }
    assert zendesk.verify(post(b'{"id":"1"}', known), ("dGhpcyBpcyBhIHNlY3JldA",)).is_accepted


def test_zendesk_events_are_hints() -> None:
    (event,) = read("zendesk", ZENDESK, zendesk_headers(b"", SECRET, NOW))
    at = START + timedelta(seconds=5)
    assert event_fields(event) == (
        "01HEVENT",
        "101",
        "zen:event-type:ticket.status_changed",
        at,
        False,
    )
    assert event.ticket is None


@pytest.mark.parametrize("end", ["soft_deleted", "permanently_deleted", "marked_as_spam"])
def test_zendesk_deletions_are_dated_by_the_event(end: str) -> None:
    (event,) = read("zendesk", ZENDESK | {"type": f"zen:event-type:ticket.{end}"})
    assert event.deleted
    assert event.modified_time == START + timedelta(seconds=7.5)


def test_zendesk_triggers_send_custom_bodies() -> None:
    headers = zendesk_headers(b"", SECRET, NOW)
    (event,) = read("zendesk", {"ticket_id": "101", "updated_at": "Nov 1st"}, headers)
    assert event_fields(event) == ("01HINVOCATION", "101", "trigger", None, False)


def test_zendesk_events_of_other_objects_are_ignored() -> None:
    assert read("zendesk", ZENDESK | {"type": "zen:event-type:user.created"}) == []


# --- Zoho Desk

ZOHO = {
    "payload": {"id": "1892000000042034", "modifiedTime": "2026-11-01T08:00:05.123Z"},
    "eventTime": str(int(START.timestamp() * 1000) + 7250), "eventType": "Ticket_Update",
    "orgId": "7",
}  # fmt: skip


def test_zoho_sends_the_secret_in_a_header_or_url() -> None:
    zoho = vendor("zoho_desk")
    assert zoho.verify(post([], SHOWN), SECRETS).is_accepted
    assert zoho.verify(post([], {}, {"secret": SECRET}), SECRETS).is_accepted
    assert not zoho.verify(post([], {}, {"secret": "another-one-that-is-new"}), SECRETS).is_accepted
    assert not zoho.verify(
        post([], {"x-webhook-secret": "wrong"}, {"secret": SECRET}), SECRETS
    ).is_accepted
    assert not zoho.verify(post([]), SECRETS).is_accepted


def test_zoho_sends_an_array_of_hints() -> None:
    deleted = {**ZOHO, "eventType": "Ticket_Delete", "payload": {"id": "2"}}
    comment = {**ZOHO, "eventType": "Ticket_Comment_Add", "payload": {"id": "9", "ticketId": "3"}}
    other = {**ZOHO, "eventType": "Contact_Add"}
    events = read("zoho_desk", [ZOHO, deleted, other, comment])

    at = START + timedelta(seconds=7.25)
    assert [event_fields(event) for event in events] == [
        (None, "1892000000042034", "Ticket_Update", START + timedelta(seconds=5.123), False),
        (None, "2", "Ticket_Delete", at, True),
        (None, "3", "Ticket_Comment_Add", at, False),
    ]
    assert not any(event.ticket for event in events)


class PublishedKeys:
    """Zoho's published keys, without a call to Zoho."""

    def __init__(self, key: Any) -> None:
        self._key = key

    def get_signing_key_from_jwt(self, token: str) -> Any:
        jwt.get_unverified_header(token)
        return self._key


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_zoho_token_verification(key: rsa.RSAPrivateKey) -> None:
    tokens = ZohoWebhookTokens(PublishedKeys(key.public_key()), "orgId:7")  # type: ignore[arg-type]
    seconds = int(NOW.timestamp())
    claims = {"iss": "orgId:7", "aud": "webhookId:1", "iat": seconds, "exp": seconds + 60}

    def are_valid(**changed: Any) -> bool:
        return tokens.verify(jwt.encode({**claims, **changed}, key, "RS256"), NOW).is_accepted

    assert are_valid()
    assert are_valid(exp=(seconds + 60) * 1000, iat=seconds * 1000)
    assert not are_valid(exp=seconds - 61)
    assert not are_valid(exp=(seconds - 61) * 1000)
    assert not are_valid(exp=None)
    assert not are_valid(iss="orgId:8")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert not tokens.verify(jwt.encode(claims, other, "RS256"), NOW).is_accepted
    assert not tokens.verify(jwt.encode(claims, "k" * 32, "HS256"), NOW).is_accepted
    unsigned = jwt.encode(claims, "", "none")
    assert not tokens.verify(unsigned, NOW).is_accepted
    assert not tokens.verify("", NOW).is_accepted
    assert not tokens.verify("a.b.c", NOW).is_accepted


def test_zoho_tokens_are_required_beside_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ZohoWebhookTokens, "verify", lambda _, token, __: Verification(token == "good")
    )
    zoho = vendor("zoho_desk", zoho_jwks_url="https://desk.zoho.eu/.well-known/jwks.json")

    assert zoho.verify(post([], {**SHOWN, "X-ZDesk-JWT": "good"}), SECRETS).is_accepted
    assert not zoho.verify(post([], SHOWN), SECRETS).is_accepted
    assert not zoho.verify(post([], {"X-ZDesk-JWT": "good"}), SECRETS).is_accepted
    with pytest.raises(SettingsError, match="https"):
        vendor("zoho_desk", zoho_jwks_url="http://desk.zoho.eu/.well-known/jwks.json")


# --- Freshdesk, Request Tracker


@pytest.mark.parametrize("name", ["freshdesk", "request_tracker"])
def test_secret_is_accepted_only_in_its_header(name: str) -> None:
    assert vendor(name).verify(post({}, SHOWN), SECRETS).is_accepted
    assert not vendor(name).verify(post({}, {}, {"secret": SECRET}), SECRETS).is_accepted
    other = vendor(name, webhook_secret_header="X-Desk-Key")
    assert other.verify(post({}, {"X-Desk-Key": SECRET}), SECRETS).is_accepted
    assert not other.verify(post({}, SHOWN), SECRETS).is_accepted


@pytest.mark.parametrize("inside", [True, False])
def test_freshdesk_bodies_are_customisable(inside: bool) -> None:
    row = {"ticket_id": 101, "ticket_subject": "x", "updated_at": "Sun, 1 Nov"}
    (event,) = read("freshdesk", {"freshdesk_webhook": row} if inside else row)
    assert event_fields(event) == (None, "101", "rule", None, False)


def test_request_tracker_sends_one_post_per_transaction() -> None:
    body = {"id": 101, "type": "Status", "lastUpdated": text(START), "transaction": 4711}
    (event,) = read("request_tracker", body)
    assert event_fields(event) == ("transaction-4711", "101", "Status", START, False)
    del body["transaction"]
    assert read("request_tracker", body)[0].event_id is None


# --- ids


def test_digest_is_unique_per_event() -> None:
    event = read("freshdesk", {"ticket_id": 1})[0]
    again = read("freshdesk", b'{ "ticket_id": 1 }')[0]
    same = event_digest(event, START)

    assert event_digest(again, START) == same
    others = {
        event_digest(event, START + timedelta(seconds=1)),
        event_digest(replace(event, ticket_id="2"), START),
        event_digest(replace(event, type="other"), START),
        event_digest(replace(event, content={"ticket_id": 1, "status": "Open"}), START),
    }
    assert len(others | {same}) == 5
