"""Inventories: every id with its time, whatever happens while they are made, and nothing more asked
for than that takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, TicketUnreadable
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import InventoryLine, InventoryPage
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.conformance.conftest import PAGE
from helpdesk_assets_tests.conformance.vendors import Gone, Vendor
from helpdesk_assets_tests.harness import RIPE_SECONDS, world_of

TICKETS = 150
TELLS = (Gone.TOLD, Gone.NOTICED)
# Of the first calls, or of later ones.
PASSING: Mapping[str, Mapping[str, Any]] = {
    "429": {"name": "rate_limit_429", "retry_after": 7},
    "500": {"name": "error_500", "after": 3},
    "dropped connection": {"name": "drop_connection", "after": 3},
    "truncated body": {"name": "truncated_json"},
}


class Line(NamedTuple):
    """What an inventory says of one ticket; of a gone one, the time is not held to anything."""

    modified_time: datetime | None
    gone: bool = False


class Opened(NamedTuple):
    """A helpdesk, an adapter for it, and which of its endpoints an inventory goes by."""

    desk: SimulatedHelpdesk
    helpdesk: Helpdesk
    endpoint: str


class Open(Protocol):
    def __call__(
        self, tickets: int = TICKETS, *, cap: int | None = None, **more: Any
    ) -> Opened: ...


@pytest.fixture
def open_helpdesk(vendor: Vendor) -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(tickets: int = TICKETS, *, cap: int | None = None, **more: Any) -> Opened:
            desk = stack.enter_context(
                SimulatedHelpdesk(tickets=tickets, dialect=vendor.name, cap=cap)
            )
            desk.advance(RIPE_SECONDS)
            given = {
                "helpdesk_provider": vendor.name,
                "helpdesk_base_url": desk.base_url,
                "helpdesk_page_size": PAGE,
                **vendor.settings(desk),
                **more,
            }
            helpdesk = make_helpdesk(Settings.model_validate(given), world_of(desk))
            stack.callback(helpdesk.close)
            return Opened(desk, helpdesk, "listing" if vendor.name == "zoho_desk" else "search")

        yield opened


def said(pages: Iterable[InventoryPage]) -> dict[str, Line]:
    """By id, the line that counts."""
    counts: dict[str, InventoryLine] = {}
    for page in pages:
        for line in page.lines:
            counts[line.ticket_id] = max(counts.get(line.ticket_id, line), line, key=_place)
    return {
        ticket_id: Line(None if line.gone else line.modified_time, line.gone)
        for ticket_id, line in counts.items()
    }


def _place(line: InventoryLine) -> tuple[datetime, bool]:
    return line.modified_time, line.gone


def truth(desk: SimulatedHelpdesk, vendor: Vendor) -> dict[str, Line]:
    """What an inventory has to say once the helpdesk is quiet."""
    lines = {}
    for ticket in desk.truth(gone=True):
        gone = Gone.LIVES if ticket.end is None else vendor.ends[ticket.end]
        if gone is Gone.LIVES:
            lines[ticket.ticket_id] = Line(ticket.modified_time)
        elif gone in TELLS:
            lines[ticket.ticket_id] = Line(None, gone=True)
    return lines


def as_of(pages: list[InventoryPage]) -> datetime:
    """When it began: a change since then may be in it or not."""
    return min(page.served_at for page in pages)


def test_every_ticket_with_its_time(open_helpdesk: Open, vendor: Vendor) -> None:
    desk, helpdesk, _ = open_helpdesk()
    desk.change(2 * PAGE + 3, same_second=True)
    desk.delete(3)
    desk.mark_spam(2)
    into, *merged = [each.ticket_id for each in desk.change(3)]
    desk.merge(merged, into)
    desk.advance(RIPE_SECONDS)
    pages = list(helpdesk.inventory())
    assert said(pages) == truth(desk, vendor)
    assert not any(page.unreadable for page in pages)
    living = sum(not line.gone for line in said(pages).values())
    # Zoho Desk's search still counts the two that are spam.
    assert {page.total for page in pages} <= {None, living, living + 2}


def test_tickets_archived_before_the_first_load(open_helpdesk: Open, vendor: Vendor) -> None:
    desk, helpdesk, _ = open_helpdesk()
    desk.archive(15)
    assert said(helpdesk.inventory()) == truth(desk, vendor)


def test_an_empty_helpdesk(open_helpdesk: Open) -> None:
    pages = list(open_helpdesk(0).helpdesk.inventory())
    assert pages
    assert said(pages) == {}
    assert {page.total for page in pages} <= {None, 0}


@pytest.mark.parametrize("at_once", [1, 4])
def test_tickets_that_change_while_paging(
    open_helpdesk: Open, vendor: Vendor, at_once: int
) -> None:
    """Before every page some leave their places; none may be read of in neither."""
    desk, helpdesk, endpoint = open_helpdesk(helpdesk_concurrency=at_once)
    desk.fault("changes_while_paging", on=endpoint, changes=7, advance_seconds=14.0, count=30)
    pages = list(helpdesk.inventory())
    found, true = said(pages), truth(desk, vendor)
    assert found.keys() == true.keys()
    assert desk.counters().of(endpoint) >= TICKETS / PAGE
    began = as_of(pages)
    untouched = {
        ticket_id: line
        for ticket_id, line in true.items()
        if line.modified_time and line.modified_time < began
    }
    assert {ticket_id: found[ticket_id] for ticket_id in untouched} == untouched


def test_the_oldest_ticket_left_to_be_read_changes_last(
    open_helpdesk: Open, vendor: Vendor
) -> None:
    """While the last page but one is on its way, so that no page of the list is left for it."""
    desk, helpdesk, _ = open_helpdesk(helpdesk_concurrency=1)
    pages, seen, unread = helpdesk.inventory(), {}, set(truth(desk, vendor))
    for page in pages:
        seen.update({line.ticket_id: line for line in page.lines})
        unread -= seen.keys()
        if 0 < len(unread) <= PAGE:
            desk.change(ids=sorted(unread))
            break
    assert unread
    found = seen.keys() | said(pages).keys()
    assert found == truth(desk, vendor).keys()


def test_tickets_that_leave_while_paging(open_helpdesk: Open, vendor: Vendor) -> None:
    """One that was read of, and one that was not yet: told of as gone by who tells of such."""
    desk, helpdesk, _ = open_helpdesk(helpdesk_concurrency=1)
    pages = helpdesk.inventory()
    first = next(pages)
    read = first.lines[0].ticket_id
    unread = next(iter(truth(desk, vendor).keys() - {line.ticket_id for line in first.lines}))
    desk.advance(5)
    desk.delete(ids=[read, unread])
    found = said([first, *pages])
    if vendor.ends["deleted"] in TELLS:
        assert found == truth(desk, vendor)
    else:
        assert found == {**truth(desk, vendor), read: Line(first.lines[0].modified_time)}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_failure_that_passes_is_tried_again(
    open_helpdesk: Open, vendor: Vendor, fault: Mapping[str, Any]
) -> None:
    desk, helpdesk, endpoint = open_helpdesk()
    desk.fault(**fault, on=endpoint, count=2)
    assert said(helpdesk.inventory()) == truth(desk, vendor)
    assert helpdesk.use.retries == 2


def test_a_failure_that_stays(open_helpdesk: Open) -> None:
    desk, helpdesk, endpoint = open_helpdesk()
    desk.fault("error_500", on=endpoint, after=2)
    with pytest.raises(EndpointFailed, match=r"500.*Given up"):
        list(helpdesk.inventory())


@pytest.mark.parametrize("fault", ["page_cut_short", "empty_page", "repeated_rows"])
def test_odd_pages_are_no_end(open_helpdesk: Open, vendor: Vendor, fault: str) -> None:
    """A page cut short with 200, an empty one, and one that tells again what the last one told."""
    desk, helpdesk, endpoint = open_helpdesk()
    desk.fault(fault, on=endpoint, after=1, count=3)
    if (vendor.name, fault) == ("zoho_desk", "empty_page"):
        # It counts more rows than it gives: an error, and no end either.
        with pytest.raises(EndpointFailed):
            list(helpdesk.inventory())
    else:
        assert said(helpdesk.inventory()) == truth(desk, vendor)
        assert fault not in desk.faults()


@pytest.mark.parametrize("fault", ["not_json", "missing_fields"])
def test_another_answer_than_a_page_is_an_error(open_helpdesk: Open, fault: str) -> None:
    desk, helpdesk, endpoint = open_helpdesk()
    desk.fault(fault, on=endpoint, after=2)
    with pytest.raises(EndpointFailed):
        list(helpdesk.inventory())


def test_refused_credentials_are_not_tried_again(open_helpdesk: Open) -> None:
    desk, helpdesk, _ = open_helpdesk()
    refused = desk.token
    desk.accept_token(f"{refused}-again")
    with pytest.raises(CredentialsRefused) as error:
        list(helpdesk.inventory())
    assert refused not in str(error.value)
    assert desk.counters().total == 1


def test_more_tickets_than_one_query_gives(open_helpdesk: Open, vendor: Vendor) -> None:
    cap = 3 * PAGE
    desk, helpdesk, _ = open_helpdesk(4 * cap, cap=cap, helpdesk_result_cap=cap)
    assert said(helpdesk.inventory()) == truth(desk, vendor)


def test_no_ticket_is_asked_for_by_its_id(open_helpdesk: Open, vendor: Vendor) -> None:
    """Neither where tickets are fetched whole, nor for what is gone."""
    desk, helpdesk, _ = open_helpdesk(helpdesk_fetch_details=True)
    desk.delete(5)
    desk.advance(RIPE_SECONDS)
    assert said(helpdesk.inventory()) == truth(desk, vendor)
    assert desk.counters().of("ticket") == 0


def test_it_is_no_dearer_than_the_listing(open_helpdesk: Open) -> None:
    """But for looking at the end once more, in each list that is read to its end."""
    desk, helpdesk, _ = open_helpdesk(helpdesk_concurrency=1)
    list(helpdesk.listing())
    listed = desk.counters()
    desk.reset_counters()
    list(helpdesk.inventory())
    assert desk.counters().total <= listed.total + 3
    assert desk.counters().bytes <= listed.bytes * 1.1


def test_rows_that_cannot_be_read(open_helpdesk: Open, vendor: Vendor) -> None:
    """Named where they are skipped: a ticket without a time is still there."""
    desk, helpdesk, endpoint = open_helpdesk(helpdesk_skip_bad_tickets=True)
    desk.fault("bad_ticket", on=endpoint, kind="bad_time", rows=2, count=1)
    pages = list(helpdesk.inventory())
    unreadable = {ticket_id for page in pages for ticket_id in page.unreadable}
    assert len(unreadable) == 2
    assert said(pages).keys() | unreadable == truth(desk, vendor).keys()


def test_rows_that_cannot_be_read_end_it(open_helpdesk: Open) -> None:
    desk, helpdesk, endpoint = open_helpdesk()
    desk.fault("bad_ticket", on=endpoint, kind="bad_time", rows=2)
    with pytest.raises(TicketUnreadable, match="HELPDESK_SKIP_BAD_TICKETS"):
        list(helpdesk.inventory())
