"""The Zoho Desk adapter's results for given answers, byte for byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, TicketUnreadable
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.providers.zoho_desk.tickets import VOLATILE
from helpdesk_assets_tests.providers.loopback import CannedResponse, loopback
from helpdesk_assets_tests.providers.pages import newest
from helpdesk_assets_tests.providers.request_recorder import SentRequest
from helpdesk_assets_tests.providers.zoho_desk.canned import (
    NOTHING,
    ROW,
    START,
    Connect,
    answering,
    cut,
    found,
    rows,
)


def read(connect: Connect, ticket: dict[str, Any], **more: Any) -> Ticket:
    with loopback(answering(ticket=ticket)) as server:
        one = connect(server.url, **more).ticket(str(ROW["id"]))
    assert one is not None
    return one


@pytest.mark.parametrize("is_counted", [True, False])
def test_pages_within_one_moment(connect: Connect, is_counted: bool) -> None:
    """The count is that of all results, as documented, or that of the page's rows."""

    def search(asked: SentRequest) -> Any:
        low = asked.params["modifiedTimeRange"].partition(",")[0]
        every = [*rows(25), {**ROW, "id": "99", "modifiedTime": "2026-11-23T09:00:01.000Z"}]
        after = [row for row in every if row["modifiedTime"] >= low]
        return cut(asked, after, **({} if is_counted else {"count": 10}))

    with loopback(answering(search=search)) as server:
        helpdesk = connect(server.url, helpdesk_page_size=10, helpdesk_concurrency=1)
        got = newest(helpdesk.changes(None))
    assert got.keys() == {*map(str, range(1, 26)), "99"}


def test_short_page_is_not_the_last_while_more_are_counted(connect: Connect) -> None:
    pages = [rows(3), rows(10, 4)]

    def search(asked: SentRequest) -> Any:
        every = [row for page in pages for row in page]
        if asked.params["modifiedTimeRange"] >= "2026-11-23T09:00:00.124Z":
            return NOTHING
        first = int(asked.params["from"])
        return found(*every[first : first + 3], count=13) if first < 13 else NOTHING

    with loopback(answering(search=search)) as server:
        helpdesk = connect(server.url, helpdesk_page_size=10, helpdesk_concurrency=1)
        assert len(newest(helpdesk.changes(None))) == 13


@pytest.mark.parametrize(
    "body", [[], {"tickets": []}, {"errorCode": "x"}, {"data": None}, {"data": {}}, "x", None]
)
@pytest.mark.parametrize("name", ["search", "bin"])
def test_response_that_is_no_list_is_an_error(connect: Connect, name: str, body: Any) -> None:
    with (
        loopback(answering(**{name: body})) as server,
        pytest.raises(EndpointFailed, match='has no list "data"'),
    ):
        list(connect(server.url).changes(None))


def test_unsorted_search_is_an_error(connect: Connect) -> None:
    wrong = found(ROW, {**ROW, "id": "8", "modifiedTime": "2026-11-01T00:00:00.000Z"})
    with (
        loopback(answering(search=wrong)) as server,
        pytest.raises(EndpointFailed, match="does not keep to the window and the order"),
    ):
        list(connect(server.url).changes(None))


def test_search_ignoring_the_range_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering(search=found(ROW))) as server,
        pytest.raises(EndpointFailed, match="does not keep to the window and the order"),
    ):
        list(connect(server.url).changes(START))


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("The value passed for the 'modifiedTimeRange' parameter is invalid.", "modifiedTimeRange"),
        ("The value passed for field 'limit' exceeds the range of '1-100'.", "limit"),
        ("Extra query parameter 'sortBy' is present in the input.", "sortBy"),
        ("Something else.", "a parameter"),
    ],
)
def test_refused_parameter_is_named_and_no_setting_blamed(
    connect: Connect, message: str, named: str
) -> None:
    """On a first page it is not taken for the cap of a query either."""
    said = {"errorCode": "UNPROCESSABLE_ENTITY", "message": message}
    with (
        loopback(answering(search=CannedResponse(json.dumps(said).encode(), 422))) as server,
        pytest.raises(EndpointFailed, match=rf"422.*refuses {named} of GET /tickets/s") as caught,
    ):
        list(connect(server.url).changes(None))
    assert "HELPDESK_BASE_URL" not in str(caught.value)
    assert ("HELPDESK_PAGE_SIZE" in str(caught.value)) is (named == "limit")


@pytest.mark.parametrize("count", ["13", 13, None, "many", True, {}])
def test_count_may_be_text_or_null(connect: Connect, count: Any) -> None:

    def search(asked: SentRequest) -> Any:
        is_first = asked.params["createdTimeRange"] < str(ROW["createdTime"])
        return found(ROW, count=count) if is_first and asked.params["from"] == "0" else NOTHING

    with loopback(answering(search=search)) as server:
        pages = list(connect(server.url).inventory())
    assert {page.total for page in pages} == ({13} if str(count) == "13" else {None})


@pytest.mark.parametrize("name", VOLATILE)
@pytest.mark.parametrize("values", [(True, False), ("", None), ({"id": "1"}, {"id": "2"})])
def test_volatile_field_makes_no_new_version(
    connect: Connect, name: str, values: tuple[Any, Any]
) -> None:
    one, other, without = (
        read(connect, row) for row in ({**ROW, name: values[0]}, {**ROW, name: values[1]}, ROW)
    )
    assert one.content_hash == other.content_hash == without.content_hash
    assert json.loads(other.raw_json)[name] == values[1]
    assert read(connect, {**ROW, "subject": "t", name: values[0]}).content_hash != one.content_hash


def test_wrong_ticket_in_the_response_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering(ticket=ROW)) as server,
        pytest.raises(EndpointFailed, match="answered with ticket 1892000000042034"),
    ):
        connect(server.url).ticket("8")


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23T09:00:00.123Z",
        "2026-11-23T14:30:00.123+05:30",
        1_795_424_400_123,
    ],
)
def test_times_as_text_and_as_numbers(connect: Connect, value: Any) -> None:
    ticket = read(connect, {**ROW, "modifiedTime": value})
    assert ticket.modified_time == datetime(2026, 11, 23, 9, 0, 0, 123_000, tzinfo=UTC)
    assert json.loads(ticket.raw_json)["modifiedTime"] == value


@pytest.mark.parametrize(
    "value", ["2026-11-23T09:00:00", "", True, 1.5e12, 10**30, "1795424400123", {}]
)
def test_invalid_time_is_an_error(connect: Connect, value: Any) -> None:
    with pytest.raises(TicketUnreadable, match="modifiedTime"):
        read(connect, {**ROW, "modifiedTime": value})


def test_ticket_without_created_time_is_read_but_not_listed(connect: Connect) -> None:
    row = {**ROW, "createdTime": None}
    with loopback(answering(search=found(row), ticket=row)) as server:
        helpdesk = connect(server.url)
        assert newest(helpdesk.changes(None)).keys() == {ROW["id"]}
        with pytest.raises(TicketUnreadable, match="1892000000042034: createdTime is absent"):
            list(helpdesk.listing())


@pytest.mark.parametrize(
    ("fields", "priority", "assignee"),
    [
        ({}, "High", "1892000000056007"),
        ({"priority": None, "assigneeId": None}, None, None),
        ({"priority": "-None-", "assigneeId": ""}, None, ""),
        ({"priority": "Sehr hoch"}, "Sehr hoch", "1892000000056007"),
    ],
)
def test_columns(
    connect: Connect, fields: dict[str, Any], priority: str | None, assignee: str | None
) -> None:
    ticket = read(connect, {**ROW, **fields})
    assert (ticket.priority, ticket.assignee) == (priority, assignee)
    assert (ticket.subject, ticket.status) == ("s", "Open")
    assert json.loads(ticket.raw_json) == {**ROW, **fields}


@pytest.mark.parametrize(
    ("fields", "is_gone"),
    [
        ({}, False),
        ({"isSpam": False, "isTrashed": False, "isDeleted": False}, False),
        ({"isSpam": True}, True),
        ({"isTrashed": True}, True),
        ({"isTrashed": False, "isDeleted": True}, True),
        ({"isArchived": True}, False),
        ({"isSpam": "false", "isTrashed": "false", "isDeleted": "false"}, False),
        ({"isDeleted": "FALSE"}, False),
        ({"isSpam": "true"}, True),
        ({"isDeleted": "true"}, True),
        ({"isSpam": None, "isTrashed": "", "isDeleted": "0"}, False),
        ({"isTrashed": 1}, False),
    ],
)
def test_which_tickets_are_deleted(connect: Connect, fields: dict[str, Any], is_gone: bool) -> None:
    ticket = read(connect, {**ROW, **fields})
    assert ticket.deleted_time == (ticket.modified_time if is_gone else None)


def test_bad_tickets_are_named_when_skipped(connect: Connect) -> None:
    bad = {**ROW, "id": "7", "modifiedTime": "soon"}
    with loopback(answering(search=found(bad, ROW))) as server:
        helpdesk = connect(server.url, helpdesk_skip_bad_tickets=True)
        (page,) = helpdesk.changes(None)
    assert [one.ticket_id for one in page.tickets] == [ROW["id"]]
    assert [(one.ticket_id, one.field) for one in page.bad] == [("7", "modifiedTime")]


def test_secrets_are_masked_in_excerpts(connect: Connect) -> None:
    with (
        loopback(answering(search=CannedResponse(b"t0ken r3fresh s3cret 6000", 400))) as server,
        pytest.raises(EndpointFailed, match=r"answered 400: \*\*\* \*\*\* \*\*\* 6000"),
    ):
        list(connect(server.url).changes(None))
