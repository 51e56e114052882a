"""The simulated Zendesk against what the vendor documents, without the adapter."""

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
    def __init__(self, desk: SimulatedHelpdesk) -> None:
        self.desk = desk
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (USER, desk.token)

    def get(self, path: str, **query: object) -> requests.Response:
        params = {key: str(value) for key, value in query.items()}
        return self.session.get(self.desk.base_url + path, params=params, timeout=10)

    def export(self, **query: object) -> dict[str, Any]:
        answer = self.get(EXPORT, **query)
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
        return int(self.desk.clock().now.timestamp())


@pytest.fixture
def caller() -> Iterator[Caller]:
    """No change of the past is in the last minute."""
    with SimulatedHelpdesk(tickets=130, seed=11, frozen=True, dialect="zendesk") as desk:
        desk.advance(1000)
        caller = Caller(desk)
        with caller.session:
            yield caller


@pytest.fixture
def desk(caller: Caller) -> SimulatedHelpdesk:
    return caller.desk


def test_the_export_is_in_the_order_of_generated_timestamp(caller: Caller) -> None:
    rows = caller.rows(start_time=0, per_page=50)
    order = [(row["generated_timestamp"], row["id"]) for row in rows]
    assert order == sorted(order)
    assert len(rows) == len(set(order)) == len(list(caller.desk.truth(gone=True)))


def test_the_rows_are_the_whole_tickets(caller: Caller) -> None:
    truth = {int(one.ticket_id): one.whole for one in caller.desk.truth(whole=True, gone=True)}
    assert {row["id"]: row for row in caller.rows(start_time=0)} == truth
    assert caller.get(EXPORT.removesuffix(".json"), start_time=0).json()["tickets"]


def test_a_start_is_inclusive(caller: Caller, desk: SimulatedHelpdesk) -> None:
    changed = desk.change(3, spread_seconds=3)
    desk.advance(61)
    seconds = sorted(int(one.modified_time.timestamp()) for one in changed)
    rows = caller.rows(start_time=seconds[1])
    assert [row["generated_timestamp"] for row in rows] == seconds[1:]


def test_the_cursor_is_a_place_in_the_order(caller: Caller) -> None:
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


def test_nothing_behind_a_start_is_no_cursor_either(caller: Caller) -> None:
    page = caller.export(start_time=caller.now() - 61)
    assert page["tickets"] == []
    assert (page["after_cursor"], page["after_url"], page["end_of_stream"]) == (None, None, True)


def test_the_last_minute_is_held_back(caller: Caller, desk: SimulatedHelpdesk) -> None:
    start = caller.now() - 100
    desk.change(2)
    desk.advance(59)
    assert caller.rows(start_time=start) == []
    desk.advance(1)
    assert len(caller.rows(start_time=start)) == 2


def test_a_ticket_that_changes_moves_on_and_pushes_none_away(
    caller: Caller, desk: SimulatedHelpdesk
) -> None:
    desk.fault("changes_while_paging", on="search", changes=9)
    rows = caller.rows(start_time=0, per_page=20)
    desk.clear_faults()
    desk.advance(61)
    rows += caller.rows(start_time=caller.now() - 200)
    assert {row["id"] for row in rows} == {int(t.ticket_id) for t in desk.truth(gone=True)}


def test_a_silent_change_moves_the_order_alone(caller: Caller, desk: SimulatedHelpdesk) -> None:
    (one,) = desk.change(1)
    desk.advance(500)
    desk.change(ids=[one.ticket_id], silent=True)
    desk.advance(61)
    (row,) = caller.rows(start_time=caller.now() - 100)
    assert row["generated_timestamp"] == caller.now() - 61
    assert row["updated_at"] == f"{one.modified_time:%Y-%m-%dT%H:%M:%SZ}"


def test_how_tickets_end(caller: Caller, desk: SimulatedHelpdesk) -> None:
    (deleted,), (spam,), (archived,) = desk.delete(1), desk.mark_spam(1), desk.archive(1)
    merged, into = (t.ticket_id for t in list(desk.truth())[:2] if t.ticket_id != archived)
    desk.merge([merged], into=into)
    desk.change(ids=[archived], fields={"status": "closed"})
    desk.advance(61)
    told = {str(row["id"]): row for row in caller.rows(start_time=caller.now() - 200)}
    assert told.keys() == {deleted, spam, archived, merged, into}
    assert told[deleted]["status"] == told[spam]["status"] == "deleted"
    assert told[merged]["status"] == told[archived]["status"] == "closed"
    assert "closed_by_merge" in told[merged]["tags"]
    assert caller.get(f"/api/v2/tickets/{deleted}.json").status_code == 404
    for each in (archived, merged):
        shown = caller.get(f"/api/v2/tickets/{each}").json()["ticket"]
        assert shown == {k: v for k, v in told[each].items() if k != "generated_timestamp"}


def test_a_deleted_ticket_stays_so_whatever_was_set(
    caller: Caller, desk: SimulatedHelpdesk
) -> None:
    (one,) = desk.change(1, fields={"status": "open", "subject": "mine"})
    desk.delete(ids=[one.ticket_id])
    desk.advance(61)
    (row,) = caller.rows(start_time=caller.now() - 100)
    assert (row["status"], row["subject"]) == ("deleted", "mine")


def test_the_list_leaves_archived_and_deleted_tickets_out(
    caller: Caller, desk: SimulatedHelpdesk
) -> None:
    left_out = {*desk.archive(2), *desk.delete(2)}
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
def test_what_the_export_refuses(caller: Caller, query: dict[str, object], word: str) -> None:
    refused = caller.get(EXPORT, **query)
    assert refused.status_code == 400
    assert word in refused.json()["description"]


def test_a_start_in_the_last_minute_is_refused(caller: Caller) -> None:
    refused = caller.get(EXPORT, start_time=caller.now() - 59)
    assert refused.status_code == 400
    assert "Too recent start_time" in refused.json()["description"]
    assert caller.get(EXPORT, start_time=caller.now() - 60).status_code == 200


def test_an_empty_page_is_not_the_end(caller: Caller, desk: SimulatedHelpdesk) -> None:
    everything = caller.rows(start_time=0)
    desk.fault("empty_page", on="search", count=2)
    pages = list(caller.pages(start_time=0))
    assert [len(page["tickets"]) for page in pages] == [0, 0, len(everything)]
    assert len({page["after_cursor"] for page in pages}) == 3


def test_a_short_page_is_not_the_end(caller: Caller, desk: SimulatedHelpdesk) -> None:
    desk.fault("page_cut_short", on="search", keep=3, count=1)
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
def test_who_may_do_what(caller: Caller, auth: tuple[str, str], path: str, status: int) -> None:
    answer = caller.session.get(
        caller.desk.base_url + path, params={"start_time": "0"}, auth=auth, timeout=10
    )
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == {"error": "Couldn't authenticate you"}
    if status == 403:
        assert answer.json()["error"]["title"] == "Forbidden"


@pytest.mark.parametrize(("token", "status"), [("local-demo-token", 200), ("wrong", 401)])
def test_a_bearer(caller: Caller, token: str, status: int) -> None:
    def bearer(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    answer = caller.session.get(caller.desk.base_url + LIST, auth=bearer, timeout=10)
    assert answer.status_code == status


def test_the_limits_are_told_in_headers(caller: Caller, desk: SimulatedHelpdesk) -> None:
    desk.fault("rate_limit", on="search", calls=2, window_seconds=60)
    first, _, third = (caller.get(EXPORT, start_time=0) for _ in range(3))
    assert (first.headers["X-Rate-Limit"], first.headers["ratelimit-limit"]) == ("2", "2")
    assert first.headers["X-Rate-Limit-Remaining"] == first.headers["ratelimit-remaining"] == "1"
    assert 0 < int(first.headers["ratelimit-reset"]) <= 60
    assert third.status_code == 429
    assert int(third.headers["Retry-After"]) > 0


def test_no_ticket(caller: Caller) -> None:
    answer = caller.get("/api/v2/tickets/5.json")
    assert answer.status_code == 404
    assert answer.json() == {"error": "RecordNotFound", "description": "Not found"}
