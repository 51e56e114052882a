"""How much of the recycle bin a run reads, and that nothing is lost by that."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.model.tickets import Page
from helpdesk_assets_tests.providers.loopback import CannedResponse, loopback
from helpdesk_assets_tests.providers.pages import newest
from helpdesk_assets_tests.providers.request_recorder import SentRequest, sent_requests
from helpdesk_assets_tests.providers.zoho_desk.canned import (
    BIN,
    BINNED,
    MODULE_ID,
    MODULES,
    NOTHING,
    UNPROCESSABLE,
    Connect,
    answering,
    cut,
    found,
)

TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Portal:
    """A portal whose bin can be sorted and narrowed, or not; its clock is `now`."""

    def __init__(self, *, sorts: bool = True, narrows: bool = True, heeds: bool = True) -> None:
        self.sorts = sorts
        self.narrows = narrows
        self.heeds = heeds
        self.now = TEN
        self.rows: list[dict[str, Any]] = []
        self.asked: list[SentRequest] = []

    def delete(self, count: int, *, at: datetime | None = None, **fields: Any) -> set[str]:
        first = 1000 + len(self.rows)
        ids = [str(number) for number in range(first, first + count)]
        text = f"{at or self.now - MINUTE:%Y-%m-%dT%H:%M:%S}.000Z"
        self.rows += [{**BINNED, "id": each, "deletedTime": text, **fields} for each in ids]
        return set(ids)

    def bin(self, asked: SentRequest) -> Any:
        self.asked.append(asked)
        refused = {"sortBy"} - {"sortBy" if self.sorts else ""}
        if refused & asked.params.keys():
            return UNPROCESSABLE
        every = list(self.rows)
        if "moduleId" in asked.params and self.heeds:
            every = [row for row in every if not row.get("is_other")]
        if "sortBy" in asked.params and self.heeds:
            every.sort(key=lambda row: row["deletedTime"], reverse=True)
        return self.dated(cut(asked, every))

    def modules(self, asked: SentRequest) -> Any:
        self.asked.append(asked)
        if not self.narrows:
            return CannedResponse(b'{"errorCode": "SCOPE_MISMATCH"}', 403)
        other = {"apiName": "contacts", "id": "5"}
        return found(other, {"apiName": "tickets", "id": MODULE_ID, "displayLabel": "Anfragen"})

    def search(self, _: SentRequest) -> Any:
        return self.dated(NOTHING)

    def dated(self, answer: Any) -> CannedResponse:
        date = {"Date": f"{self.now:%a, %d %b %Y %H:%M:%S} GMT"}
        if isinstance(answer, CannedResponse):
            return CannedResponse(answer.body, answer.status, {**answer.headers, **date})
        return CannedResponse(json.dumps(answer).encode(), 200, date)

    def run(
        self, connect: Connect, since: datetime | None, cursor: str | None = None
    ) -> tuple[list[Page], int]:
        """Return the pages of a run, and how often it asked for the bin and its modules."""
        self.asked = []
        server_of = answering(bin=self.bin, modules=self.modules, search=self.search)
        with loopback(server_of) as server:
            pages = list(connect(server.url).changes(since, None, cursor))
        return pages, len(self.asked)


def cursor_of(pages: Iterable[Page]) -> str | None:
    return list(pages)[-1].cursor


def test_quiet_run_asks_once_however_full_the_bin(connect: Connect) -> None:
    portal = Portal()
    portal.delete(380, at=TEN - 6 * HOUR)
    portal.delete(20, at=TEN - 5 * HOUR)
    pages, calls = portal.run(connect, None)
    assert calls >= 400 / 49
    assert len(newest(pages)) == 400
    for _ in range(3):
        portal.now += 2 * HOUR
        pages, calls = portal.run(connect, portal.now - 2 * HOUR - 5 * MINUTE, cursor_of(pages))
        assert (calls, newest(pages)) == (1, {})


def test_newest_deletions_are_read_to_the_windows_beginning(connect: Connect) -> None:
    portal = Portal()
    portal.delete(200, at=TEN - 5 * HOUR)
    pages, _ = portal.run(connect, None)
    portal.now += 2 * HOUR
    # Bulk: more than a page of one second, and the very second of the window's beginning.
    gone = portal.delete(120) | portal.delete(3, at=TEN + MINUTE)
    pages, calls = portal.run(connect, TEN + MINUTE, cursor_of(pages))
    assert newest(pages).keys() == gone
    assert calls <= 4


def test_refused_order_is_remembered_and_the_bin_looked_into(connect: Connect) -> None:
    """Once a day all of it, and with that the deletions since the time before."""
    portal = Portal(sorts=False)
    portal.delete(400, at=TEN - 5 * HOUR)
    pages, whole = portal.run(connect, None)
    missed: set[str] = set()
    for hours in range(2, 24, 2):
        portal.now = TEN + hours * HOUR
        missed |= portal.delete(1)
        pages, calls = portal.run(connect, portal.now - 2 * HOUR, cursor_of(pages))
        assert calls == 3
    portal.now = TEN + 24 * HOUR
    pages, calls = portal.run(connect, portal.now - 2 * HOUR, cursor_of(pages))
    assert calls <= whole + 1
    assert missed <= newest(pages).keys()
    portal.now += 2 * HOUR
    assert portal.run(connect, portal.now - 2 * HOUR, cursor_of(pages))[1] == 3


def test_small_bin_without_an_order_is_whole_each_time(connect: Connect) -> None:
    portal = Portal(sorts=False)
    pages, _ = portal.run(connect, None)
    portal.now += 2 * HOUR
    gone = portal.delete(30)
    pages, calls = portal.run(connect, portal.now - 2 * HOUR, cursor_of(pages))
    assert newest(pages).keys() == gone
    assert calls <= 3


def test_order_that_is_not_kept_is_not_believed(connect: Connect) -> None:
    portal = Portal(heeds=False, narrows=False)
    portal.delete(200, at=TEN - 5 * HOUR)
    portal.delete(1, at=TEN - 4 * HOUR)
    portal.delete(199, at=TEN - 5 * HOUR)
    pages, _ = portal.run(connect, TEN - HOUR)
    portal.now += 2 * HOUR
    gone = portal.delete(1)
    pages, _ = portal.run(connect, TEN, None)
    assert newest(pages).keys() >= gone


@pytest.mark.parametrize("sorts", [True, False])
def test_lost_cursor_loses_no_deletion(connect: Connect, sorts: bool) -> None:
    """A run that only looked into the bin may have been the last one before."""
    portal = Portal(sorts=sorts)
    portal.delete(400, at=TEN - 50 * HOUR)
    pages, _ = portal.run(connect, None)
    portal.now += 20 * HOUR
    gone = portal.delete(1)
    portal.now += HOUR
    pages, _ = portal.run(connect, portal.now - HOUR, cursor_of(pages))
    seen = newest(pages).keys()
    portal.now += 2 * HOUR
    pages, _ = portal.run(connect, portal.now - 2 * HOUR, "foreign")
    assert gone <= seen | newest(pages).keys()


def test_sorting_is_tried_again_when_the_whole_is_due(connect: Connect) -> None:
    portal = Portal(sorts=False)
    portal.delete(400, at=TEN - 5 * HOUR)
    portal.delete(1, at=TEN - 4 * HOUR)
    pages, _ = portal.run(connect, None)
    portal.sorts = True
    portal.now += 25 * HOUR
    pages, _ = portal.run(connect, portal.now - 2 * HOUR, cursor_of(pages))
    portal.now += HOUR
    assert portal.run(connect, portal.now - HOUR, cursor_of(pages))[1] == 1


def test_window_with_an_end_leaves_no_cursor(connect: Connect) -> None:
    portal = Portal()
    portal.delete(3)
    with loopback(answering(bin=portal.bin, modules=portal.modules)) as server:
        pages = list(connect(server.url).changes(TEN - HOUR, TEN + HOUR))
    assert {page.cursor for page in pages} == {None}
    assert len(newest(pages)) == 3


@pytest.mark.parametrize("sorts", [True, False])
def test_window_older_than_the_bin_reads_one_page(connect: Connect, sorts: bool) -> None:
    portal = Portal(sorts=sorts)
    portal.delete(400)
    long_ago = TEN - timedelta(days=90)
    server_of = answering(bin=portal.bin, modules=portal.modules, search=portal.search)
    with loopback(server_of) as server:
        pages = list(connect(server.url).changes(long_ago - 10 * HOUR, long_ago))
    assert newest(pages) == {}
    assert len([each for each in portal.asked if each.path == BIN]) <= 2


@pytest.mark.parametrize("label", ["Anfragen", "Tickets", None, ["Tickets"]])
def test_renamed_module_hides_no_deletion(connect: Connect, label: Any) -> None:
    portal = Portal()
    gone = portal.delete(3, type=label)
    portal.delete(2, type="Kontakte", is_other=True)
    pages, _ = portal.run(connect, None)
    assert newest(pages).keys() == gone
    assert {asked.params.get("moduleId") for asked in portal.asked if asked.path == BIN} == {
        MODULE_ID
    }


def test_label_decides_where_modules_are_not_to_be_had(connect: Connect) -> None:
    portal = Portal(narrows=False)
    gone = portal.delete(3, at=TEN - HOUR) | portal.delete(1, type=["Tickets"])
    portal.delete(2, type="Contacts")
    pages, _ = portal.run(connect, None)
    assert newest(pages).keys() == gone
    portal.now += HOUR
    assert portal.run(connect, TEN - 5 * MINUTE, cursor_of(pages))[1] == 1


@pytest.mark.parametrize("others", ["Contacts", "Kontakte"])
def test_narrowing_that_is_not_kept_makes_no_tickets(connect: Connect, others: str) -> None:
    portal = Portal(heeds=False)
    gone = portal.delete(3)
    portal.delete(3, type=others)
    pages, _ = portal.run(connect, None)
    assert newest(pages).keys() == gone


def test_rows_in_another_order_each_time_are_all_found(connect: Connect) -> None:
    """A bulk deletion has one time, and nothing says how equal rows are ordered."""
    portal = Portal()
    gone = portal.delete(120)
    turn = 0

    def shuffled(asked: SentRequest) -> Any:
        nonlocal turn
        turn += 1
        first = portal.rows[49]
        others = [row for row in portal.rows if row is not first]
        moved = others[turn * 7 :] + others[: turn * 7]
        return portal.dated(cut(asked, [*moved[:49], first, *moved[49:]]))

    with loopback(answering(bin=shuffled)) as server:
        assert newest(connect(server.url).changes(None)).keys() == gone


def test_bin_is_not_asked_when_it_is_left_alone(connect: Connect) -> None:
    with loopback(answering()) as server:
        pages = list(connect(server.url, zoho_recycle_bin=False).changes(None))
    assert {page.cursor for page in pages} == {None}
    asked = {asked.path for asked in sent_requests(server.seen)}
    assert not asked & {BIN, MODULES}
