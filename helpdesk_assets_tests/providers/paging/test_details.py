"""Details come in order, several at a time, and never older than the list said."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed
from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.paging.details import Wanted, fetch_details
from helpdesk_assets_tests.providers.shifting_helpdesk import at, ticket


def test_as_many_at_a_time_as_allowed_and_in_order() -> None:
    # Nobody passes before four are there at once; a fifth would break the barrier's round.
    meeting = threading.Barrier(4, timeout=10)

    def fetch(ticket_id: str) -> Ticket:
        meeting.wait()
        return ticket(ticket_id, 5)

    names = [str(n) for n in range(12)]
    read = fetch_details(map(Wanted, names), fetch, 4)
    assert [one.ticket_id for one in read.tickets] == names


def test_a_ticket_deleted_meanwhile_is_left_out_and_a_bad_one_named() -> None:
    bad = BadTicket("2", "modifiedTime", "is absent")
    found = {"1": None, "2": bad, "3": ticket("3", 5)}
    read = fetch_details(map(Wanted, found), found.__getitem__, 2)
    assert (read.tickets, read.bad) == ((ticket("3", 5),), (bad,))


def test_a_ticket_wanted_twice_is_fetched_once() -> None:
    asked: list[str] = []

    def fetch(ticket_id: str) -> Ticket:
        asked.append(ticket_id)
        return ticket(ticket_id, 5)

    assert len(fetch_details(map(Wanted, "aab"), fetch, 1).tickets) == 2
    assert asked == ["a", "b"]


def test_a_newer_detail_is_taken_and_an_older_one_refused() -> None:
    newer = ticket("1", 9)
    assert fetch_details([Wanted("1", at(5))], lambda _: newer, 1).tickets == (newer,)
    with pytest.raises(EndpointFailed, match="an old copy"):
        fetch_details([Wanted("1", at(5))], lambda _: replace(newer, modified_time=at(4)), 1)


def test_a_failure_ends_it() -> None:
    asked: list[str] = []

    def fetch(ticket_id: str) -> Ticket:
        asked.append(ticket_id)
        raise CredentialsRefused("no")

    with pytest.raises(CredentialsRefused):
        fetch_details((Wanted(str(n)) for n in range(1000)), fetch, 2)
    assert len(asked) < 1000
    assert not any(thread.name.startswith("details") for thread in threading.enumerate())
