"""With every vendor's inventory, a reconciliation finds all differences and nothing else."""

from __future__ import annotations

from helpdesk_assets.model.reconciliation import DifferenceKind
from helpdesk_assets_tests.conformance.conftest import STAGED, MakeHarness
from helpdesk_assets_tests.conformance.vendors import DeletionVisibility
from helpdesk_assets_tests.harness import COLUMNS

HOUR = 3600.0


def test_lost_and_stale_rows_are_repaired(make_harness: MakeHarness) -> None:
    harness = make_harness(60, **STAGED)
    # With some vendors, a ticket fetched by its id has more fields than in a list.
    harness.columns = tuple(column for column in COLUMNS if column != "raw_json")
    harness.sync()
    harness.simulator.advance(HOUR)
    oldest = sorted(harness.simulator.truth(), key=lambda ticket: ticket.modified_time)
    ids = [ticket.ticket_id for ticket in oldest]
    harness.delete_rows(ids[:3])
    harness.make_stale(ids[3:5])
    report = harness.reconcile()
    assert {each.kind: each.count for each in report.found} == {
        DifferenceKind.ABSENT: 3,
        DifferenceKind.STALE: 2,
    }
    assert report.unrepaired == 0
    harness.assert_equal()
    assert harness.reconcile().found == ()


def test_deleted_tickets_are_marked_permanently(make_harness: MakeHarness) -> None:
    """By the sync if the vendor reports deletions, else by reconciling; neither undoes it."""
    harness = make_harness(60, **STAGED)
    harness.sync()
    harness.simulator.advance(HOUR)
    removals = {"deleted": harness.simulator.delete(2), "spam": harness.simulator.mark_spam(1)}
    harness.simulator.advance(HOUR)
    harness.reconcile(reconcile_most_gone_share=0.1)
    harness.sync()
    harness.simulator.advance(HOUR)
    assert harness.reconcile(reconcile_most_gone_share=0.1).found == ()
    marked = {key for key, row in harness.tickets().items() if row["deletedTime"] is not None}
    assert marked == {
        ticket_id
        for end, left in removals.items()
        for ticket_id in left
        if harness.vendor.removals[end] is not DeletionVisibility.STAYS_LIVE
    }
