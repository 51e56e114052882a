"""Zoho Desk takes a parameter of the recycle bin and does not keep to it, or gives no more rows."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets_tests.providers.loopback import loopback
from helpdesk_assets_tests.providers.pages import newest
from helpdesk_assets_tests.providers.request_recorder import SentRequest
from helpdesk_assets_tests.providers.zoho_desk.canned import (
    UNPROCESSABLE,
    Connect,
    answering,
    cut,
)
from helpdesk_assets_tests.providers.zoho_desk.test_bin_reading import (
    HOUR,
    MINUTE,
    TEN,
    Portal,
    cursor_of,
)

OVERLAP = 5 * MINUTE


class IgnoringPortal(Portal):
    """Takes `sortBy` and `moduleId`, and heeds only what it is told to; oldest first otherwise."""

    def __init__(self, *, sorts_really: bool = False) -> None:
        super().__init__()
        self.sorts_really = sorts_really

    def bin(self, asked: SentRequest) -> Any:
        self.asked.append(asked)
        every = list(self.rows)
        if self.sorts_really:
            every.sort(key=lambda row: row["deletedTime"], reverse=True)
        return self.dated(cut(asked, every))


class CutPortal(Portal):
    """Refuses offsets above `last`."""

    last = 150

    def bin(self, asked: SentRequest) -> Any:
        if int(asked.params["from"]) > self.last:
            self.asked.append(asked)
            return UNPROCESSABLE
        return super().bin(asked)


@pytest.mark.parametrize("bulk", [49, 50, 60, 140])
def test_ignored_order_hides_nothing_behind_one_second(connect: Connect, bulk: int) -> None:
    """The order was kept to before, so the cursor says that the bin is sorted."""
    portal = Portal()
    portal.delete(1, at=TEN - 30 * HOUR)
    portal.delete(1, at=TEN - 29 * HOUR)
    pages, _ = portal.run(connect, None)
    ignoring = IgnoringPortal()
    ignoring.delete(bulk, at=TEN - 40 * HOUR)
    ignoring.now += 2 * HOUR
    gone = ignoring.delete(5)
    pages, _ = ignoring.run(connect, TEN - OVERLAP, cursor_of(pages))
    assert newest(pages).keys() >= gone


def test_ignored_order_hides_nothing_longer_than_a_day(connect: Connect) -> None:
    """Behind so many rows of one second that a run does not look there each time."""
    portal = IgnoringPortal()
    portal.delete(400, at=TEN - 30 * HOUR)
    pages, _ = portal.run(connect, None)
    gone: set[str] = set()
    seen: set[str] = set()
    for _ in range(13):
        portal.now += 2 * HOUR
        gone |= portal.delete(1)
        pages, _ = portal.run(connect, portal.now - 2 * HOUR - OVERLAP, cursor_of(pages))
        seen |= newest(pages).keys()
    assert len(gone - seen) <= 1


def test_bulk_deletion_costs_quiet_runs_little(connect: Connect) -> None:
    portal = Portal()
    portal.delete(400, at=TEN - 5 * HOUR)
    pages, _ = portal.run(connect, None)
    for deleted, most in ((0, 3), (2, 1), (0, 1)):
        portal.now += 2 * HOUR
        gone = portal.delete(deleted)
        pages, calls = portal.run(connect, portal.now - 2 * HOUR - OVERLAP, cursor_of(pages))
        assert newest(pages).keys() >= gone
        assert calls <= most


@pytest.mark.parametrize("sorts", [True, False])
def test_refused_offset_ends_the_reading_and_not_the_run(
    connect: Connect, caplog: pytest.LogCaptureFixture, sorts: bool
) -> None:
    portal = CutPortal(sorts=sorts)
    newest_first = portal.delete(300, at=TEN - 5 * HOUR)
    with caplog.at_level(logging.WARNING):
        pages, _ = portal.run(connect, None)
    assert len(newest(pages).keys() & newest_first) >= portal.last
    assert caplog.text.count("from number") == 1
    portal.now += 2 * HOUR
    _, calls = portal.run(connect, portal.now - 2 * HOUR - OVERLAP, cursor_of(pages))
    assert calls <= 3


@pytest.mark.parametrize("sorts", [True, False])
def test_refused_offset_does_not_end_an_inventory(connect: Connect, sorts: bool) -> None:
    portal = CutPortal(sorts=sorts)
    portal.delete(300, at=TEN - 5 * HOUR)
    served = answering(bin=portal.bin, modules=portal.modules, search=portal.search)
    with loopback(served) as server:
        pages = list(connect(server.url).inventory())
    assert len({entry.ticket_id for page in pages for entry in page.entries}) >= portal.last


@pytest.mark.parametrize("tickets", [0, 10, 60])
@pytest.mark.parametrize("label", ["Anfragen", "Tickets"])
def test_foreign_rows_on_any_page_make_no_tickets(
    connect: Connect, tickets: int, label: str
) -> None:
    portal = IgnoringPortal(sorts_really=True)
    portal.delete(30, at=TEN - 3 * HOUR, type="Kontakte")
    gone = portal.delete(tickets, at=TEN - 2 * HOUR, type=label)
    pages, _ = portal.run(connect, None)
    assert newest(pages).keys() == gone
    portal.now += HOUR
    gone = portal.delete(1, type=label)
    portal.delete(1, type="Kontakte")
    pages, _ = portal.run(connect, portal.now - HOUR, cursor_of(pages))
    assert newest(pages).keys() >= gone
    kinds = {row["id"]: row["type"] for row in portal.rows}
    assert {kinds[each] for each in newest(pages)} == {label}


@pytest.mark.parametrize(
    ("labels", "is_told"),
    [
        (["Anfragen"], True),
        (["Anfragen", "Contacts"], True),
        (["Tickets", "Sonderfall"], False),
        (["Contacts"], False),
        ([], False),
    ],
)
def test_labels_that_nobody_knows_are_told(
    connect: Connect, caplog: pytest.LogCaptureFixture, labels: list[str], is_told: bool
) -> None:
    portal = Portal(narrows=False)
    for number, label in enumerate(labels):
        portal.delete(60, at=TEN - timedelta(hours=number + 1), type=label)
    with caplog.at_level(logging.WARNING):
        portal.run(connect, None)
    assert caplog.text.count("has the label of tickets") == is_told
    assert ("anfragen" in caplog.text) == is_told


def test_right_to_modules_finds_what_was_hidden(connect: Connect) -> None:
    portal = Portal(narrows=False)
    gone = portal.delete(3, type="Anfragen")
    pages, _ = portal.run(connect, TEN - HOUR)
    assert newest(pages) == {}
    portal.narrows = True
    portal.now += 2 * HOUR
    pages, _ = portal.run(connect, portal.now - HOUR, cursor_of(pages))
    assert newest(pages).keys() == gone
