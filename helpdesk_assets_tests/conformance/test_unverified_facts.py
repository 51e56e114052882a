"""The table is right with either answer to what nobody has confirmed of a vendor.

The other modules here run with every unfriendly answer, the simulated helpdesk's default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from helpdesk_assets.local.simulator.fact_switches import facts_of
from helpdesk_assets_tests.conformance.conftest import SETTINGS
from helpdesk_assets_tests.conformance.vendors import VENDORS, DeletionVisibility, Vendor
from helpdesk_assets_tests.harness import COLUMNS, SECONDS_PAST_GRACE, Harness, open_in_memory

TICKETS = 130
HOUR = 3600.0


class Switched(NamedTuple):
    """A vendor, and the facts with the friendly answer."""

    vendor: Vendor
    friendly: frozenset[str]

    @property
    def label(self) -> str:
        keys = [fact.key for fact in facts_of(self.vendor.name)]
        if len(self.friendly) < 2:
            return next(iter(self.friendly), f"{self.vendor.name}.all_unfriendly")
        return f"{self.vendor.name}.all_{len(keys)}_friendly"


def _every_switch() -> Iterator[Switched]:
    """All facts of a vendor unfriendly, each alone friendly, all friendly."""
    for vendor in VENDORS:
        keys = [fact.key for fact in facts_of(vendor.name)]
        each = [frozenset(), *(frozenset([key]) for key in keys), frozenset(keys)]
        yield from (Switched(vendor, friendly) for friendly in dict.fromkeys(each))


@pytest.fixture(params=_every_switch(), ids=lambda switched: switched.label)
def switched_harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """A filled table in memory and a helpdesk with the given answers."""
    vendor, friendly = request.param
    with open_in_memory(TICKETS, vendor, **SETTINGS) as harness:
        for key in friendly:
            harness.simulator.switch(key)
        harness.simulator.advance(SECONDS_PAST_GRACE)
        harness.sync()
        harness.assert_equal()
        yield harness


def test_changes_and_removals_leave_the_table_right(switched_harness: Harness) -> None:
    simulator = switched_harness.simulator
    simulator.change(35, spread_seconds=90)
    simulator.change(45, same_second=True)
    simulator.delete(3)
    simulator.change(5, same_second=True)
    simulator.mark_spam(2)
    into, *merged = [each.ticket_id for each in simulator.change(3)]
    simulator.merge(merged, into)
    simulator.create(4)
    simulator.fault("changes_while_paging", on="search", changes=5, advance_seconds=7.0, count=4)
    switched_harness.sync()
    switched_harness.sync_and_verify()
    assert not switched_harness.sync_and_verify().manifest.fallback


def test_reconciling_marks_what_is_gone_alone(switched_harness: Harness) -> None:
    simulator, vendor = switched_harness.simulator, switched_harness.vendor
    into, *merged = [each.ticket_id for each in simulator.change(2)]
    simulator.merge(merged, into)
    removed = {"merged": merged, "deleted": simulator.delete(2), "spam": simulator.mark_spam(1)}
    archived = simulator.archive(3)
    simulator.advance(HOUR)
    switched_harness.sync()
    switched_harness.reconcile(reconcile_most_gone_share=0.2)
    removals = vendor.removals_with(simulator.friendly())
    gone = {
        ticket_id
        for kind, ids in removed.items()
        for ticket_id in ids
        if removals[kind] is not DeletionVisibility.STAYS_LIVE
    }
    rows = switched_harness.tickets()
    assert {key for key, row in rows.items() if row["deletedTime"] is not None} == gone
    assert rows.keys() >= {*archived, *gone}


def test_lost_rows_come_back(switched_harness: Harness) -> None:
    """A ticket fetched by its id may have more fields than in a list."""
    switched_harness.columns = tuple(column for column in COLUMNS if column != "raw_json")
    switched_harness.simulator.advance(HOUR)
    ids = sorted(switched_harness.tickets())
    switched_harness.delete_rows(ids[:3])
    switched_harness.make_stale(ids[3:5])
    assert switched_harness.reconcile().unrepaired == 0
    switched_harness.assert_equal()
