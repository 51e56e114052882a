"""The simulated Zendesk against the vendor's documentation, without the adapter."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from helpdesk_assets.local.simulator.dialects.rest import TOKEN_WITHOUT_RIGHTS
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk

EXPORT = "/api/v2/incremental/tickets/cursor.json"
LIST = "/api/v2/tickets.json"
USER = "ann@example.com/token"


class Caller:
    def __init__(self, simulator: SimulatedHelpdesk) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (USER, simulator.token)

    def get(self, path: str, **query: object) -> requests.Response:
        params = {key: str(value) for key, value in query.items()}
        return self.session.get(self.simulator.base_url + path, params=params, timeout=10)

    def export(self, **query: object) -> dict[str, Any]:
        answer = self.get(EXPORT, **{"support_type_scope": "all", **query})
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def pages(self, **query: object) -> Iterator[dict[str, Any]]:
        page = self.export(**query)
        yield page
        while not page["end_of_stream"]:
            page = self.export(cursor=page["after_cursor"], per_page=query.get("per_page", 1000))
            yield page

    def rows(self, **query: object) -> list[dict[str, Any]]:
        return [row for page in self.pages(**query) for row in page["tickets"]]

    def now(self) -> int:
        return int(self.simulator.clock().now.timestamp())


@pytest.fixture
def caller() -> Iterator[Caller]:
    """A caller more than a minute after the last change of the initial tickets."""
    with SimulatedHelpdesk(tickets=130, seed=11, frozen=True, dialect="zendesk") as simulator:
        simulator.advance(1000)
        caller = Caller(simulator)
        with caller.session:
            yield caller


@pytest.fixture
def simulator(caller: Caller) -> SimulatedHelpdesk:
    return caller.simulator


def test_export_is_ordered_by_generated_timestamp(caller: Caller) -> None:
    rows = caller.rows(start_time=0, per_page=50)
    order = [(row["generated_timestamp"], row["id"]) for row in rows]
    assert order == sorted(order)
    assert len(rows) == len(set(order)) == len(list(caller.simulator.truth(include_removed=True)))


def test_rows_are_whole_tickets(caller: Caller) -> None:
    truth = {
        int(one.ticket_id): one.raw_ticket
        for one in caller.simulator.truth(raw_ticket=True, include_removed=True)
    }
    assert {row["id"]: row for row in caller.rows(start_time=0)} == truth
    assert caller.get(EXPORT.removesuffix(".json"), start_time=0).json()["tickets"]


def test_start_is_inclusive(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    changed = simulator.change(3, spread_seconds=3)
    simulator.advance(61)
    seconds = sorted(int(one.modified_time.timestamp()) for one in changed)
    rows = caller.rows(start_time=seconds[1])
    assert [row["generated_timestamp"] for row in rows] == seconds[1:]


def test_cursor_is_a_position_in_the_order(caller: Caller) -> None:
    pages = list(caller.pages(start_time=0, per_page=60))
    assert pages[0]["before_cursor"] is None
    assert pages[1]["before_cursor"] == pages[0]["after_cursor"]
    assert pages[1]["after_url"].endswith(f"?cursor={pages[1]['after_cursor']}")
    last = pages[-1]["tickets"][-1]
    text = base64.b64decode(pages[-1]["after_cursor"]).decode()
    assert text == f"{last['generated_timestamp']}.0||{last['id']}|"
    again = caller.export(cursor=pages[-1]["after_cursor"])
    assert (again["tickets"], again["end_of_stream"]) == ([], True)
    assert again["after_cursor"] == pages[-1]["after_cursor"]


def test_empty_export_has_no_cursor(caller: Caller) -> None:
    page = caller.export(start_time=caller.now() - 61)
    assert page["tickets"] == []
    assert (page["after_cursor"], page["after_url"], page["end_of_stream"]) == (None, None, True)


def test_last_minute_is_held_back(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    start = caller.now() - 100
    simulator.change(2)
    simulator.advance(59)
    assert caller.rows(start_time=start) == []
    simulator.advance(1)
    assert len(caller.rows(start_time=start)) == 2


def test_changed_ticket_moves_on_without_displacing_others(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    simulator.fault("changes_while_paging", on="search", changes=9)
    rows = caller.rows(start_time=0, per_page=20)
    simulator.clear_faults()
    simulator.advance(61)
    rows += caller.rows(start_time=caller.now() - 200)
    assert {row["id"] for row in rows} == {
        int(t.ticket_id) for t in simulator.truth(include_removed=True)
    }


def test_silent_change_moves_only_the_order(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    (one,) = simulator.change(1)
    simulator.advance(500)
    simulator.change(ids=[one.ticket_id], silent=True)
    simulator.advance(61)
    (row,) = caller.rows(start_time=caller.now() - 100)
    assert row["generated_timestamp"] == caller.now() - 61
    assert row["updated_at"] == f"{one.modified_time:%Y-%m-%dT%H:%M:%SZ}"


def test_removed_tickets_by_kind(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    (deleted,), (spam,), (archived,) = (
        simulator.delete(1),
        simulator.mark_spam(1),
        simulator.archive(1),
    )
    merged, into = (t.ticket_id for t in list(simulator.truth())[:2] if t.ticket_id != archived)
    simulator.merge([merged], into=into)
    simulator.change(ids=[archived], fields={"status": "closed"})
    simulator.advance(61)
    exported = {str(row["id"]): row for row in caller.rows(start_time=caller.now() - 200)}
    assert exported.keys() == {deleted, spam, archived, merged, into}
    assert exported[deleted]["status"] == exported[spam]["status"] == "deleted"
    assert exported[merged]["status"] == exported[archived]["status"] == "closed"
    assert "closed_by_merge" in exported[merged]["tags"]
    assert caller.get(f"/api/v2/tickets/{deleted}.json").status_code == 404
    for each in (archived, merged):
        shown = caller.get(f"/api/v2/tickets/{each}").json()["ticket"]
        assert shown == {k: v for k, v in exported[each].items() if k != "generated_timestamp"}


def test_deleted_ticket_stays_deleted(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    (one,) = simulator.change(1, fields={"status": "open", "subject": "mine"})
    simulator.delete(ids=[one.ticket_id])
    simulator.advance(61)
    (row,) = caller.rows(start_time=caller.now() - 100)
    assert (row["status"], row["subject"]) == ("deleted", "mine")


def test_list_omits_archived_and_deleted_tickets(
    caller: Caller, simulator: SimulatedHelpdesk
) -> None:
    left_out = {*simulator.archive(2), *simulator.delete(2)}
    first = caller.get(LIST).json()
    assert len(first["tickets"]) == 100
    assert first["meta"]["has_more"] is True
    second = caller.get(LIST, **{"page[after]": first["meta"]["after_cursor"]}).json()
    listed = [row["id"] for row in [*first["tickets"], *second["tickets"]]]
    assert listed == sorted(set(listed))
    assert not left_out & set(map(str, listed))
    assert "generated_timestamp" not in first["tickets"][0]
    assert second["meta"]["has_more"] is False


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({}, "start_time or cursor"),
        ({"start_time": "2026-11-01T08:00:00Z"}, "start_time must be a whole number"),
        ({"start_time": -1}, "start_time must be a whole number"),
        ({"start_time": 0, "per_page": 1001}, "per_page"),
        ({"start_time": 0, "per_page": 0}, "per_page"),
        ({"cursor": "nonsense"}, "cursor is not valid"),
        ({"cursor": base64.b64encode(b"1793613605").decode()}, "cursor is not valid"),
    ],
)
def test_rejected_export_requests(caller: Caller, query: dict[str, object], word: str) -> None:
    refused = caller.get(EXPORT, **query)
    assert refused.status_code == 400
    assert word in refused.json()["description"]


def test_start_in_the_last_minute_is_rejected(caller: Caller) -> None:
    refused = caller.get(EXPORT, start_time=caller.now() - 59)
    assert (refused.status_code, refused.headers["Content-Type"].partition(";")[0]) == (
        422,
        "text/plain",
    )
    assert "Too recent start_time" in refused.text
    caller.simulator.switch("zendesk.too_recent_start_is_400")
    refused = caller.get(EXPORT, start_time=caller.now() - 59)
    assert (refused.status_code, refused.json()["error"]) == (400, "StartTimeTooRecent")
    assert caller.get(EXPORT, start_time=caller.now() - 60).status_code == 200


def test_empty_page_is_not_the_end(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    everything = caller.rows(start_time=0)
    simulator.fault("empty_page", on="search", count=2)
    pages = list(caller.pages(start_time=0))
    assert [len(page["tickets"]) for page in pages] == [0, 0, len(everything)]
    assert len({page["after_cursor"] for page in pages}) == 3


def test_short_page_is_not_the_end(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    simulator.fault("page_cut_short", on="search", keep=3, count=1)
    pages = list(caller.pages(start_time=0))
    assert len(pages[0]["tickets"]) == 3
    assert len({row["id"] for page in pages for row in page["tickets"]}) > 100


@pytest.mark.parametrize(
    ("auth", "path", "status"),
    [
        ((USER, "local-demo-token"), EXPORT, 200),
        (("ann@example.com", "local-demo-token"), EXPORT, 401),
        (("ann/token", "local-demo-token"), EXPORT, 401),
        ((USER, "wrong"), EXPORT, 401),
        ((USER, TOKEN_WITHOUT_RIGHTS), EXPORT, 403),
        ((USER, TOKEN_WITHOUT_RIGHTS), LIST, 200),
    ],
)
def test_permissions(caller: Caller, auth: tuple[str, str], path: str, status: int) -> None:
    answer = caller.session.get(
        caller.simulator.base_url + path,
        params={"start_time": "0"} if path == EXPORT else None,
        auth=auth,
        timeout=10,
    )
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == {"error": "Couldn't authenticate you"}
    if status == 403:
        assert answer.json()["error"]["title"] == "Forbidden"


@pytest.mark.parametrize(("token", "status"), [("local-demo-token", 200), ("wrong", 401)])
def test_bearer_token(caller: Caller, token: str, status: int) -> None:
    def bearer(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    answer = caller.session.get(caller.simulator.base_url + LIST, auth=bearer, timeout=10)
    assert answer.status_code == status


def test_rate_limit_headers(caller: Caller, simulator: SimulatedHelpdesk) -> None:
    simulator.fault("rate_limit", on="search", calls=2, window_seconds=60)
    first, _, third = (caller.get(EXPORT, start_time=0) for _ in range(3))
    assert (first.headers["X-Rate-Limit"], first.headers["ratelimit-limit"]) == ("2", "2")
    assert first.headers["X-Rate-Limit-Remaining"] == first.headers["ratelimit-remaining"] == "1"
    assert 0 < int(first.headers["ratelimit-reset"]) <= 60
    assert third.status_code == 429
    assert int(third.headers["Retry-After"]) > 0


def test_missing_ticket(caller: Caller) -> None:
    answer = caller.get("/api/v2/tickets/5.json")
    assert answer.status_code == 404
    assert answer.json() == {"error": "RecordNotFound", "description": "Not found"}
