"""The simulated Request Tracker answers like the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from helpdesk_assets.local.simulator.dialects.request_tracker import API
from helpdesk_assets.local.simulator.fact_switches import facts_of
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.providers.request_tracker.adapter import TICKET_FIELDS
from helpdesk_assets_tests.request_tracker.conftest import Running

Ask = Callable[..., requests.Response]
USER = "sync-new-york"
GONE = "ObjectType = 'RT::Ticket' AND (NewValue = 'deleted' OR Field = 'MergedInto')"
NOTICE = "ObjectType,ObjectId,Type,Field,OldValue,NewValue,Created,Creator"

# What is asked, and by whom. {living}, {deleted} and {merged} are ids.
QUESTIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a list": (USER, "/tickets", {"query": "id > 0", "fields": TICKET_FIELDS}),
    "a list of times": (USER, "/tickets", {"query": "id > 0", "fields": "LastUpdated"}),
    "a list of ids": (USER, "/tickets", {"query": "id > 0"}),
    "a page": (USER, "/tickets", {"query": "id > 0", "per_page": 2, "page": 2}),
    "too large a page": (USER, "/tickets", {"query": "id > 0", "per_page": 500}),
    "an odd page": (USER, "/tickets", {"query": "id > 0", "per_page": "x", "page": "y"}),
    "behind the last page": (USER, "/tickets", {"query": "id = {living}", "page": 9}),
    "a deleted ticket in a list": (USER, "/tickets", {"query": "id = {deleted}"}),
    "a merged ticket in a list": (USER, "/tickets", {"query": "id = {merged}"}),
    # The ticket is found although it was updated earlier.
    "a time with a T": (
        USER,
        "/tickets",
        {"query": "id = {living} AND LastUpdated >= '{today}T23:59:59Z'"},
    ),
    "a time without a T": (
        USER,
        "/tickets",
        {"query": "id = {living} AND LastUpdated >= '{today} 23:59:59'"},
    ),
    "times of a transaction's ticket": (
        USER,
        "/transactions",
        {"query": f"{GONE} AND TicketLastUpdated >= '{{hour_ago}}'", "fields": NOTICE},
    ),
    "an unknown field": (USER, "/tickets", {"query": "Nonsense = 3"}),
    "an incomplete query": (USER, "/tickets", {"query": "id >"}),
    "an empty query": (USER, "/tickets", {"query": ""}),
    "no query": (USER, "/tickets", {"query": "garbage"}),
    "transactions": (USER, "/transactions", {"query": GONE, "fields": NOTICE}),
    "transactions, counted": ("root", "/transactions", {"query": GONE, "fields": NOTICE}),
    "an unknown parameter": (USER, "/tickets", {"query": "id > 0", "moon": "1"}),
    "an empty list": (USER, "/tickets", {"query": "id = 77777777"}),
    "a ticket": (USER, "/ticket/{living}", {}),
    "a deleted ticket": (USER, "/ticket/{deleted}", {}),
    "a merged ticket": (USER, "/ticket/{merged}", {}),
    "no ticket": (USER, "/ticket/77777777", {}),
    "no user": (USER, "/user/nobody-of-this-name", {}),
    "oneself": (USER, "/user/sync-new-york", {}),
    "another user": (USER, "/user/root", {}),
    "a bad login": ("nobody-of-this-name", "/tickets", {"query": "id > 0"}),
}
# How many rows there are, and what they may do, is each one's own matter.
UNEQUAL = {"prev_page", "next_page", "_hyperlinks", "CustomFields"}

Side = tuple[Ask, dict[str, str]]


@pytest.fixture(scope="module")
def real(running: Running) -> Side:
    rt = running.rt
    living, deleted, merged, *_ = [rt.create("for comparison") for _ in range(6)]
    rt.delete(deleted)
    rt.merge(merged, into=living)

    def ask(user: str, path: str, params: dict[str, Any]) -> requests.Response:
        return rt.get(path, params, user)

    return ask, {"living": living, "deleted": deleted, "merged": merged}


@pytest.fixture(scope="module")
def simulated() -> Iterator[Side]:
    # The release that is installed here has answered these questions; others may not agree.
    answered = [fact.key for fact in facts_of("request_tracker")]
    with SimulatedHelpdesk(5, dialect="request_tracker", friendly=answered) as simulator:
        living, deleted, merged = (each.ticket_id for each in simulator.change(3))
        simulator.delete(ids=[deleted])
        simulator.merge([merged], living)
        session = requests.Session()
        session.trust_env = False

        def ask(user: str, path: str, params: dict[str, Any]) -> requests.Response:
            return session.get(
                simulator.base_url + API + path,
                params=params,
                auth=(user, simulator.token),
                timeout=30,
            )

        yield ask, {"living": living, "deleted": deleted, "merged": merged}
        session.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_simulator_and_real_server_respond_alike(
    real: Side, simulated: Side, question: str
) -> None:
    one, other = (_answer(*side, question) for side in (real, simulated))
    assert other == one


def test_page_that_is_not_the_last_names_the_next(real: Side, simulated: Side) -> None:
    query = {"query": "id > 0", "per_page": 2}
    for ask, _ in (real, simulated):
        first, behind = (ask(USER, "/tickets", {**query, "page": n}).json() for n in (1, 999))
        assert "page=2" in first["next_page"]
        assert "next_page" not in behind


def _answer(ask: Ask, ids: dict[str, str], question: str) -> tuple[int, Any]:
    user, path, params = QUESTIONS[question]
    hour_ago = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%d %H:%M:00}"
    today = f"{datetime.now(ZoneInfo('America/New_York')):%Y-%m-%d}"
    times = {**ids, "today": today, "hour_ago": hour_ago}
    filled = {
        name: value.format(**times) if isinstance(value, str) else value
        for name, value in params.items()
    }
    answer = ask(user, path.format(**ids), filled)
    return answer.status_code, _shape(answer.json())


def _shape(value: Any) -> Any:
    """Return the names in a JSON value and the types of their values."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items() if name not in UNEQUAL}
    if isinstance(value, list):
        return [_shape(each) for each in value[:1]]
    return type(value).__name__
