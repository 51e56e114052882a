"""The simulated Freshdesk against the vendor's documentation, without the adapter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from helpdesk_assets.local.simulator.dialects.freshdesk import SUSPENDED_KEY, FreshdeskDialect
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

TICKETS = "/api/v2/tickets"
EVER = "2000-01-01T00:00:00Z"
ASCENDING = {"updated_since": EVER, "order_by": "updated_at", "order_type": "asc"}


class Caller:
    def __init__(self, simulator: SimulatedHelpdesk) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (simulator.token, "X")

    def get(self, path: str = TICKETS, **query: object) -> requests.Response:
        params = {key: str(value) for key, value in query.items()}
        return self.session.get(self.simulator.base_url + path, params=params, timeout=10)

    def rows(self, **query: object) -> list[dict[str, Any]]:
        """Follow the links to the end."""
        answer = self.get(TICKETS, **{"per_page": 100, **query})
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()
        while following := answer.links.get("next"):
            answer = self.session.get(following["url"], timeout=10)
            rows += answer.json()
        return rows

    def refused(self, path: str = TICKETS, **query: object) -> dict[str, str]:
        """Return the single error of a 400."""
        answer = self.get(path, **query)
        assert answer.status_code == 400, answer.text
        body = answer.json()
        assert body["description"] == "Validation failed"
        (error,) = body["errors"]
        return dict(error)

    def ago(self, seconds: float) -> str:
        return _text(self.simulator.clock().now - timedelta(seconds=seconds))


def _text(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """A caller long after the last change of the initial tickets."""
    friendly = ["freshdesk.since_includes_its_second"]
    with SimulatedHelpdesk(
        tickets=130, seed=11, frozen=True, dialect="freshdesk", friendly=friendly
    ) as simulator:
        simulator.advance(1000)
        caller = Caller(simulator)
        with caller.session:
            yield caller


@pytest.fixture
def simulator(caller: Caller) -> SimulatedHelpdesk:
    return caller.simulator


def test_ascending_by_updated_at(caller: Caller) -> None:
    rows = caller.rows(**ASCENDING, per_page=30)
    order = [row["updated_at"] for row in rows]
    assert order == sorted(order)
    true = {int(one.ticket_id): one.raw_ticket for one in caller.simulator.truth(raw_ticket=True)}
    assert {row["id"]: row for row in rows} == true


def test_descending_by_creation_by_default(caller: Caller) -> None:
    rows = caller.rows(updated_since=EVER)
    order = [row["created_at"] for row in rows]
    assert order == sorted(order, reverse=True)
    assert caller.rows(**{**ASCENDING, "order_type": "desc"}) == caller.rows(**ASCENDING)[::-1]
    due = [row["due_by"] for row in caller.rows(**{**ASCENDING, "order_by": "due_by"})]
    assert due == sorted(due)


def test_without_a_start_only_the_last_30_days(caller: Caller) -> None:
    rows = caller.rows()
    assert 0 < len(rows) < 30
    assert {row["created_at"] > caller.ago(30 * 86_400) for row in rows} == {True}
    # Older tickets are missing although they changed later.
    changed = caller.simulator.change(ids=[next(caller.simulator.truth()).ticket_id])
    assert int(changed[0].ticket_id) not in {row["id"] for row in caller.rows()}


@pytest.mark.parametrize("is_inclusive", [True, False])
def test_start_inclusivity_is_configurable(
    caller: Caller,
    simulator: SimulatedHelpdesk,
    is_inclusive: bool,
) -> None:
    simulator.switch("freshdesk.since_includes_its_second", friendly=is_inclusive)
    at, _ = sorted(one.modified_time for one in simulator.change(2, spread_seconds=2))
    rows = caller.rows(**{**ASCENDING, "updated_since": _text(at)})
    assert len(rows) == 1 + is_inclusive


def test_thirty_per_page_with_a_next_link(caller: Caller) -> None:
    first = caller.get(**ASCENDING)
    assert len(first.json()) == 30
    assert first.headers["Link"].endswith('&page=2>; rel="next"')
    last = caller.get(**ASCENDING, per_page=65, page=2)
    assert len(last.json()) == 65
    assert "Link" not in last.headers
    beyond = caller.get(**ASCENDING, page=6)
    assert (beyond.status_code, beyond.json()) == (200, [])
    assert "Link" not in beyond.headers


def test_cap_is_300_pages_of_any_size(caller: Caller) -> None:
    assert caller.get(**ASCENDING, per_page=1, page=300).json() == []
    assert caller.refused(**ASCENDING, per_page=1, page=301) == {
        "field": "page",
        "message": "You cannot access tickets beyond the 300th page. Please provide a smaller "
        "page number.",
        "code": "invalid_value",
    }


def test_custom_cap_is_in_rows() -> None:
    with SimulatedHelpdesk(tickets=40, dialect="freshdesk", cap=25) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert len(caller.get(**ASCENDING, per_page=10, page=2).json()) == 10
            assert caller.refused(**ASCENDING, per_page=10, page=3)["field"] == "page"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"per_page": 101}, "per_page"),
        ({"per_page": 0}, "per_page"),
        ({"page": 0}, "page"),
        ({"page": "two"}, "page"),
        ({"order_by": "id"}, "order_by"),
        ({"order_type": "up"}, "order_type"),
        ({"filter": "gone"}, "filter"),
        ({"include": "description,notes"}, "include"),
        ({"updated_since": "2026-11-02"}, "updated_since"),
        ({"updated_since": "2026-11-02T10:00:00"}, "updated_since"),
        ({"updated_since": "2026-11-02T10:00:00+01:00"}, "updated_since"),
        ({"updated_since": "1793613605"}, "updated_since"),
        ({"updated_until": EVER}, "updated_until"),
        ({"pageSize": 100}, "pageSize"),
    ],
)
def test_rejected_requests(caller: Caller, query: dict[str, object], field: str) -> None:
    assert caller.refused(TICKETS, **query)["field"] == field


def test_removed_tickets_need_filters_and_are_dated_by_removal(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    since = caller.ago(5)
    (older,) = simulator.delete(1)
    simulator.advance(10)
    (deleted,), (spam,) = simulator.delete(1), simulator.mark_spam(1)
    at = caller.ago(0)
    (trash,) = caller.rows(**{**ASCENDING, "updated_since": at}, filter="deleted")
    assert (trash["id"], trash["deleted"], trash["updated_at"]) == (int(deleted), True, at)
    (junk,) = caller.rows(**{**ASCENDING, "updated_since": since}, filter="spam")
    assert (junk["id"], junk["spam"], junk["updated_at"]) == (int(spam), True, at)
    both = caller.rows(**{**ASCENDING, "updated_since": since}, filter="deleted")
    assert [row["id"] for row in both] == [int(older), int(deleted)]
    living = caller.rows(**ASCENDING)
    assert not {row["id"] for row in living} & {int(older), int(deleted), int(spam)}
    assert not any(row["spam"] or row.get("deleted") for row in living)


def test_merged_ticket_is_closed_and_stays(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    into, merged = (one.ticket_id for one, _ in zip(simulator.truth(), range(2), strict=False))
    simulator.merge([merged], into)
    rows = {row["id"]: row for row in caller.rows(**{**ASCENDING, "updated_since": caller.ago(0)})}
    assert rows.keys() == {int(merged), int(into)}
    assert rows[int(merged)]["status"] == 5
    assert caller.rows(**ASCENDING, per_page=7) == caller.rows(**ASCENDING)


def archive_one(simulator: SimulatedHelpdesk) -> str:
    (archived,) = simulator.archive(1)
    return archived


def test_archived_ticket_answers_below_the_archive_alone(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    archived = archive_one(simulator)
    for query in ({}, {"filter": "deleted"}, {"filter": "spam"}):
        assert int(archived) not in {row["id"] for row in caller.rows(**ASCENDING, **query)}
    plain = caller.get(f"{TICKETS}/{archived}")
    assert (plain.status_code, plain.content) == (404, b"")
    found = caller.get(f"{TICKETS}/archived/{archived}").json()
    assert (found["id"], found["archived"], "description" in found) == (int(archived), True, True)
    assert caller.refused(f"{TICKETS}/archived/{archived}", include="stats")["field"] == "include"


def test_only_archived_tickets_are_in_the_archive(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    archived, living = archive_one(simulator), next(simulator.truth()).ticket_id
    simulator.delete(ids=[archived])
    for ticket_id in (archived, living, "1"):
        assert caller.get(f"{TICKETS}/archived/{ticket_id}").status_code == 404


def test_plan_without_the_archive(
    caller: Caller, simulator: SimulatedHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", False)
    archived = archive_one(simulator)
    answer = caller.get(f"{TICKETS}/archived/{archived}")
    assert (answer.status_code, answer.json()["code"]) == (403, "require_feature")
    assert caller.get(f"{TICKETS}/{archived}").status_code == 404


def test_agent_of_the_key_tells_its_scope(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caller.get("/api/v2/agents/me").json()["ticket_scope"] == 1
    monkeypatch.setattr(FreshdeskDialect, "ticket_scope", 2)
    assert caller.get("/api/v2/agents/me").json()["ticket_scope"] == 2


@pytest.mark.parametrize("path", [TICKETS, f"{TICKETS}/1", f"{TICKETS}/archived/1"])
@pytest.mark.parametrize(("accept", "status"), [("text/html", 406), ("*/*", 0), ("", 406)])
def test_client_must_take_json(caller: Caller, path: str, accept: str, status: int) -> None:
    url = caller.simulator.base_url + path
    answer = caller.session.get(url, headers={"Accept": accept}, timeout=10)
    assert (answer.status_code == 406) is (status == 406)


def test_list_limit_may_count_includes(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FreshdeskDialect, "lists_per_minute", 20)
    rich = {**ASCENDING, "include": "stats,requester"}
    statuses = [caller.get(**rich).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 429]
    answer = caller.get(**ASCENDING)
    assert (answer.status_code, int(answer.headers["Retry-After"]) <= 60) == (429, True)
    caller.simulator.advance(60)
    caller.simulator.switch("freshdesk.include_spares_the_list_limit")
    assert [caller.get(**rich).status_code for _ in range(21)] == [200] * 20 + [429]


def test_single_ticket_includes_its_description(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    true = next(simulator.truth(raw_ticket=True))
    found = caller.get(f"{TICKETS}/{true.ticket_id}").json()
    assert found.keys() - (true.raw_ticket or {}).keys() == {"description", "description_text"}
    include = caller.get(f"{TICKETS}/{true.ticket_id}", include="stats,conversations").json()
    assert include.keys() - found.keys() == {"stats", "conversations"}
    assert caller.refused(f"{TICKETS}/{true.ticket_id}", include="description")


def test_removed_ticket_may_answer_to_its_id(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    (deleted,), (spam,) = simulator.delete(1), simulator.mark_spam(1)
    paths = [f"{TICKETS}/{each}" for each in (deleted, spam)]
    assert [caller.get(path).status_code for path in paths] == [404, 404]
    simulator.switch("freshdesk.deleted_answer_to_their_id")
    assert [caller.get(path).status_code for path in paths] == [200, 200]
    assert caller.get(paths[0]).json()["deleted"] is True


def test_unknown_parameters_may_be_ignored(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    archived = archive_one(simulator)
    paths = (TICKETS, f"{TICKETS}/archived/{archived}", "/api/v2/agents/me")
    for path in paths:
        assert caller.refused(path, limit=1)["code"] == "invalid_field"
    simulator.switch("freshdesk.unknown_parameter_is_ignored")
    assert [caller.get(path, limit=1).status_code for path in paths] == [200, 200, 200]


def test_missing_ticket_is_a_404_without_a_body(caller: Caller) -> None:
    answer = caller.get(f"{TICKETS}/9999")
    assert (answer.status_code, answer.content) == (404, b"")


def test_list_includes(caller: Caller) -> None:
    plain = caller.get(**ASCENDING, per_page=1).json()[0]
    rich = caller.get(**ASCENDING, per_page=1, include="requester,stats,description").json()[0]
    added = {"requester", "stats", "description", "description_text"}
    assert rich.keys() - plain.keys() == added
    assert plain.items() <= rich.items()


@pytest.mark.parametrize(
    ("login", "status", "code"),
    [
        (("wrong", "X"), 401, "invalid_credentials"),
        (("", "X"), 401, "invalid_credentials"),
        ((TOKEN_WITHOUT_RIGHTS, "X"), 403, "access_denied"),
        ((SUSPENDED_KEY, "X"), 403, "account_suspended"),
    ],
)
def test_failed_logins(
    caller: Caller, simulator: SimulatedHelpdesk, login: tuple[str, str], status: int, code: str
) -> None:
    answer = requests.get(simulator.base_url + TICKETS, auth=login, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_password_is_ignored_and_bearer_rejected(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    url = simulator.base_url + TICKETS
    assert requests.get(url, auth=(simulator.token, "other"), timeout=10).status_code == 200
    for value in (f"Bearer {simulator.token}", "Basic !", "Basic "):
        assert requests.get(url, headers={"Authorization": value}, timeout=10).status_code == 401


def test_expired_key(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    simulator.fault("token_ends", on="search", count=1)
    assert caller.get(**ASCENDING).status_code == 401
    simulator.accept_token(simulator.token)
    assert caller.get(**ASCENDING).status_code == 200


def test_headers_show_remaining_calls_but_no_reset_time(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    simulator.fault("rate_limit", calls=2, window_seconds=60)
    answers = [caller.get(**ASCENDING) for _ in range(3)]
    remaining = [(a.status_code, a.headers.get("X-RateLimit-Remaining")) for a in answers]
    assert remaining == [(200, "1.0"), (200, "0.0"), (429, None)]
    assert answers[0].headers["X-RateLimit-Total"] == "2.0"
    assert answers[0].headers["X-RateLimit-Used-CurrentRequest"] == "1.0"
    assert answers[2].headers["Retry-After"] == "60"
    simulator.fault("rate_limit", calls=20, window_seconds=60)
    used = "X-RateLimit-Used-CurrentRequest"
    assert caller.get(**ASCENDING, include="stats,requester").headers[used] == "5.0"
    living = next(simulator.truth()).ticket_id
    assert caller.get(f"{TICKETS}/{living}", include="stats").headers[used] == "2.0"
    missing = caller.get(f"{TICKETS}/9999")
    assert missing.status_code == 404
    assert not {"X-RateLimit-Remaining", used} & missing.headers.keys()


def test_trash_faults_are_separate_from_list_faults(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    simulator.reset_counters()
    simulator.fault("error_500", on="gone")
    assert caller.get(**ASCENDING, filter="spam").status_code == 500
    assert caller.get(**ASCENDING).status_code == 200
    assert simulator.counters().calls == {"gone": {"500": 1}, "search": {"200": 1}}


def test_tickets_change_between_two_pages(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    """The order shifts, and the pages together lack a ticket."""
    simulator.fault("changes_while_paging", on="search", changes=20, advance_seconds=20)
    seen = [row["id"] for row in caller.rows(**ASCENDING, per_page=30)]
    assert len(set(seen)) < len(list(simulator.truth())) <= len(seen)
