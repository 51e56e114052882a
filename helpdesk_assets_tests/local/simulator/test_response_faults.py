"""Every fault, as a client meets it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
import requests

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.local.simulator.conftest import Caller


@pytest.mark.parametrize("status", [500, 502, 503])
def test_error_500(desk: SimulatedHelpdesk, caller: Caller, status: int) -> None:
    desk.fault("error_500", status=status, on="search", count=1)
    assert caller.listing().status_code == 200
    failed = caller.search()
    assert (failed.status_code, failed.json()["errorCode"]) == (status, status)
    assert caller.search().status_code == 200


def test_error_500_after_some_good_pages(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("error_500", after=2)
    assert [caller.search().status_code for _ in range(4)] == [200, 200, 500, 500]


def test_rate_limit_429_with_and_without_retry_after(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    desk.fault("rate_limit_429", retry_after=17, count=1)
    answer = caller.listing()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "17")
    desk.fault("rate_limit_429", retry_after=None, count=1)
    answer = caller.listing()
    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers
    assert caller.listing().status_code == 200


def test_rate_limit_opens_again_with_the_helpdesks_clock(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    desk.fault("rate_limit", calls=2, window_seconds=60)
    answers = [caller.ticket("1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    desk.advance(int(answers[2].headers["Retry-After"]))
    assert caller.ticket("1").status_code == 404


def test_drop_connection(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("drop_connection", count=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        caller.listing()
    assert caller.listing().status_code == 200
    assert desk.counters().calls == {"listing": {"200": 1, "dropped": 1}}


def test_truncated_json(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("truncated_json", count=1)
    answer = caller.listing()
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content.decode(errors="replace"))


def test_not_json(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("not_json", count=1)
    answer = caller.search()
    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")


def test_missing_fields(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("missing_fields", count=1)
    assert "tickets" not in caller.search().json()


def test_page_cut_short_keeps_the_token(desk: SimulatedHelpdesk, caller: Caller) -> None:
    good = caller.search(pageSize=50).json()
    desk.fault("page_cut_short", keep=4, count=1)
    cut = caller.search(pageSize=50).json()
    assert cut["tickets"] == good["tickets"][:4]
    assert cut["nextPageToken"] == good["nextPageToken"]


def test_page_cut_short_of_a_last_page_still_says_that_there_is_more(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    ids = sorted(each.ticket_id for each in desk.change(6, same_second=True))
    now = desk.clock().now.strftime("%Y-%m-%dT%H:%M:%SZ")
    window = {"modifiedTimeRange": f"{now},{now}"}
    desk.fault("page_cut_short", keep=4, count=1)
    cut = caller.search(**window).json()
    rest = caller.search(**window, pageToken=cut["nextPageToken"]).json()
    assert [row["id"] for row in cut["tickets"] + rest["tickets"]] == ids


def test_empty_page_is_not_the_end(desk: SimulatedHelpdesk, caller: Caller) -> None:
    good = caller.search(pageSize=50).json()
    desk.fault("empty_page", count=2)
    empty = caller.search(pageSize=50).json()
    again = caller.search(pageSize=50, pageToken=empty["nextPageToken"]).json()
    assert empty["tickets"] == again["tickets"] == []
    assert empty["nextPageToken"] != again["nextPageToken"]
    assert caller.search(pageSize=50, pageToken=again["nextPageToken"]).json() == good


def test_repeated_token(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("repeated_token", on="search", count=1)
    token = caller.search(pageSize=50).json()["nextPageToken"]
    assert caller.search(pageSize=50, pageToken=token).json()["nextPageToken"] == token
    assert caller.search(pageSize=50, pageToken=token).json()["nextPageToken"] != token


def test_repeated_rows_within_a_page_and_across_its_edge(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    desk.fault("repeated_rows", rows=2, on="search")
    page = caller.search(pageSize=50).json()
    ids = [row["id"] for row in page["tickets"]]
    assert len(ids) == 52
    assert ids[0] == ids[1] != ids[2] == ids[3]
    following = caller.search(pageSize=50, pageToken=page["nextPageToken"]).json()
    assert following["tickets"][0]["id"] == ids[-1]
    every = caller.all_rows("/v2/tickets", pageSize=50)
    assert {row["id"] for row in every} == {each.ticket_id for each in desk.truth()}


def test_changes_while_paging_lose_tickets_to_whoever_pages_by_token(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    before = {each.ticket_id: each.modified_time for each in desk.truth()}
    desk.fault("changes_while_paging", changes=3, advance_seconds=3)
    rows = caller.all_rows("/v2/tickets/search", pageSize=50, modifiedTimeRange=_until(desk))
    after = {each.ticket_id: each.modified_time for each in desk.truth()}
    moved = {ticket_id for ticket_id, time in after.items() if time != before[ticket_id]}
    assert len(moved) > 6
    assert set(before) - moved - {row["id"] for row in rows}


def _until(desk: SimulatedHelpdesk) -> str:
    return f"2000-01-01T00:00:00Z,{desk.clock().now:%Y-%m-%dT%H:%M:%SZ}"


def test_search_lag_shows_tickets_as_they_were(desk: SimulatedHelpdesk, caller: Caller) -> None:
    old = {row["id"]: row for row in caller.all_rows("/v2/tickets")}
    desk.advance(100)
    desk.fault("search_lag", seconds=60)
    (changed,) = desk.change(1)
    (made,) = desk.create()
    rows = {
        row["id"]: row
        for row in caller.all_rows("/v2/tickets/search", modifiedTimeRange=_until(desk))
    }
    assert rows == old
    assert caller.ticket(made.ticket_id).json() == made.whole
    desk.advance(61)
    rows = {
        row["id"]: row
        for row in caller.all_rows("/v2/tickets/search", modifiedTimeRange=_until(desk))
    }
    assert rows[changed.ticket_id] == changed.whole
    assert rows[made.ticket_id] == made.whole


def test_clock_offset_moves_the_date_and_modified_times_until_cleared(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    right = desk.clock().now
    desk.fault("clock_offset", seconds=-7200)
    (changed,) = desk.change(1)
    date = parsedate_to_datetime(caller.ticket("1").headers["Date"])
    assert changed.modified_time == date
    assert (right - date).total_seconds() == 7200
    desk.clear_faults("clock_offset")
    assert desk.clock().now == right


def test_latency_lets_calls_overlap(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("latency", seconds=0.1)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(caller.ticket, "1234"):
            assert answer.elapsed.total_seconds() >= 0.1
    assert desk.counters().max_concurrent > 1


@pytest.mark.parametrize("kind", ["no_id", "bad_time"])
def test_bad_ticket_spoils_rows(desk: SimulatedHelpdesk, caller: Caller, kind: str) -> None:
    good = caller.search().json()["tickets"]
    desk.fault("bad_ticket", kind=kind, rows=2, count=1)
    rows = caller.search().json()["tickets"]
    assert rows[2:] == good[2:]
    for row in rows[:2]:
        if kind == "no_id":
            assert "id" not in row
        else:
            assert row["modifiedTime"] == "not-a-time"


def test_bad_ticket_by_name_is_bad_wherever_it_is_served(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    wanted = next(desk.truth()).ticket_id
    desk.fault("bad_ticket", kind="bad_time", ids=[wanted])
    for path in ("/v2/tickets", "/v2/tickets/search"):
        rows = caller.all_rows(path, modifiedTimeRange=_until(desk))
        bad = [row["id"] for row in rows if row["modifiedTime"] == "not-a-time"]
        assert bad == [wanted]
    assert caller.ticket(wanted).json()["modifiedTime"] == "not-a-time"


def test_future_row_comes_once_and_is_not_in_the_truth(
    desk: SimulatedHelpdesk, caller: Caller
) -> None:
    desk.fault("future_row")
    ids = {each.ticket_id for each in desk.truth()}
    search = caller.all_rows("/v2/tickets/search", modifiedTimeRange=_until(desk))
    listing = caller.all_rows("/v2/tickets")
    assert search[-1] == listing[0]
    assert search[-1]["modifiedTime"] == "2099-12-31T23:59:59Z"
    assert {row["id"] for row in search} - ids == {search[-1]["id"]}
    assert caller.ticket(search[-1]["id"]).json() == search[-1]


def test_thin_rows_are_whole_by_id(desk: SimulatedHelpdesk, caller: Caller) -> None:
    desk.fault("thin_rows")
    for page in (caller.search(), caller.listing()):
        for row in page.json()["tickets"]:
            assert set(row) == {"id", "createdTime", "modifiedTime"}
    assert "subject" in caller.ticket(row["id"]).json()
