"""Details come in order, fetched concurrently, and are never older than the list said."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed
from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.paging.details import DetailRequest, fetch_details
from helpdesk_assets_tests.providers.shifting_helpdesk import at, ticket


def test_details_are_fetched_concurrently_and_in_order() -> None:
    # The barrier waits for four concurrent calls; a fifth would break its round.
    meeting = threading.Barrier(4, timeout=10)

    def fetch(ticket_id: str) -> Ticket:
        meeting.wait()
        return ticket(ticket_id, 5)

    names = [str(n) for n in range(12)]
    read = fetch_details(map(DetailRequest, names), fetch, 4)
    assert [one.ticket_id for one in read.tickets] == names


def test_deleted_ticket_is_omitted_and_bad_one_named() -> None:
    bad = BadTicket("2", "modifiedTime", "is absent")
    found = {"1": None, "2": bad, "3": ticket("3", 5)}
    read = fetch_details(map(DetailRequest, found), found.__getitem__, 2)
    assert (read.tickets, read.bad) == ((ticket("3", 5),), (bad,))


def test_duplicate_ticket_is_fetched_once() -> None:
    asked: list[str] = []

    def fetch(ticket_id: str) -> Ticket:
        asked.append(ticket_id)
        return ticket(ticket_id, 5)

    assert len(fetch_details(map(DetailRequest, "aab"), fetch, 1).tickets) == 2
    assert asked == ["a", "b"]


def test_newer_detail_is_accepted_and_older_rejected() -> None:
    newer = ticket("1", 9)
    assert fetch_details([DetailRequest("1", at(5))], lambda _: newer, 1).tickets == (newer,)
    with pytest.raises(EndpointFailed, match="an old copy"):
        fetch_details([DetailRequest("1", at(5))], lambda _: replace(newer, modified_time=at(4)), 1)


def test_failure_stops_fetching() -> None:
    asked: list[str] = []

    def fetch(ticket_id: str) -> Ticket:
        asked.append(ticket_id)
        raise CredentialsRefused("no")

    with pytest.raises(CredentialsRefused):
        fetch_details((DetailRequest(str(n)) for n in range(1000)), fetch, 2)
    assert len(asked) < 1000
    assert not any(thread.name.startswith("details") for thread in threading.enumerate())
