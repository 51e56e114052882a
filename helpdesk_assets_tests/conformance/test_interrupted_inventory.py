"""An interrupted inventory is gone on with, and both parts together are a whole one."""

from __future__ import annotations

from itertools import islice

import pytest

from helpdesk_assets.errors import PositionLost
from helpdesk_assets.model.tickets import InventoryPage
from helpdesk_assets_tests.conformance.conftest import PAGE
from helpdesk_assets_tests.conformance.test_inventory import (
    TICKETS,
    Open,
    entries_by_id,
    open_helpdesk,
    started_at,
    truth,
)
from helpdesk_assets_tests.conformance.vendors import Vendor
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE

__all__ = ["open_helpdesk"]

ALL = 1000


def last_token(pages: list[InventoryPage]) -> str | None:
    return next((page.resume for page in reversed(pages) if page.resume is not None), None)


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("read", [1, 3, 5, ALL])
def test_both_parts_are_one_inventory(
    open_helpdesk: Open, vendor: Vendor, read: int, at_once: int
) -> None:
    simulator, helpdesk, _ = open_helpdesk(helpdesk_concurrency=at_once)
    simulator.delete(3)
    simulator.advance(SECONDS_PAST_GRACE)
    first = list(islice(helpdesk.inventory(), read))
    second = list(helpdesk.inventory(last_token(first)))
    assert entries_by_id([*first, *second]) == truth(simulator, vendor)


def test_changes_between_the_parts_leave_none_out(open_helpdesk: Open, vendor: Vendor) -> None:
    simulator, helpdesk, _ = open_helpdesk()
    first = list(islice(helpdesk.inventory(), 4))
    before = truth(simulator, vendor)
    simulator.advance(3600)
    changed = {each.ticket_id for each in simulator.change(40, spread_seconds=600)}
    changed |= {each.ticket_id for each in simulator.create(10)}
    changed |= {*simulator.delete(5)}
    simulator.advance(SECONDS_PAST_GRACE)
    second = list(helpdesk.inventory(last_token(first)))
    listed, now = entries_by_id([*first, *second]), truth(simulator, vendor)
    for ticket_id, line in now.items():
        if ticket_id not in changed:
            assert listed[ticket_id] == line
        elif ticket_id in before and not line.gone:
            assert listed[ticket_id] in (line, before[ticket_id])
    assert started_at(first) < started_at(second)


def test_late_interruption_costs_few_calls_again(open_helpdesk: Open) -> None:
    simulator, helpdesk, _ = open_helpdesk()
    pages = list(helpdesk.inventory())
    whole = simulator.counters().tickets_served
    simulator.reset_counters()
    list(helpdesk.inventory(last_token(pages)))
    assert simulator.counters().tickets_served <= 2 * PAGE < whole >= TICKETS


def test_first_page_says_where_to_go_on(open_helpdesk: Open) -> None:
    _, helpdesk, _ = open_helpdesk()
    assert next(iter(helpdesk.inventory())).resume is not None


def test_unreadable_position_is_lost_or_costs_everything(
    open_helpdesk: Open, vendor: Vendor
) -> None:
    simulator, helpdesk, _ = open_helpdesk()
    if vendor.name == "zendesk":
        # Any text may be a cursor; Zendesk refuses it, and the export is read from its beginning.
        pages = list(helpdesk.inventory("1 bm8tY3Vyc29y"))
        assert entries_by_id(pages) == truth(simulator, vendor)
    with pytest.raises(PositionLost, match="position"):
        list(helpdesk.inventory("position"))
