"""Inventories contain every id with its time, whatever happens while they are read.

They make no more calls than that takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import pytest

from helpdesk_assets.errors import CredentialsRefused, EndpointFailed, TicketUnreadable
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.tickets import InventoryEntry, InventoryPage
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.conformance.conftest import PAGE
from helpdesk_assets_tests.conformance.vendors import DeletionVisibility, Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, runtime_of

TICKETS = 150
VISIBLE = (DeletionVisibility.FULL_VERSION, DeletionVisibility.TOMBSTONE)
# Of the first calls, or of later ones.
TRANSIENT: Mapping[str, Mapping[str, Any]] = {
    "429": {"name": "rate_limit_429", "retry_after": 7},
    "500": {"name": "error_500", "after": 3},
    "dropped connection": {"name": "drop_connection", "after": 3},
    "truncated body": {"name": "truncated_json"},
}


class Line(NamedTuple):
    """An inventory's entry for a ticket; the time of a removed one is not compared."""

    modified_time: datetime | None
    gone: bool = False


class Opened(NamedTuple):
    """A helpdesk, an adapter for it, and the endpoint that an inventory reads."""

    simulator: SimulatedHelpdesk
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
            simulator = stack.enter_context(
                SimulatedHelpdesk(tickets=tickets, dialect=vendor.name, cap=cap)
            )
            simulator.advance(SECONDS_PAST_GRACE)
            given = {
                "helpdesk_provider": vendor.name,
                "helpdesk_base_url": simulator.base_url,
                "helpdesk_page_size": PAGE,
                **vendor.settings(simulator),
                **more,
            }
            helpdesk = make_helpdesk(Settings.model_validate(given), runtime_of(simulator))
            stack.callback(helpdesk.close)
            return Opened(
                simulator, helpdesk, "listing" if vendor.name == "zoho_desk" else "search"
            )

        yield opened


def entries_by_id(pages: Iterable[InventoryPage]) -> dict[str, Line]:
    """Return the entry that counts, by id."""
    counts: dict[str, InventoryEntry] = {}
    for page in pages:
        for line in page.entries:
            counts[line.ticket_id] = max(counts.get(line.ticket_id, line), line, key=_entry_order)
    return {
        ticket_id: Line(None if line.gone else line.modified_time, line.gone)
        for ticket_id, line in counts.items()
    }


def _entry_order(line: InventoryEntry) -> tuple[datetime, bool]:
    return line.modified_time, line.gone


def truth(simulator: SimulatedHelpdesk, vendor: Vendor) -> dict[str, Line]:
    """Return the inventory that a helpdesk without further changes must give."""
    entries = {}
    for ticket in simulator.truth(include_removed=True):
        gone = (
            DeletionVisibility.STAYS_LIVE
            if ticket.removal_kind is None
            else vendor.removals[ticket.removal_kind]
        )
        if gone is DeletionVisibility.STAYS_LIVE:
            entries[ticket.ticket_id] = Line(ticket.modified_time)
        elif gone in VISIBLE:
            entries[ticket.ticket_id] = Line(None, gone=True)
    return entries


def started_at(pages: list[InventoryPage]) -> datetime:
    """Start of the inventory: a later change may be in it or not."""
    return min(page.served_at for page in pages)


def test_every_ticket_is_listed_with_its_time(open_helpdesk: Open, vendor: Vendor) -> None:
    simulator, helpdesk, _ = open_helpdesk()
    simulator.change(2 * PAGE + 3, same_second=True)
    simulator.delete(3)
    simulator.mark_spam(2)
    into, *merged = [each.ticket_id for each in simulator.change(3)]
    simulator.merge(merged, into)
    simulator.advance(SECONDS_PAST_GRACE)
    pages = list(helpdesk.inventory())
    assert entries_by_id(pages) == truth(simulator, vendor)
    assert not any(page.unreadable for page in pages)
    living = sum(not line.gone for line in entries_by_id(pages).values())
    # Zoho Desk's search still counts the two spam tickets.
    assert {page.total for page in pages} <= {None, living, living + 2}


def test_tickets_archived_before_the_first_load(open_helpdesk: Open, vendor: Vendor) -> None:
    simulator, helpdesk, _ = open_helpdesk()
    simulator.archive(15)
    assert entries_by_id(helpdesk.inventory()) == truth(simulator, vendor)


def test_empty_helpdesk(open_helpdesk: Open) -> None:
    pages = list(open_helpdesk(0).helpdesk.inventory())
    assert pages
    assert entries_by_id(pages) == {}
    assert {page.total for page in pages} <= {None, 0}


@pytest.mark.parametrize("at_once", [1, 4])
def test_tickets_changed_while_paging(open_helpdesk: Open, vendor: Vendor, at_once: int) -> None:
    """Before every page, some tickets change their positions; each must appear all the same."""
    simulator, helpdesk, endpoint = open_helpdesk(helpdesk_concurrency=at_once)
    simulator.fault("changes_while_paging", on=endpoint, changes=7, advance_seconds=14.0, count=30)
    pages = list(helpdesk.inventory())
    found, true = entries_by_id(pages), truth(simulator, vendor)
    assert found.keys() == true.keys()
    assert simulator.counters().of(endpoint) >= TICKETS / PAGE
    began = started_at(pages)
    untouched = {
        ticket_id: line
        for ticket_id, line in true.items()
        if line.modified_time and line.modified_time < began
    }
    assert {ticket_id: found[ticket_id] for ticket_id in untouched} == untouched


def test_last_unread_tickets_change_while_paging(open_helpdesk: Open, vendor: Vendor) -> None:
    """They change during the last page but one, so that no page of the list is left for them."""
    simulator, helpdesk, _ = open_helpdesk(helpdesk_concurrency=1)
    pages, seen, unread = helpdesk.inventory(), {}, set(truth(simulator, vendor))
    for page in pages:
        seen.update({line.ticket_id: line for line in page.entries})
        unread -= seen.keys()
        if 0 < len(unread) <= PAGE:
            simulator.change(ids=sorted(unread))
            break
    assert unread
    found = seen.keys() | entries_by_id(pages).keys()
    assert found == truth(simulator, vendor).keys()


def test_tickets_removed_while_paging(open_helpdesk: Open, vendor: Vendor) -> None:
    """One is removed after it was read, one before; vendors that report removals report both."""
    simulator, helpdesk, _ = open_helpdesk(helpdesk_concurrency=1)
    pages = helpdesk.inventory()
    first = next(pages)
    read = first.entries[0].ticket_id
    unread = next(
        iter(truth(simulator, vendor).keys() - {line.ticket_id for line in first.entries})
    )
    simulator.advance(5)
    simulator.delete(ids=[read, unread])
    found = entries_by_id([first, *pages])
    if vendor.removals["deleted"] in VISIBLE:
        assert found == truth(simulator, vendor)
    else:
        assert found == {**truth(simulator, vendor), read: Line(first.entries[0].modified_time)}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_transient_failure_is_retried(
    open_helpdesk: Open, vendor: Vendor, fault: Mapping[str, Any]
) -> None:
    simulator, helpdesk, endpoint = open_helpdesk()
    simulator.fault(**fault, on=endpoint, count=2)
    assert entries_by_id(helpdesk.inventory()) == truth(simulator, vendor)
    assert helpdesk.use.retries == 2


def test_permanent_failure(open_helpdesk: Open) -> None:
    simulator, helpdesk, endpoint = open_helpdesk()
    simulator.fault("error_500", on=endpoint, after=2)
    with pytest.raises(EndpointFailed, match=r"500.*Given up"):
        list(helpdesk.inventory())


@pytest.mark.parametrize("fault", ["page_cut_short", "empty_page", "repeated_rows"])
def test_odd_pages_do_not_end_the_inventory(
    open_helpdesk: Open, vendor: Vendor, fault: str
) -> None:
    """A page truncated with 200, an empty one, and one that repeats the page before."""
    simulator, helpdesk, endpoint = open_helpdesk()
    simulator.fault(fault, on=endpoint, after=1, count=3)
    if (vendor.name, fault) == ("zoho_desk", "empty_page"):
        # The count exceeds the rows: an error, not the end.
        with pytest.raises(EndpointFailed):
            list(helpdesk.inventory())
    else:
        assert entries_by_id(helpdesk.inventory()) == truth(simulator, vendor)
        assert fault not in simulator.faults()


@pytest.mark.parametrize("fault", ["not_json", "missing_fields"])
def test_unexpected_response_is_an_error(open_helpdesk: Open, fault: str) -> None:
    simulator, helpdesk, endpoint = open_helpdesk()
    simulator.fault(fault, on=endpoint, after=2)
    with pytest.raises(EndpointFailed):
        list(helpdesk.inventory())


def test_rejected_credentials_are_not_retried(open_helpdesk: Open) -> None:
    simulator, helpdesk, _ = open_helpdesk()
    refused = simulator.token
    simulator.accept_token(f"{refused}-again")
    with pytest.raises(CredentialsRefused) as error:
        list(helpdesk.inventory())
    assert refused not in str(error.value)
    assert simulator.counters().total == 1


def test_more_tickets_than_the_query_cap(open_helpdesk: Open, vendor: Vendor) -> None:
    cap = 3 * PAGE
    simulator, helpdesk, _ = open_helpdesk(4 * cap, cap=cap, helpdesk_result_cap=cap)
    assert entries_by_id(helpdesk.inventory()) == truth(simulator, vendor)


def test_tickets_are_not_fetched_by_id(open_helpdesk: Open, vendor: Vendor) -> None:
    """Not even for vendors whose tickets or removals need it in a sync."""
    simulator, helpdesk, _ = open_helpdesk(helpdesk_fetch_details=True)
    simulator.delete(5)
    simulator.advance(SECONDS_PAST_GRACE)
    assert entries_by_id(helpdesk.inventory()) == truth(simulator, vendor)
    assert simulator.counters().of("ticket") == 0


def test_inventory_costs_no_more_than_the_listing(open_helpdesk: Open) -> None:
    """Except for one more call at the end of each list."""
    simulator, helpdesk, _ = open_helpdesk(helpdesk_concurrency=1)
    list(helpdesk.listing())
    listed = simulator.counters()
    simulator.reset_counters()
    list(helpdesk.inventory())
    assert simulator.counters().total <= listed.total + 3
    assert simulator.counters().bytes <= listed.bytes * 1.1


def test_unreadable_rows_are_counted(open_helpdesk: Open, vendor: Vendor) -> None:
    """They are named if they are skipped: a ticket without a time still exists."""
    simulator, helpdesk, endpoint = open_helpdesk(helpdesk_skip_bad_tickets=True)
    simulator.fault("bad_ticket", on=endpoint, kind="bad_time", rows=2, count=1)
    pages = list(helpdesk.inventory())
    unreadable = {ticket_id for page in pages for ticket_id in page.unreadable}
    assert len(unreadable) == 2
    assert entries_by_id(pages).keys() | unreadable == truth(simulator, vendor).keys()


def test_unreadable_rows_fail_without_skip(open_helpdesk: Open) -> None:
    simulator, helpdesk, endpoint = open_helpdesk()
    simulator.fault("bad_ticket", on=endpoint, kind="bad_time", rows=2)
    with pytest.raises(TicketUnreadable, match="HELPDESK_SKIP_BAD_TICKETS"):
        list(helpdesk.inventory())
