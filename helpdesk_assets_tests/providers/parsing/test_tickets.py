"""A raw ticket becomes a ticket, or is reported as unreadable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import TicketUnreadable
from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.parsing.exact_json import parse
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader

TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
STRICT = TicketReader(FieldMap(), skip_bad=False)
LENIENT = TicketReader(FieldMap(), skip_bad=True)


def row(**fields: Any) -> dict[str, Any]:
    return {"id": "1", "modifiedTime": "2026-11-23T10:00:00Z", **fields}


def read(**fields: Any) -> Ticket:
    ticket = STRICT.ticket(row(**fields), "(no id)")
    assert isinstance(ticket, Ticket)
    return ticket


def test_every_field_is_parsed() -> None:
    ticket = read(
        subject="Drucker",
        status="Open",
        priority="High",
        assignee="a@example.com",
        createdTime="2026-11-23T11:00:00+02:00",
        deletedTime="2026-11-23T10:00:00.500Z",
        other=[1, {"x": None}],
    )
    assert (ticket.ticket_id, ticket.subject, ticket.status) == ("1", "Drucker", "Open")
    assert (ticket.priority, ticket.assignee) == ("High", "a@example.com")
    assert ticket.created_time == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert ticket.modified_time == TEN
    assert ticket.deleted_time == datetime(2026, 11, 23, 10, 0, 0, 500_000, tzinfo=UTC)
    assert json.loads(ticket.raw_json)["other"] == [1, {"x": None}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("Open", "Open"),
        (3, "3"),
        (1.5, "1.5"),
        (True, "true"),
        ({"id": 2, "name": "Open"}, "Open"),
        ({"name": None, "value": "high"}, "high"),
        ({"id": 7}, "7"),
        ({}, None),
        ([1], None),
    ],
)
def test_any_value_is_converted_to_text(value: Any, text: str | None) -> None:
    assert read(status=value).status == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"id": 4, "email": "a@example.com", "name": "Ann"}, "Ann"),
        ({"id": 4, "email": "a@example.com", "name": ""}, "a@example.com"),
        ({"id": 4}, "4"),
    ],
)
def test_assignee_is_a_name_address_or_id(value: Any, text: str) -> None:
    assert read(assignee=value).assignee == text


def test_ids_keep_every_digit() -> None:
    assert read(id=421370000000000017).ticket_id == "421370000000000017"
    assert STRICT.page(parse(b'[{"id":99999999999999999999999,"modifiedTime":"%s"}]' % NOW))
    assert LENIENT.ids([{"id": 5}, {"id": "6"}])[0] == ("5", "6")


NOW = b"2026-11-23T10:00:00Z"


@pytest.mark.parametrize("bad_id", [None, "", "  ", True, 1.5, {"a": 1}, []])
def test_row_without_an_id_is_named_by_position(bad_id: Any) -> None:
    bad = LENIENT.page([row(), row(id=bad_id)]).bad
    assert [(one.ticket_id, one.field) for one in bad] == [("(no id) row 2 of the page", "id")]


@pytest.mark.parametrize("rubbish", ["text", 5, None, ["id"]])
def test_row_that_is_no_object_is_bad(rubbish: Any) -> None:
    assert len(LENIENT.page([rubbish, row()]).bad) == 1
    assert len(LENIENT.page([rubbish, row()]).tickets) == 1


@pytest.mark.parametrize("name", ["createdTime", "modifiedTime", "deletedTime"])
@pytest.mark.parametrize(
    "value",
    [
        "not-a-time",
        "",
        "2026-11-23T10:00:00",
        "2026-11-23",
        1700000000,
        True,
        "0001-01-01T00+05:00",
    ],
)
def test_invalid_time_is_rejected_and_never_guessed(name: str, value: Any) -> None:
    with pytest.raises(TicketUnreadable, match=f"Ticket 1: {name} is ") as refusal:
        read(**{name: value})
    assert "HELPDESK_SKIP_BAD_TICKETS" in str(refusal.value)
    assert LENIENT.page([row(**{name: value})]).bad[0].field == name


def test_absent_times() -> None:
    assert read(createdTime=None).created_time is None
    assert LENIENT.ticket({"id": "1"}, "") == BadTicket("1", "modifiedTime", "is absent")


def test_shown_value_is_bounded_and_on_one_line() -> None:
    bad = LENIENT.ticket(row(modifiedTime="x\n" * 5000), "")
    assert isinstance(bad, BadTicket)
    assert len(bad.problem) < 120
    assert "\n" not in bad.problem


def test_every_text_of_a_ticket_can_be_encoded() -> None:
    ticket = STRICT.ticket(
        parse(rb'{"id":"\ud800","subject":"\udfff","modifiedTime":"%s"}' % NOW), ""
    )
    assert isinstance(ticket, Ticket)
    assert (ticket.ticket_id, ticket.subject) == ("\ufffd", "\ufffd")
    ticket.raw_json.encode()


def test_content_hash_identifies_equal_content() -> None:
    assert read(a=1, b=2).content_hash == read(b=2, a=1).content_hash
    assert read(a=1).content_hash != read(a="1").content_hash


def test_vendor_field_names_and_codes_are_mapped() -> None:
    shape = FieldMap(modified="updated_at", text_parsers={"status": {2: "open"}.get})
    ticket = TicketReader(shape, skip_bad=False).ticket(
        {"id": 1, "updated_at": "2026-11-23T10:00:00Z", "status": 2}, ""
    )
    assert isinstance(ticket, Ticket)
    assert (ticket.status, ticket.modified_time) == ("open", TEN)
