"""Archived tickets, and agents who do not see every ticket, against the simulated Freshdesk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from helpdesk_assets.errors import CredentialsRefused, DeletionUnproven, TicketForbidden
from helpdesk_assets.local.simulator.dialects.freshdesk import FreshdeskDialect
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import BadTicket, Ticket
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.freshdesk.adapter import FreshdeskAdapter, from_settings
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.providers.loopback import CannedResponse, ReceivedRequest, loopback
from helpdesk_assets_tests.providers.pages import newest
from helpdesk_assets_tests.providers.request_recorder import sent_requests

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICKETS = "/api/v2/tickets"


@pytest.fixture
def simulator() -> Iterator[SimulatedHelpdesk]:
    with SimulatedHelpdesk(tickets=20, start=START, frozen=True, dialect="freshdesk") as simulator:
        simulator.advance(3600)
        yield simulator


@pytest.fixture
def connect() -> Iterator[Callable[..., FreshdeskAdapter]]:
    made: list[FreshdeskAdapter] = []

    def make(simulator: SimulatedHelpdesk, **more: Any) -> FreshdeskAdapter:
        given = {"helpdesk_base_url": simulator.base_url, "helpdesk_api_token": simulator.token}
        settings = Settings.model_validate({**given, **more})
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            simulator.advance(seconds)

        runtime = Runtime(
            now=lambda: START, monotonic=lambda: sum(slept), sleep=sleep, rng=lambda: 0.5
        )
        made.append(from_settings(settings, runtime))
        return made[-1]

    yield make
    for helpdesk in made:
        helpdesk.close()


Connect = Callable[..., FreshdeskAdapter]


@pytest.fixture
def without_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", False)


def test_archived_ticket_answers_to_its_id_and_lives(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    (archived,) = simulator.archive(1)
    helpdesk = connect(simulator, freshdesk_include="stats")
    assert archived not in newest(helpdesk.changes(None))
    simulator.reset_counters()
    ticket = helpdesk.ticket(archived)
    assert ticket is not None
    assert (ticket.ticket_id, ticket.deleted_time) == (archived, None)
    assert json.loads(ticket.raw_json)["archived"] is True
    assert simulator.counters().of("ticket") == 2


def test_archive_is_asked_once_for_a_purged_ticket(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    assert connect(simulator).ticket("9999") is None
    assert simulator.counters().of("ticket") == 2


def test_without_archive_a_missing_ticket_proves_nothing(
    simulator: SimulatedHelpdesk, connect: Connect, without_archive: None
) -> None:
    (archived,) = simulator.archive(1)
    helpdesk = connect(simulator)
    for ask in (helpdesk.ticket, helpdesk.archive.ticket):
        with pytest.raises(DeletionUnproven, match=f"no ticket {archived}.*may be archived"):
            ask(archived)


def test_lists_of_deleted_tickets_prove_it(connect: Connect, simulator: SimulatedHelpdesk) -> None:
    """A deleted ticket may be a 404 by its id, on a plan without the archive."""

    def respond(seen: ReceivedRequest) -> CannedResponse:
        asked = sent_requests([seen])[0]
        if asked.path.startswith(f"{TICKETS}/archived/"):
            return CannedResponse(b'{"code":"require_feature","message":"m"}', status=403)
        if asked.path != TICKETS:
            return CannedResponse(b"", status=404)
        kinds = {"deleted": 7, "spam": 8}
        row: dict[str, Any] = {
            "id": kinds.get(asked.params.get("filter", "")),
            "created_at": "2026-11-01T08:00:00Z",
            "updated_at": "2026-11-23T09:00:00Z",
        }
        is_asked = row["id"] and asked.params["updated_since"] <= row["updated_at"]
        return CannedResponse(json.dumps([row] if is_asked else []).encode())

    with loopback(respond) as server:
        given = {"helpdesk_base_url": server.url, "helpdesk_api_token": "k3yk3y"}
        helpdesk = from_settings(Settings.model_validate(given))
        list(helpdesk.inventory())
        assert (helpdesk.ticket("7"), helpdesk.ticket("8")) == (None, None)
        with pytest.raises(DeletionUnproven):
            helpdesk.ticket("9")
        helpdesk.close()


@pytest.mark.parametrize("plan_has_archive", [True, False])
def test_ticket_archived_after_its_row_is_not_dropped(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    plan_has_archive: bool,
) -> None:
    """Its details are gone where nobody can ask for them, so the list's row has to do."""
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", plan_has_archive)
    helpdesk = connect(simulator, helpdesk_fetch_details=True, helpdesk_concurrency=1)
    ids = [ticket.ticket_id for ticket in simulator.truth()]
    fetch = helpdesk._fetch_ticket

    def archive_first(ticket_id: str) -> Ticket | BadTicket | None:
        simulator.archive(ids=ids[5:9])
        return fetch(ticket_id)

    monkeypatch.setattr(helpdesk, "_fetch_ticket", archive_first)
    found = newest(helpdesk.changes(None))
    assert sorted(found) == sorted(ids)
    archived = [key for key, each in found.items() if "archived" in json.loads(each.raw_json)]
    assert sorted(archived) == (sorted(ids[5:9]) if plan_has_archive else [])
    assert not any(each.deleted_time for each in found.values())


def test_other_refusals_of_the_archive_are_the_credentials(
    connect: Connect, simulator: SimulatedHelpdesk
) -> None:
    refused = b'{"code":"access_denied","message":"m"}'
    with loopback(lambda _: CannedResponse(refused, status=403)) as server:
        given = {"helpdesk_base_url": server.url, "helpdesk_api_token": "k3yk3y"}
        helpdesk = from_settings(Settings.model_validate(given))
        with pytest.raises(CredentialsRefused):
            helpdesk.archive.ticket("7")
        helpdesk.close()


def test_archived_ticket_that_may_not_be_seen_is_its_own() -> None:
    """The list answers, so the key has its rights: this ticket alone is refused."""

    def respond(seen: ReceivedRequest) -> CannedResponse:
        if "/archived/" in seen.path:
            return CannedResponse(b'{"code":"access_denied","message":"m"}', status=403)
        return CannedResponse(b"[]")

    with loopback(respond) as server:
        given = {"helpdesk_base_url": server.url, "helpdesk_api_token": "k3yk3y"}
        helpdesk = from_settings(Settings.model_validate(given))
        with pytest.raises(TicketForbidden, match="7"):
            helpdesk.archive.ticket("7")
        helpdesk.close()


def test_newest_number_is_that_of_the_last_created_ticket(
    simulator: SimulatedHelpdesk, connect: Connect
) -> None:
    helpdesk = connect(simulator)
    assert helpdesk.archive.newest_number() == max(int(t.ticket_id) for t in simulator.truth())
    assert simulator.counters().total == 1
    with SimulatedHelpdesk(tickets=0, dialect="freshdesk") as empty:
        assert connect(empty).archive.newest_number() == 0


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (1, None),
        (2, "sees the tickets of its groups only; give it the scope Global access"),
        (3, "sees the tickets assigned to it only; give it the scope Global access"),
        (None, "sees tickets by the scope None only"),
    ],
)
def test_agent_with_a_scope_does_not_see_all(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    scope: int | None,
    told: str | None,
) -> None:
    monkeypatch.setattr(FreshdeskDialect, "ticket_scope", scope)
    found = connect(simulator).blind_spot()
    assert (found is None) == (told is None)
    assert told is None or told in str(found)


def test_unknown_scope_counts_as_a_blind_spot() -> None:
    with loopback(lambda _: CannedResponse(b"{}", status=403)) as server:
        given = {"helpdesk_base_url": server.url, "helpdesk_api_token": "k3yk3y"}
        helpdesk = from_settings(Settings.model_validate(given))
        assert "GET /agents/me answered 403" in str(helpdesk.blind_spot())
        helpdesk.close()


@pytest.mark.parametrize(("include", "waits"), [("", 0), ("stats", 1), ("stats,requester", 2)])
def test_includes_count_against_the_list_limit(
    simulator: SimulatedHelpdesk,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    include: str,
    waits: int,
) -> None:
    """Ten calls a minute are three with one include; so no call is refused."""
    monkeypatch.setattr(FreshdeskDialect, "lists_per_minute", 10)
    helpdesk = connect(
        simulator,
        helpdesk_page_size=10,
        helpdesk_concurrency=1,
        freshdesk_include=include,
        freshdesk_lists_per_minute=10,
    )
    assert len(newest(helpdesk.changes(None))) == 20
    calls = simulator.counters().calls
    assert not {"429"} & {*calls["search"], *calls["gone"]}
    assert round(helpdesk.use.seconds_waited / 60) >= waits
