"""Tickets that break tools are stored unchanged or rejected by name, through a whole sync."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, TicketUnreadable
from helpdesk_assets.providers.client import http
from helpdesk_assets.providers.parsing import tickets
from helpdesk_assets_tests.hostile.raw_helpdesk import MODIFIED, RawHelpdesk, row

WAYS = {"inside the statement": 8_000_000, "by a load job": 1}


@dataclass(frozen=True)
class ExpectedValues:
    """Members of a ticket, and their values in the table's `raw_json`."""

    members: tuple[str, ...]
    values: dict[str, Any]
    columns: dict[str, Any] = field(default_factory=dict)


ALL_CONTROLS = "".join(f"\\u{code:04x}" for code in (*range(32), *range(127, 160)))
CONTROLS = "".join(map(chr, (*range(32), *range(127, 160))))

STORED = {
    "control characters": ExpectedValues(
        (f'"subject":"{ALL_CONTROLS}"',), {"subject": CONTROLS}, {"subject": CONTROLS}
    ),
    "control characters that are not escaped": ExpectedValues(
        ('"subject":"a\tb\x01c"',), {"subject": "a\tb\x01c"}, {"subject": "a\tb\x01c"}
    ),
    "separators of lines": ExpectedValues(
        ('"subject":"a\u2028b\u2029c\u0085d"',), {"subject": "a\u2028b\u2029c\u0085d"}
    ),
    "halves of surrogate pairs": ExpectedValues(
        (r'"subject":"\ud83d\ud83d\ude00\udc00"', r'"\udc00":1'),
        {"subject": "\ufffd😀\ufffd", "\ufffd": 1},
        {"subject": "\ufffd😀\ufffd"},
    ),
    "numbers beyond float": ExpectedValues(
        ('"a":1e400', '"b":-1e999', f'"c":{"9" * 5000}', '"d":0.1234567890123456789'),
        {"a": "1e400", "b": "-1e999", "c": "9" * 5000, "d": "0.1234567890123456789"},
    ),
    "numbers at the edges": ExpectedValues(
        (f'"a":{2**64 - 1}', f'"b":{-(2**63)}', '"c":5e-324', '"d":1.7976931348623157e308'),
        {"a": 2**64 - 1, "b": -(2**63), "c": 5e-324, "d": 1.7976931348623157e308},
    ),
    "numbers that are none": ExpectedValues(
        ('"a":NaN', '"b":[Infinity,-Infinity]'), {"a": "NaN", "b": ["Infinity", "-Infinity"]}
    ),
    "empty, huge and equal keys": ExpectedValues(
        ('"":1', f'"{"k" * 100_000}":2', '"twice":1', '"twice":2', '"a.b[0]":3', '"$":4'),
        {"": 1, "k" * 100_000: 2, "twice": 2, "a.b[0]": 3, "$": 4},
    ),
    "nested 200 levels": ExpectedValues((f'"deep":{"[" * 200}{"]" * 200}',), {}),
    "fields of another kind": ExpectedValues(
        ('"subject":{"name":"in an object"}', '"status":17', '"priority":[1,2]', '"assignee":true'),
        {"subject": {"name": "in an object"}, "status": 17, "priority": [1, 2]},
        {"subject": "in an object", "status": "17", "priority": None, "assignee": "true"},
    ),
    "times before 1970": ExpectedValues(
        ('"createdTime":"0001-01-01T00:00:00Z"',), {"createdTime": "0001-01-01T00:00:00Z"}
    ),
    "a time at the end": ExpectedValues(
        ('"createdTime":"9999-12-31T23:59:59.999999Z"',),
        {"createdTime": "9999-12-31T23:59:59.999999Z"},
    ),
}
SQL_IDS = (
    "1'); DROP TABLE tickets; --",
    "`x`.y",
    "@batch",
    "%s",
    "${id}",
    "../../admin",
    "a\\",
    "ß\n",
)


@pytest.mark.parametrize("small_bytes", WAYS.values(), ids=WAYS)
def test_hostile_tickets_are_stored_whole(helpdesk: RawHelpdesk, small_bytes: int) -> None:
    helpdesk.rows = {name: row(name, *kept.members) for name, kept in STORED.items()}
    helpdesk.rows |= {name: row(name) for name in SQL_IDS}
    report = helpdesk.sync(bigquery_small_batch_bytes=small_bytes)
    assert report.facts.rows == len(STORED) + len(SQL_IDS)
    stored = helpdesk.stored()
    assert stored.keys() == helpdesk.rows.keys()
    for name, kept in STORED.items():
        raw = stored[name]["raw_json"]
        assert {key: raw[key] for key in kept.values} == kept.values, name
        assert {key: stored[name][key] for key in kept.columns} == kept.columns, name
    assert helpdesk.sync(bigquery_small_batch_bytes=small_bytes).facts.inserted == 0


DEEP = f'"deep":{"[" * 300}{"]" * 300}'
BOTTOMLESS = f'"deep":{"[" * 100_000}{"]" * 100_000}'
REFUSED = {
    "nested 300 levels": (row("nested 300 levels", DEEP), "raw_json"),
    "nested 100,000 levels": (row("nested 100,000 levels", BOTTOMLESS), "raw_json"),
    **{
        f"modified {text}": (row(f"modified {text}", modified=text), "modifiedTime")
        for text in (
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
            "+10000-01-01T00:00:00Z",
            "-0044-03-15T12:00:00Z",
            "2026-02-30T08:00:00Z",
            "2026-11-20T08:00:00",
            "",
        )
    },
    "a time of another kind": (
        b'{"id":"a time of another kind","modifiedTime":{"at":1}}',
        "modifiedTime",
    ),
}
# Nothing is wrong with these but the id.
UNNAMED = b'{"modifiedTime":"' + MODIFIED.encode() + b'","id":%s}'
NAMELESS = (
    *(
        UNNAMED % ticket_id
        for ticket_id in (
            b'""',
            b'" "',
            b'["1"]',
            b"true",
            b"1.5",
            b"null",
            b'"' + b"9" * 2000 + b'"',
            b"9" * 5000,
        )
    ),
    b"[]",
    b'"text"',
    b"null",
    b"NaN",
)


@pytest.mark.usefixtures("no_garbage_collection")
def test_unstorable_ticket_is_named_and_others_stored(helpdesk: RawHelpdesk) -> None:
    helpdesk.rows = {name: body for name, (body, _) in REFUSED.items()}
    helpdesk.rows |= {f"nameless {place}": body for place, body in enumerate(NAMELESS)}
    helpdesk.rows["good"] = row("good")
    report = helpdesk.sync(helpdesk_skip_bad_tickets=True)
    manifest = report.manifest
    assert manifest.bad_count == len(REFUSED) + len(NAMELESS)
    named = {bad.ticket_id: bad.field for bad in manifest.bad}
    assert {name: field for name, (_, field) in REFUSED.items()}.items() <= named.items()
    assert helpdesk.stored().keys() == {"good"}


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("name", REFUSED)
def test_without_skip_the_run_names_the_ticket(helpdesk: RawHelpdesk, name: str) -> None:
    body, field_name = REFUSED[name]
    helpdesk.rows = {"good": row("good"), name: body}
    with pytest.raises(TicketUnreadable) as refused:
        helpdesk.sync()
    said = str(refused.value)
    assert said.startswith(f"Ticket {name}: {field_name} ")
    assert "HELPDESK_SKIP_BAD_TICKETS" in said
    assert said.isprintable()


def test_unprintable_id_is_shown_on_one_line(helpdesk: RawHelpdesk) -> None:
    ticket_id = "7\n" + "ERROR all is lost " * 50
    helpdesk.rows = {"7": row(ticket_id, modified="never")}
    with pytest.raises(TicketUnreadable) as refused:
        helpdesk.sync()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_twenty_megabyte_body_is_stored_whole(helpdesk: RawHelpdesk) -> None:
    body = "Größe " * 3_000_000
    helpdesk.rows = {"large": row("large", f'"description":"{body}"'), "small": row("small")}
    helpdesk.sync()
    stored = helpdesk.stored()
    assert stored["large"]["raw_json"]["description"] == body
    assert stored.keys() == {"large", "small"}


def test_unstorable_ticket_is_rejected_by_name(
    helpdesk: RawHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a hundredth of the real limit, in bytes and not in characters."""
    monkeypatch.setattr(tickets, "MAX_TICKET_BYTES", 490_000)
    fits, too_large = "ß" * 240_000, "ß" * 245_000
    helpdesk.rows = {
        "fits": row("fits", f'"subject":"{fits}"'),
        "too large": row("too large", f'"subject":"{too_large}"'),
    }
    report = helpdesk.sync(helpdesk_skip_bad_tickets=True)
    assert [(bad.ticket_id, bad.field) for bad in report.manifest.bad] == [
        ("too large", "raw_json")
    ]
    assert helpdesk.stored().keys() == {"fits"}


def test_batch_too_large_when_escaped_uses_a_load_job(helpdesk: RawHelpdesk) -> None:
    """Each character is sent as six, and BigQuery's limit for requests is 10 MB."""
    helpdesk.rows = {str(n): row(str(n), f'"description":"{"ж" * 900_000}"') for n in range(2)}
    assert helpdesk.sync(bigquery_small_batch_bytes=8_000_000).load_jobs == 1
    assert helpdesk.stored().keys() == {"0", "1"}


def test_endless_response_is_not_read_to_the_end(
    helpdesk: RawHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1 << 20)
    helpdesk.rows = {"1": row("1", f'"description":"{"x" * (2 << 20)}"')}
    with pytest.raises(EndpointFailed, match=r"more than 1 MiB\. Lower HELPDESK_PAGE_SIZE"):
        helpdesk.sync()


def test_decompression_bomb_is_aborted(
    helpdesk: RawHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten megabytes of spaces are ten kilobytes on the wire."""
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1 << 20)
    helpdesk.prefix = b" " * (10 << 20)
    helpdesk.is_packed = True
    with pytest.raises(EndpointFailed, match="more than 1 MiB"):
        helpdesk.sync()


def test_leading_byte_order_mark_is_accepted(helpdesk: RawHelpdesk) -> None:
    helpdesk.prefix = b"\xef\xbb\xbf"
    helpdesk.rows = {"1": row("1"), "2": row("2")}
    helpdesk.sync()
    assert helpdesk.stored().keys() == {"1", "2"}
