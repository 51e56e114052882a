"""What becomes of the recycle bin's rows, for given answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, TicketForbidden
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets_tests.providers.loopback import CannedResponse, loopback
from helpdesk_assets_tests.providers.pages import newest
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests
from helpdesk_assets_tests.providers.zoho_desk.canned import (
    BIN,
    BINNED,
    MODULES,
    NOTHING,
    ROW,
    SEARCH,
    Connect,
    answering,
    cut,
    found,
)


def trashed_ticket(connect: Connect, **answers: Any) -> Ticket:
    """Return what becomes of a ticket in the recycle bin, in a full read."""
    with loopback(answering(bin=found(BINNED), **answers)) as server:
        (ticket,) = newest(connect(server.url).changes(None)).values()
    return ticket


def test_trashed_ticket_is_whole_and_dated_by_the_bin(connect: Connect) -> None:
    ticket = trashed_ticket(connect, ticket={**ROW, "isTrashed": True})
    assert not ticket.tombstone
    assert ticket.deleted_time == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert ticket.modified_time < ticket.deleted_time


@pytest.mark.parametrize(
    "answer", [CannedResponse(b"{}", 404), CannedResponse(b'{"errorCode": "FORBIDDEN"}', 403)]
)
def test_unreadable_trashed_ticket_becomes_a_tombstone(
    connect: Connect, answer: CannedResponse
) -> None:
    ticket = trashed_ticket(connect, ticket=answer)
    assert ticket.tombstone
    assert json.loads(ticket.raw_json) == BINNED


def test_gateway_does_not_say_that_a_ticket_is_deleted(connect: Connect) -> None:
    """The ticket may have been restored; what the helpdesk says counts."""
    answers = [CannedResponse(b"<html>blocked</html>", 403), {**ROW, "isTrashed": False}]
    ticket = trashed_ticket(connect, ticket=lambda _: answers.pop(0))
    assert (ticket.tombstone, ticket.deleted_time) == (False, None)


def test_forbidden_ticket_costs_one_search_and_no_bin(connect: Connect) -> None:
    refused = CannedResponse(b'{"errorCode": "FORBIDDEN"}', 403)
    with loopback(answering(bin=found(BINNED), ticket=refused)) as server:
        helpdesk = connect(server.url)
        for number in ("7", "8"):
            with pytest.raises(TicketForbidden, match=f"Ticket {number}:"):
                helpdesk.ticket(number)
        helpdesk.confirm_rights()
    asked = [one.path for one in sent_requests(server.seen)]
    assert asked.count(SEARCH) == 2
    assert not {BIN, MODULES} & set(asked)


def test_trashed_ticket_without_the_flag_becomes_a_tombstone(connect: Connect) -> None:
    """Equal to the stored version, it would leave the ticket live in the table."""
    ticket = trashed_ticket(connect, ticket=ROW)
    assert ticket.tombstone
    assert ticket.deleted_time == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def test_ticket_restored_during_the_read_is_live(connect: Connect) -> None:
    ticket = trashed_ticket(connect, ticket={**ROW, "isTrashed": False})
    assert (ticket.tombstone, ticket.deleted_time) == (False, None)


@pytest.mark.parametrize("kind", ["Contacts", "Calls", None, 5])
def test_other_objects_in_the_bin_are_skipped(connect: Connect, kind: Any) -> None:
    with loopback(answering(bin=found({**BINNED, "type": kind}))) as server:
        assert newest(connect(server.url).changes(None)) == {}


@pytest.mark.parametrize("at", [None, "yesterday", True])
@pytest.mark.parametrize("is_readable", [True, False])
def test_bin_row_without_a_time_does_not_end_the_run(
    connect: Connect, at: Any, is_readable: bool
) -> None:
    """The ticket itself says that it is deleted; where it does not, it is reported."""
    odd, trashed = {**BINNED, "deletedTime": at}, {**ROW, "isTrashed": True}
    ticket = trashed if is_readable else CannedResponse(b"{}", 404)
    other = {**ROW, "id": "8"}
    with loopback(answering(bin=found(odd), ticket=ticket, search=found(other))) as server:
        pages = list(connect(server.url).changes(None))
    gone = newest(pages).get(str(ROW["id"]))
    assert (gone is not None and gone.deleted_time is not None) is is_readable
    reported = [(bad.ticket_id, bad.field) for page in pages for bad in page.bad]
    assert reported == ([] if is_readable else [(ROW["id"], "deletedTime")])
    assert "8" in newest(pages)


@pytest.mark.parametrize("at", [None, "yesterday"])
def test_undated_bin_row_counts_as_deleted_in_an_inventory(connect: Connect, at: Any) -> None:
    with loopback(answering(bin=found({**BINNED, "deletedTime": at}))) as server:
        entries = [entry for page in connect(server.url).inventory() for entry in page.entries]
    assert [(entry.ticket_id, entry.gone) for entry in entries] == [(ROW["id"], True)]


@pytest.mark.parametrize("row", [{"type": "Tickets"}, {**BINNED, "id": None}, "7", None, []])
def test_bin_row_without_an_id_does_not_end_the_run(connect: Connect, row: Any) -> None:
    rows = [row, {**BINNED, "id": "7"}]
    with loopback(answering(bin=lambda asked: cut(asked, rows))) as server:
        pages = list(connect(server.url).changes(None))
    assert newest(pages).keys() == {"7"}
    assert [bad.field for page in pages for bad in page.bad] == ["id"]


def test_number_as_id_keeps_every_digit(connect: Connect) -> None:
    number = 1_892_000_000_042_034_123
    with loopback(answering(bin=found({**BINNED, "id": number}))) as server:
        assert newest(connect(server.url).changes(None)).keys() == {str(number)}


@pytest.mark.parametrize(
    ("flags", "is_gone"),
    [
        ({"isTrashed": "false", "isDeleted": "false"}, False),
        ({"isTrashed": "False", "isDeleted": False}, False),
        ({"isTrashed": "true"}, True),
        ({"isTrashed": False, "isDeleted": "True"}, True),
        # A flag that says nothing is none.
        ({"isTrashed": None, "isDeleted": None}, True),
        ({"isTrashed": None, "isDeleted": "false"}, False),
    ],
)
def test_flags_of_a_binned_ticket_may_be_text(
    connect: Connect, flags: dict[str, Any], is_gone: bool
) -> None:
    ticket = trashed_ticket(connect, ticket={**ROW, **flags})
    assert (ticket.deleted_time is not None) is is_gone


def test_bin_without_an_end_is_an_error(connect: Connect) -> None:
    with (
        loopback(answering(bin=found(*binned(*range(3))))) as server,
        pytest.raises(EndpointFailed, match="gives the same rows again and again"),
    ):
        list(connect(server.url).changes(None))


def binned(*numbers: int) -> list[dict[str, Any]]:
    return [{**BINNED, "id": str(number)} for number in numbers]


class Bin:
    """A recycle bin whose rows differ from call to call; the last answer repeats."""

    def __init__(self, *states: list[dict[str, Any]]) -> None:
        self.states = list(states)

    def __call__(self, asked: SentRequest) -> Any:
        now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return cut(asked, now)


EVERY = range(120)


@pytest.mark.parametrize(
    ("states", "calls"),
    [
        # Without changes: 50, 49 more, 21 more, and nothing behind them.
        ([binned(*EVERY)], 4),
        # One is restored between the first two pages, so the rest shifts: read again.
        ([binned(*EVERY), binned(*EVERY[1:])], 6),
        # The row that both pages contain.
        ([binned(*EVERY), binned(*EVERY[:49], *EVERY[50:])], 6),
        # Some are deleted meanwhile, in front: rows already read appear again.
        ([binned(*EVERY), binned(*range(900, 905), *EVERY)], 4),
        # So many that the second page contains nothing new.
        ([binned(*EVERY), binned(*range(900, 949), *EVERY)], 5),
        # All rows disappear.
        ([binned(*EVERY), []], 3),
    ],
)
def test_bin_changing_while_paging_hides_nothing(
    connect: Connect, states: list[list[dict[str, Any]]], calls: int
) -> None:
    with loopback(answering(bin=Bin(*states))) as server:
        got = newest(connect(server.url).changes(None))
    asked = [one for one in sent_requests(server.seen) if one.path == BIN]
    assert got.keys() >= {row["id"] for row in states[-1]} - set(map(str, range(900, 949)))
    assert len(asked) == calls


def test_constantly_changing_bin_is_an_error(connect: Connect) -> None:
    states = [binned(*range(first, first + 60)) for first in range(0, 6000, 60)]
    with (
        loopback(answering(bin=Bin(*states))) as server,
        pytest.raises(EndpointFailed, match="lost rows during each of 10 passes"),
    ):
        list(connect(server.url).changes(None))


def test_bin_offset_starting_at_1_hides_nothing(connect: Connect) -> None:
    """Users report this of another list of Zoho's: 0 may then mean the same as 1."""

    def bin_from_1(asked: SentRequest) -> Any:
        first = max(int(asked.params["from"]), 1) - 1
        here = binned(*EVERY)[first : first + 50]
        return found(*here) if here else NOTHING

    with loopback(answering(bin=bin_from_1)) as server:
        assert len(newest(connect(server.url).changes(None))) == len(EVERY)
