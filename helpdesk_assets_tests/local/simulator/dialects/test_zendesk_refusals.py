"""What the simulated Zendesk refuses, and in which shape, as the vendor's pages say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.local.simulator.dialects.test_zendesk import EXPORT, LIST, Caller

SEARCH = "/api/v2/search.json"
MANY = "/api/v2/tickets/show_many.json"


@pytest.fixture
def strict() -> Iterator[Caller]:
    with SimulatedHelpdesk(tickets=130, seed=11, frozen=True, dialect="zendesk") as simulator:
        simulator.advance(1000)
        caller = Caller(simulator)
        with caller.session:
            yield caller


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (EXPORT, {"start_time": 0, "page": 2}),
        (LIST, {"updated_since": "2026-11-01T08:00:00Z"}),
        ("/api/v2/tickets/1.json", {"fields": "id"}),
        (SEARCH, {"query": "type:ticket", "page[size]": 100}),
        (MANY, {"ids": "1", "per_page": 5}),
    ],
)
def test_unknown_parameters_are_refused(strict: Caller, path: str, query: dict[str, Any]) -> None:
    refused = strict.get(path, **query)
    assert (refused.status_code, refused.json()["error"]) == (400, "InvalidParameter")
    strict.simulator.switch("zendesk.unknown_parameter_is_ignored")
    assert strict.get(path, **query).status_code in (200, 404)


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        (LIST, {"page": 101, "per_page": 100}, 400, "InvalidPaginationDepth"),
        (SEARCH, {"query": "type:ticket", "page": 11}, 422, "SearchResponseLimits"),
    ],
)
def test_deep_pages_are_refused(
    strict: Caller, path: str, query: dict[str, Any], status: int, code: str
) -> None:
    refused = strict.get(path, **query)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (status, code)


def test_pages_by_number_within_the_limit(strict: Caller) -> None:
    first, second = (strict.get(LIST, page=page).json() for page in (1, 2))
    assert (len(first["tickets"]), len(second["tickets"])) == (100, first["count"] - 100)
    found = strict.get(SEARCH, query="type:ticket", page=2, per_page=50).json()
    assert (len(found["results"]), found["count"]) == (50, first["count"])


def test_several_tickets_by_id(strict: Caller) -> None:
    ids = [one.ticket_id for one in strict.simulator.truth()][:3]
    (gone,) = strict.simulator.delete(ids=ids[:1])
    shown = strict.get(MANY, ids=",".join(ids)).json()["tickets"]
    assert {str(row["id"]) for row in shown} == {*ids} - {gone}
    refused = strict.get(MANY, ids=",".join(map(str, range(101))))
    assert (refused.status_code, refused.json()["error"]) == (400, "TooManyValues")


def test_absent_endpoint_differs_from_an_absent_ticket(strict: Caller) -> None:
    answers = [strict.get(f"/api/v2/{path}") for path in ("slas/policies.json", "tickets/5.json")]
    assert [one.status_code for one in answers] == [404, 404]
    assert [one.json()["error"] for one in answers] == ["InvalidEndpoint", "RecordNotFound"]


def test_large_pages_meet_the_gateway(strict: Caller) -> None:
    strict.simulator.fault("slow_pages", on="search", rows=50)
    slow = strict.get(EXPORT, start_time=0, per_page=51)
    assert (slow.status_code, slow.text) == (504, "upstream request timeout")
    assert slow.headers["Content-Type"].startswith("text/plain")
    assert strict.get(EXPORT, start_time=0, per_page=50).status_code == 200


def test_scope_chooses_between_agents_and_ai_agents(strict: Caller) -> None:
    """Without a scope, tickets that only AI agents handle are absent."""

    def exported(**query: object) -> set[int]:
        rows = strict.get(EXPORT, start_time=0, **query).json()["tickets"]
        return {row["id"] for row in rows}

    everything, agents, robots = (
        exported(support_type_scope=scope) for scope in ("all", "agent", "ai_agent")
    )
    assert exported() == agents
    assert agents | robots == everything
    assert not agents & robots
    assert robots
    refused = strict.get(EXPORT, start_time=0, support_type_scope="everyone")
    assert refused.status_code == 400


def test_export_limit_has_a_header_of_its_own(strict: Caller) -> None:
    strict.simulator.fault("rate_limit", on="search", calls=2, window_seconds=60)
    header = strict.get(EXPORT, start_time=0).headers["zendesk-ratelimit-incremental-exports"]
    total, remaining, resets = header.split("; ")
    assert (total, remaining) == ("total=2", "remaining=1")
    assert resets.startswith("resets=")
