"""Every fault as a client sees it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
import requests

from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets_tests.local.simulator.conftest import Caller


@pytest.mark.parametrize("status", [500, 502, 503])
def test_error_500(simulator: SimulatedHelpdesk, caller: Caller, status: int) -> None:
    simulator.fault("error_500", status=status, on="search", count=1)
    assert caller.listing().status_code == 200
    failed = caller.search()
    assert (failed.status_code, failed.json()["errorCode"]) == (status, status)
    assert caller.search().status_code == 200


def test_error_500_after_some_good_pages(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("error_500", after=2)
    assert [caller.search().status_code for _ in range(4)] == [200, 200, 500, 500]


def test_rate_limit_429_with_and_without_retry_after(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    simulator.fault("rate_limit_429", retry_after=17, count=1)
    answer = caller.listing()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "17")
    simulator.fault("rate_limit_429", retry_after=None, count=1)
    answer = caller.listing()
    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers
    assert caller.listing().status_code == 200


def test_rate_limit_opens_again_with_the_helpdesks_clock(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    simulator.fault("rate_limit", calls=2, window_seconds=60)
    answers = [caller.ticket("1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    simulator.advance(int(answers[2].headers["Retry-After"]))
    assert caller.ticket("1").status_code == 404


def test_drop_connection(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("drop_connection", count=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        caller.listing()
    assert caller.listing().status_code == 200
    assert simulator.counters().calls == {"listing": {"200": 1, "dropped": 1}}


def test_truncated_json(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("truncated_json", count=1)
    answer = caller.listing()
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content.decode(errors="replace"))


def test_not_json(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("not_json", count=1)
    answer = caller.search()
    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")


def test_missing_fields(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("missing_fields", count=1)
    assert "tickets" not in caller.search().json()


def test_page_cut_short_keeps_the_token(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    good = caller.search(pageSize=50).json()
    simulator.fault("page_cut_short", keep=4, count=1)
    cut = caller.search(pageSize=50).json()
    assert cut["tickets"] == good["tickets"][:4]
    assert cut["nextPageToken"] == good["nextPageToken"]


def test_cut_last_page_still_has_a_token(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    ids = sorted(each.ticket_id for each in simulator.change(6, same_second=True))
    now = simulator.clock().now.strftime("%Y-%m-%dT%H:%M:%SZ")
    window = {"modifiedTimeRange": f"{now},{now}"}
    simulator.fault("page_cut_short", keep=4, count=1)
    cut = caller.search(**window).json()
    rest = caller.search(**window, pageToken=cut["nextPageToken"]).json()
    assert [row["id"] for row in cut["tickets"] + rest["tickets"]] == ids


def test_empty_page_is_not_the_end(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    good = caller.search(pageSize=50).json()
    simulator.fault("empty_page", count=2)
    empty = caller.search(pageSize=50).json()
    again = caller.search(pageSize=50, pageToken=empty["nextPageToken"]).json()
    assert empty["tickets"] == again["tickets"] == []
    assert empty["nextPageToken"] != again["nextPageToken"]
    assert caller.search(pageSize=50, pageToken=again["nextPageToken"]).json() == good


def test_repeated_token(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("repeated_token", on="search", count=1)
    token = caller.search(pageSize=50).json()["nextPageToken"]
    assert caller.search(pageSize=50, pageToken=token).json()["nextPageToken"] == token
    assert caller.search(pageSize=50, pageToken=token).json()["nextPageToken"] != token


def test_repeated_rows_within_and_across_pages(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    simulator.fault("repeated_rows", rows=2, on="search")
    page = caller.search(pageSize=50).json()
    ids = [row["id"] for row in page["tickets"]]
    assert len(ids) == 52
    assert ids[0] == ids[1] != ids[2] == ids[3]
    following = caller.search(pageSize=50, pageToken=page["nextPageToken"]).json()
    assert following["tickets"][0]["id"] == ids[-1]
    every = caller.all_rows("/v2/tickets", pageSize=50)
    assert {row["id"] for row in every} == {each.ticket_id for each in simulator.truth()}


def test_changes_while_paging_lose_tickets_for_token_paging(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    before = {each.ticket_id: each.modified_time for each in simulator.truth()}
    simulator.fault("changes_while_paging", changes=3, advance_seconds=3)
    rows = caller.all_rows("/v2/tickets/search", pageSize=50, modifiedTimeRange=_until(simulator))
    after = {each.ticket_id: each.modified_time for each in simulator.truth()}
    moved = {ticket_id for ticket_id, time in after.items() if time != before[ticket_id]}
    assert len(moved) > 6
    assert set(before) - moved - {row["id"] for row in rows}


def _until(simulator: SimulatedHelpdesk) -> str:
    return f"2000-01-01T00:00:00Z,{simulator.clock().now:%Y-%m-%dT%H:%M:%SZ}"


def test_search_lag_serves_older_versions(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    old = {row["id"]: row for row in caller.all_rows("/v2/tickets")}
    simulator.advance(100)
    simulator.fault("search_lag", seconds=60)
    (changed,) = simulator.change(1)
    (made,) = simulator.create()
    rows = {
        row["id"]: row
        for row in caller.all_rows("/v2/tickets/search", modifiedTimeRange=_until(simulator))
    }
    assert rows == old
    assert caller.ticket(made.ticket_id).json() == made.raw_ticket
    simulator.advance(61)
    rows = {
        row["id"]: row
        for row in caller.all_rows("/v2/tickets/search", modifiedTimeRange=_until(simulator))
    }
    assert rows[changed.ticket_id] == changed.raw_ticket
    assert rows[made.ticket_id] == made.raw_ticket


def test_clock_offset_shifts_dates_until_cleared(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    right = simulator.clock().now
    simulator.fault("clock_offset", seconds=-7200)
    (changed,) = simulator.change(1)
    date = parsedate_to_datetime(caller.ticket("1").headers["Date"])
    assert changed.modified_time == date
    assert (right - date).total_seconds() == 7200
    simulator.clear_faults("clock_offset")
    assert simulator.clock().now == right


def test_date_ahead_moves_only_the_header(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    right = simulator.clock().now
    simulator.fault("date_ahead", count=1)
    (changed,) = simulator.change(1)
    dates = [parsedate_to_datetime(caller.ticket("1").headers["Date"]) for _ in range(2)]
    assert [(date - right).total_seconds() for date in dates] == [3600, 0]
    assert changed.modified_time == right


def test_latency_lets_calls_overlap(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("latency", seconds=0.1)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(caller.ticket, "1234"):
            assert answer.elapsed.total_seconds() >= 0.1
    assert simulator.counters().max_concurrent > 1


@pytest.mark.parametrize("kind", ["no_id", "bad_time"])
def test_bad_ticket_corrupts_rows(simulator: SimulatedHelpdesk, caller: Caller, kind: str) -> None:
    good = caller.search().json()["tickets"]
    simulator.fault("bad_ticket", kind=kind, rows=2, count=1)
    rows = caller.search().json()["tickets"]
    assert rows[2:] == good[2:]
    for row in rows[:2]:
        if kind == "no_id":
            assert "id" not in row
        else:
            assert row["modifiedTime"] == "not-a-time"


def test_bad_ticket_by_id_is_bad_on_every_endpoint(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    wanted = next(simulator.truth()).ticket_id
    simulator.fault("bad_ticket", kind="bad_time", ids=[wanted])
    for path in ("/v2/tickets", "/v2/tickets/search"):
        rows = caller.all_rows(path, modifiedTimeRange=_until(simulator))
        bad = [row["id"] for row in rows if row["modifiedTime"] == "not-a-time"]
        assert bad == [wanted]
    assert caller.ticket(wanted).json()["modifiedTime"] == "not-a-time"


def test_future_row_appears_once_and_not_in_the_truth(
    simulator: SimulatedHelpdesk, caller: Caller
) -> None:
    simulator.fault("future_row")
    ids = {each.ticket_id for each in simulator.truth()}
    search = caller.all_rows("/v2/tickets/search", modifiedTimeRange=_until(simulator))
    listing = caller.all_rows("/v2/tickets")
    assert search[-1] == listing[0]
    assert search[-1]["modifiedTime"] == "2099-12-31T23:59:59Z"
    assert {row["id"] for row in search} - ids == {search[-1]["id"]}
    assert caller.ticket(search[-1]["id"]).json() == search[-1]


def test_thin_rows_are_whole_by_id(simulator: SimulatedHelpdesk, caller: Caller) -> None:
    simulator.fault("thin_rows")
    for page in (caller.search(), caller.listing()):
        for row in page.json()["tickets"]:
            assert set(row) == {"id", "createdTime", "modifiedTime"}
    assert "subject" in caller.ticket(row["id"]).json()
