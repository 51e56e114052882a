"""What is stored of a vendor's event: its kind, its id, and no deletion in the future."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from helpdesk_assets.model.webhook_events import EventKind, WebhookEvent
from helpdesk_assets.providers.registry import make_webhook_format
from helpdesk_assets.providers.webhooks.events import Event, Post
from helpdesk_assets.receiver.stored_events import CLOCKS_APART, as_stored
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.receiver.webhook_posts import (
    SECRET,
    START,
    rest_event,
    text,
    whole_ticket,
)

FAR = datetime(2100, 1, 1, tzinfo=UTC)
NOW = START + timedelta(hours=1)


def read(payload: Any, name: str = "rest", headers: Mapping[str, str] | None = None) -> Event:
    settings = Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
        _env_file=None,
        helpdesk_provider=name,
        helpdesk_base_url="https://desk.zoho.eu",
        webhook_secrets=SecretStr(SECRET),
    )
    post = Post(json.dumps(payload).encode(), headers or {}, {}, NOW)
    (event,) = make_webhook_format(settings).read(post)
    return event


def stored(payload: Any, name: str = "rest", at: datetime = NOW) -> WebhookEvent:
    return as_stored(read(payload, name), name, at)


def test_whole_ticket_is_stored_with_its_version() -> None:
    found = stored(rest_event(whole_ticket(1, 5), "e"))

    assert (found.kind, found.event_id, found.ticket_id) == (EventKind.TICKET, "e", "1")
    assert found.ticket is not None
    assert found.modified_time == found.ticket.modified_time == START + timedelta(seconds=5)
    assert (found.received_at, found.committed_at) == (NOW, None)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("rest", {"id": "e", "ticketId": "7"}),
        ("zendesk", {"ticket_id": "7"}),
        ("freshdesk", {"freshdesk_webhook": {"ticket_id": 7}}),
        ("request_tracker", {"id": 7, "type": "Status", "transaction": 1}),
        ("zoho_desk", [{"payload": {"id": "7"}, "eventType": "Ticket_Update"}]),
    ],
)
def test_hint_of_each_vendor_has_no_time_of_ours(name: str, payload: Any) -> None:
    found = stored(payload, name)

    assert (found.kind, found.ticket, found.ticket_id) == (EventKind.HINT, None, "7")
    assert found.modified_time is None
    assert found.event_id


def test_hint_keeps_the_time_that_it_tells() -> None:
    found = stored({"ticket_id": 7, "updated_at": text(START)}, "freshdesk")
    assert (found.kind, found.modified_time) == (EventKind.HINT, START)


def deletions(at: datetime | None) -> list[tuple[str, Any]]:
    """Each vendor's own word that ticket 7 is deleted."""
    rest = {"id": "e", "type": "ticket.deleted", "ticketId": "7"}
    zendesk = {
        "id": "e", "type": "zen:event-type:ticket.soft_deleted",
        "zendesk_event_version": "2022-11-06", "detail": {"id": "7"},
    }  # fmt: skip
    zoho = {"payload": {"id": "7"}, "eventType": "Ticket_Delete"}
    if at is not None:
        rest["modifiedTime"] = zendesk["time"] = text(at)
        zoho["eventTime"] = str(int(at.timestamp() * 1000))
    return [("rest", rest), ("zendesk", zendesk), ("zoho_desk", [zoho])]


@pytest.mark.parametrize("place", range(3))
def test_told_deletion_brings_no_more_than_a_tombstone(place: int) -> None:
    for at in (None, START):
        name, payload = deletions(at)[place]
        found = stored(payload, name)
        assert (found.kind, found.modified_time) == (EventKind.DELETION, at)
        assert found.ticket is None or found.ticket.tombstone
        assert found.row()["deleted"] is True


@pytest.mark.parametrize("place", range(3))
def test_told_deletion_is_not_dated_beyond_now(place: int) -> None:
    """The helpdesk's clock may be ahead of ours, but not by years."""
    near = NOW + timedelta(minutes=2)
    for at, expected in ((FAR, NOW + CLOCKS_APART), (near, near), (START, START)):
        name, payload = deletions(at)[place]
        found = stored(payload, name)
        assert found.modified_time == expected
        if found.ticket is not None:
            assert (found.ticket.modified_time, found.ticket.deleted_time) == (expected, expected)


def test_deleted_ticket_is_a_ticket_with_its_deletion() -> None:
    event = read(rest_event(whole_ticket(1, 5), "e"))
    told = replace(event, deleted=True, modified_time=START + timedelta(seconds=9))
    found = as_stored(told, "rest", NOW)

    assert found.kind is EventKind.TICKET
    assert found.ticket is not None
    assert (found.ticket.subject, found.ticket.deleted_time) == (
        "Printer 1",
        START + timedelta(seconds=9),
    )
    assert found.modified_time == START + timedelta(seconds=5)


def test_whole_ticket_is_not_deleted_beyond_now() -> None:
    found = stored(rest_event(whole_ticket(1, 5, deletedTime=text(FAR)), "e"))
    assert found.ticket is not None
    assert found.ticket.deleted_time == NOW + CLOCKS_APART
    assert found.modified_time == START + timedelta(seconds=5)


def test_resent_event_without_an_id_is_the_same() -> None:
    later = NOW + timedelta(hours=2)
    for payload, name in (
        ({"ticket_id": 7, "updated_at": text(START)}, "freshdesk"),
        ([{"payload": {"id": "7", "modifiedTime": text(START)}, "eventType": "Ticket_Update"}],
         "zoho_desk"),
        (rest_event(whole_ticket(1, 5), None), "rest"),
    ):  # fmt: skip
        assert stored(payload, name).event_id == stored(payload, name, later).event_id


def test_changes_without_id_and_time_are_never_one_event() -> None:
    """Their posts are equal, and an event that is known is not merged again."""
    payload = {"ticket_id": 7}
    first, second = (
        stored(payload, "freshdesk"),
        stored(payload, "freshdesk", NOW + timedelta(milliseconds=1)),
    )
    assert first.event_id != second.event_id


def test_changes_with_different_contents_are_different_events() -> None:
    one, other = rest_event(whole_ticket(1, 5), None), rest_event(whole_ticket(1, 5, x=1), None)
    assert stored(one).event_id != stored(other).event_id
