"""Tickets fetched for a drain: each once, within a budget, and no failure stops the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import (
    CredentialsRefused,
    EndpointFailed,
    RateLimitExhausted,
    RightMissing,
    TicketForbidden,
    TicketUnreadable,
)
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.model.webhook_events import ReadTicket
from helpdesk_assets.operations.ticket_fetch import (
    OUTAGE_AFTER,
    Absent,
    TicketFetch,
    Unreadable,
)
from helpdesk_assets_tests.operations.paper_desk import NOW, PaperDesk, version

DOWN = EndpointFailed("no answer")


def fetch_of(helpdesk: PaperDesk, **changed: Any) -> TicketFetch:
    budget = {"concurrency": 1, "most": 100, "longest": timedelta(minutes=1), **changed}
    return TicketFetch(helpdesk, **budget)


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_each_ticket_is_asked_once_and_all_answers_come() -> None:
    helpdesk = PaperDesk()
    helpdesk.holds(version("1"))
    helpdesk.tickets["bad"] = TicketUnreadable("no time", "bad")
    fetch = fetch_of(helpdesk, concurrency=3)
    assert fetch.fetch(["1", "bad", "1", "none", "bad"]) == {
        "1": ReadTicket(version("1"), NOW),
        "bad": Unreadable("no time"),
        "none": Absent(),
    }
    assert sorted(helpdesk.asked) == ["1", "bad", "none"]
    assert (fetch.fetched, fetch.error) == (3, None)


def test_helpdesk_without_a_clock_is_dated_by_ours() -> None:
    helpdesk = PaperDesk(clock=None)
    helpdesk.holds(version("1"))
    later = NOW + timedelta(hours=1)
    fetch = fetch_of(helpdesk, now=lambda: later)
    assert fetch.fetch(["1"]) == {"1": ReadTicket(version("1"), later)}


def test_one_failing_ticket_does_not_stop_the_others() -> None:
    helpdesk = PaperDesk()
    helpdesk.holds(*map(version, names(20)))
    for failing in names(20)[::2]:
        helpdesk.tickets[failing] = DOWN
    fetch = fetch_of(helpdesk)
    assert sorted(fetch.fetch(names(20))) == sorted(names(20)[1::2])
    assert fetch.error is DOWN


def test_tickets_that_may_not_be_seen_are_no_outage() -> None:
    helpdesk = PaperDesk()
    helpdesk.holds(*map(version, names(20)))
    for hidden in names(2 * OUTAGE_AFTER):
        helpdesk.tickets[hidden] = TicketForbidden("403", hidden)
    fetch = fetch_of(helpdesk)
    answers = fetch.fetch(names(20))
    assert sorted(answers) == sorted(names(20))
    assert [answers[hidden] for hidden in names(2)] == [Unreadable("403", is_forbidden=True)] * 2
    assert fetch.error is None


@pytest.mark.parametrize("lost", [RightMissing("403"), DOWN], ids=lambda lost: type(lost).__name__)
def test_forbidden_tickets_wait_if_rights_are_lost(lost: Exception) -> None:
    helpdesk = PaperDesk(lost=lost)
    helpdesk.holds(version("shown"))
    helpdesk.tickets["hidden"] = TicketForbidden("403", "hidden")
    helpdesk.tickets["bad"] = TicketUnreadable("no time", "bad")
    fetch = fetch_of(helpdesk)
    assert fetch.fetch(["shown", "hidden", "bad"]).keys() == {"shown", "bad"}
    assert fetch.error is lost
    assert fetch.fetch(["other"]) == {}


def test_outage_ends_the_fetching() -> None:
    helpdesk = PaperDesk()
    helpdesk.tickets = dict.fromkeys(names(20), DOWN)
    fetch = fetch_of(helpdesk)
    assert fetch.fetch(names(20)) == {}
    assert len(helpdesk.asked) == OUTAGE_AFTER
    assert fetch.fetch(["other"]) == {}
    assert len(helpdesk.asked) == OUTAGE_AFTER


@pytest.mark.parametrize(
    "error", [CredentialsRefused("401"), RightMissing("403"), RateLimitExhausted("429")]
)
def test_refused_account_is_asked_no_more(error: Exception) -> None:
    helpdesk = PaperDesk()
    helpdesk.holds(*map(version, names(20)))
    helpdesk.tickets["1"] = error
    fetch = fetch_of(helpdesk)
    assert set(fetch.fetch(names(20))) == {"0"}
    assert fetch.error is error
    assert helpdesk.asked == ["0", "1"]


def test_budget_of_calls_holds_for_the_whole_drain() -> None:
    helpdesk = PaperDesk()
    helpdesk.holds(*map(version, names(20)))
    fetch = fetch_of(helpdesk, most=5, concurrency=2)
    assert set(fetch.fetch(names(3))) == set(names(3))
    assert set(fetch.fetch(names(20)[3:])) == {"3", "4"}
    assert fetch.error is None


def test_budget_of_time_holds_for_the_whole_drain() -> None:
    seconds = 0.0

    class Slow(PaperDesk):
        def ticket(self, ticket_id: str) -> Ticket | None:
            nonlocal seconds
            seconds += 10
            return super().ticket(ticket_id)

    helpdesk = Slow()
    helpdesk.holds(*map(version, names(20)))
    fetch = fetch_of(helpdesk, longest=timedelta(seconds=45), monotonic=lambda: seconds)
    assert len(fetch.fetch(names(3))) == 3
    assert len(fetch.fetch(names(20)[3:])) == 2
    assert fetch.fetch(["19"]) == {}


def test_call_that_hangs_is_left_behind() -> None:
    gate, entered = threading.Event(), threading.Event()

    class Hanging(PaperDesk):
        def ticket(self, ticket_id: str) -> Ticket | None:
            entered.set()
            gate.wait(60)
            return None

    seconds: Callable[[], float] = iter([0.0, 0.0, 59.999, 60.0]).__next__
    fetch = fetch_of(Hanging(), monotonic=seconds)
    try:
        assert fetch.fetch(["1"]) == {}
        assert entered.is_set()
    finally:
        gate.set()
