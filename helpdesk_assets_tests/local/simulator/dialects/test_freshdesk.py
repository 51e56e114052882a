"""The simulated Freshdesk against what the vendor documents, without the adapter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from helpdesk_assets.local.simulator.dialects.freshdesk import FreshdeskDialect
from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

TICKETS = "/api/v2/tickets"
EVER = "2000-01-01T00:00:00Z"
ASCENDING = {"updated_since": EVER, "order_by": "updated_at", "order_type": "asc"}


class Caller:
    def __init__(self, desk: SimulatedHelpdesk) -> None:
        self.desk = desk
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (desk.token, "X")

    def get(self, path: str = TICKETS, **query: object) -> requests.Response:
        params = {key: str(value) for key, value in query.items()}
        return self.session.get(self.desk.base_url + path, params=params, timeout=10)

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
        """The one error of a 400."""
        answer = self.get(path, **query)
        assert answer.status_code == 400, answer.text
        body = answer.json()
        assert body["description"] == "Validation failed"
        (error,) = body["errors"]
        return dict(error)

    def ago(self, seconds: float) -> str:
        return _text(self.desk.clock().now - timedelta(seconds=seconds))


def _text(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """All changes of the past are long ago."""
    with SimulatedHelpdesk(tickets=130, seed=11, frozen=True, dialect="freshdesk") as desk:
        desk.advance(1000)
        caller = Caller(desk)
        with caller.session:
            yield caller


@pytest.fixture
def desk(caller: Caller) -> SimulatedHelpdesk:
    return caller.desk


def test_ascending_by_updated_at(caller: Caller) -> None:
    rows = caller.rows(**ASCENDING, per_page=30)
    order = [row["updated_at"] for row in rows]
    assert order == sorted(order)
    true = {int(one.ticket_id): one.whole for one in caller.desk.truth(whole=True)}
    assert {row["id"]: row for row in rows} == true


def test_backwards_by_creation_unless_said_otherwise(caller: Caller) -> None:
    rows = caller.rows(updated_since=EVER)
    order = [row["created_at"] for row in rows]
    assert order == sorted(order, reverse=True)
    assert caller.rows(**{**ASCENDING, "order_type": "desc"}) == caller.rows(**ASCENDING)[::-1]
    due = [row["due_by"] for row in caller.rows(**{**ASCENDING, "order_by": "due_by"})]
    assert due == sorted(due)


def test_without_a_start_only_what_was_made_in_the_last_30_days(caller: Caller) -> None:
    rows = caller.rows()
    assert 0 < len(rows) < 30
    assert {row["created_at"] > caller.ago(30 * 86_400) for row in rows} == {True}
    # Older ones that have been changed since are missing.
    changed = caller.desk.change(ids=[next(caller.desk.truth()).ticket_id])
    assert int(changed[0].ticket_id) not in {row["id"] for row in caller.rows()}


@pytest.mark.parametrize("is_inclusive", [True, False])
def test_a_start_is_inclusive_or_not(
    caller: Caller, desk: SimulatedHelpdesk, monkeypatch: pytest.MonkeyPatch, is_inclusive: bool
) -> None:
    monkeypatch.setattr(FreshdeskDialect, "since_is_inclusive", is_inclusive)
    at, _ = sorted(one.modified_time for one in desk.change(2, spread_seconds=2))
    rows = caller.rows(**{**ASCENDING, "updated_since": _text(at)})
    assert len(rows) == 1 + is_inclusive


def test_thirty_a_page_with_a_link_to_the_next(caller: Caller) -> None:
    first = caller.get(**ASCENDING)
    assert len(first.json()) == 30
    assert first.headers["Link"].endswith('&page=2>; rel="next"')
    last = caller.get(**ASCENDING, per_page=65, page=2)
    assert len(last.json()) == 65
    assert "Link" not in last.headers
    beyond = caller.get(**ASCENDING, page=6)
    assert (beyond.status_code, beyond.json()) == (200, [])
    assert "Link" not in beyond.headers


def test_300_pages_whatever_their_size(caller: Caller) -> None:
    assert caller.get(**ASCENDING, per_page=1, page=300).json() == []
    assert caller.refused(**ASCENDING, per_page=1, page=301) == {
        "field": "page",
        "message": "You cannot access tickets beyond the 300th page. Please provide a smaller "
        "page number.",
        "code": "invalid_value",
    }


def test_a_cap_of_its_own_is_in_rows() -> None:
    with SimulatedHelpdesk(tickets=40, dialect="freshdesk", cap=25) as desk:
        caller = Caller(desk)
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
def test_what_is_refused(caller: Caller, query: dict[str, object], field: str) -> None:
    assert caller.refused(TICKETS, **query)["field"] == field


def test_what_is_gone_is_behind_filters_and_dated_when_it_went(
    caller: Caller, desk: SimulatedHelpdesk
) -> None:
    since = caller.ago(5)
    (older,) = desk.delete(1)
    desk.advance(10)
    (deleted,), (spam,) = desk.delete(1), desk.mark_spam(1)
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


def test_a_merged_ticket_is_closed_and_stays(caller: Caller, desk: SimulatedHelpdesk) -> None:
    into, merged = (one.ticket_id for one, _ in zip(desk.truth(), range(2), strict=False))
    desk.merge([merged], into)
    rows = {row["id"]: row for row in caller.rows(**{**ASCENDING, "updated_since": caller.ago(0)})}
    assert rows.keys() == {int(merged), int(into)}
    assert rows[int(merged)]["status"] == 5
    assert caller.rows(**ASCENDING, per_page=7) == caller.rows(**ASCENDING)


@pytest.mark.parametrize("are_listed", [True, False])
def test_archived_tickets_may_be_in_the_list(
    monkeypatch: pytest.MonkeyPatch, are_listed: bool
) -> None:
    monkeypatch.setattr(FreshdeskDialect, "lists_archived", are_listed)
    with SimulatedHelpdesk(tickets=20, dialect="freshdesk") as desk:
        caller = Caller(desk)
        with caller.session:
            (archived,) = desk.archive(1)
            listed = {row["id"] for row in caller.rows(**ASCENDING)}
            assert (int(archived) in listed) is are_listed
            assert len(listed) == 19 + are_listed


def test_one_ticket_with_its_description(caller: Caller, desk: SimulatedHelpdesk) -> None:
    true, (deleted,) = next(desk.truth(whole=True)), desk.delete(1)
    found = caller.get(f"{TICKETS}/{true.ticket_id}").json()
    assert found.keys() - (true.whole or {}).keys() == {"description", "description_text"}
    include = caller.get(f"{TICKETS}/{true.ticket_id}", include="stats,conversations").json()
    assert include.keys() - found.keys() == {"stats", "conversations"}
    assert caller.get(f"{TICKETS}/{deleted}").json()["deleted"] is True
    assert caller.refused(f"{TICKETS}/{true.ticket_id}", include="description")


def test_a_ticket_that_is_not_there_is_a_404_without_a_body(caller: Caller) -> None:
    answer = caller.get(f"{TICKETS}/1")
    assert (answer.status_code, answer.content) == (404, b"")


def test_includes_of_the_list(caller: Caller) -> None:
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
    ],
)
def test_logins_that_fail(
    caller: Caller, desk: SimulatedHelpdesk, login: tuple[str, str], status: int, code: str
) -> None:
    answer = requests.get(desk.base_url + TICKETS, auth=login, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_password_does_not_matter_and_a_bearer_is_none(
    caller: Caller, desk: SimulatedHelpdesk
) -> None:
    url = desk.base_url + TICKETS
    assert requests.get(url, auth=(desk.token, "other"), timeout=10).status_code == 200
    for value in (f"Bearer {desk.token}", "Basic !", "Basic "):
        assert requests.get(url, headers={"Authorization": value}, timeout=10).status_code == 401


def test_a_key_that_has_ended(caller: Caller, desk: SimulatedHelpdesk) -> None:
    desk.fault("token_ends", on="search", count=1)
    assert caller.get(**ASCENDING).status_code == 401
    desk.accept_token(desk.token)
    assert caller.get(**ASCENDING).status_code == 200


def test_headers_tell_what_is_left_of_the_minute_but_not_when_it_ends(
    caller: Caller, desk: SimulatedHelpdesk
) -> None:
    desk.fault("rate_limit", calls=2, window_seconds=60)
    answers = [caller.get(**ASCENDING) for _ in range(3)]
    told = [(a.status_code, a.headers.get("X-RateLimit-Remaining")) for a in answers]
    assert told == [(200, "1"), (200, "0"), (429, None)]
    assert answers[0].headers["X-RateLimit-Total"] == "2"
    assert answers[0].headers["X-RateLimit-Used-CurrentRequest"] == "1"
    assert answers[2].headers["Retry-After"] == "60"


def test_faults_of_the_trash_are_apart_from_those_of_the_list(
    caller: Caller, desk: SimulatedHelpdesk
) -> None:
    desk.reset_counters()
    desk.fault("error_500", on="gone")
    assert caller.get(**ASCENDING, filter="spam").status_code == 500
    assert caller.get(**ASCENDING).status_code == 200
    assert desk.counters().calls == {"gone": {"500": 1}, "search": {"200": 1}}


def test_tickets_change_between_two_pages(caller: Caller, desk: SimulatedHelpdesk) -> None:
    """Then the order shifts, and what the pages give is not all there is."""
    desk.fault("changes_while_paging", on="search", changes=20, advance_seconds=20)
    seen = [row["id"] for row in caller.rows(**ASCENDING, per_page=30)]
    assert len(set(seen)) < len(list(desk.truth())) <= len(seen)
