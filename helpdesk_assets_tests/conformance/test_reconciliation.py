"""With every vendor's inventory, a sweep finds what differs and nothing else."""

from __future__ import annotations

from helpdesk_assets.model.reconciliation import Kind
from helpdesk_assets_tests.conformance.conftest import STAGED, MakeRig
from helpdesk_assets_tests.conformance.vendors import Gone
from helpdesk_assets_tests.harness import COLUMNS

HOUR = 3600.0


def test_lost_and_older_rows_come_back(make_rig: MakeRig) -> None:
    rig = make_rig(60, **STAGED)
    # A ticket that is fetched by its id has more in it than a list gives, at some vendors.
    rig.columns = tuple(column for column in COLUMNS if column != "raw_json")
    rig.sync()
    rig.desk.advance(HOUR)
    oldest = sorted(rig.desk.truth(), key=lambda ticket: ticket.modified_time)
    ids = [ticket.ticket_id for ticket in oldest]
    rig.lose(ids[:3])
    rig.make_older(ids[3:5])
    report = rig.reconcile()
    assert {each.kind: each.count for each in report.found} == {Kind.ABSENT: 3, Kind.STALE: 2}
    assert report.unrepaired == 0
    rig.assert_equal()
    assert rig.reconcile().found == ()


def test_gone_tickets_are_marked_for_good(make_rig: MakeRig) -> None:
    """By the sync where the helpdesk tells of it, else by the sweep; neither undoes the other."""
    rig = make_rig(60, **STAGED)
    rig.sync()
    rig.desk.advance(HOUR)
    ends = {"deleted": rig.desk.delete(2), "spam": rig.desk.mark_spam(1)}
    rig.desk.advance(HOUR)
    rig.reconcile(reconcile_most_gone_share=0.1)
    rig.sync()
    rig.desk.advance(HOUR)
    assert rig.reconcile(reconcile_most_gone_share=0.1).found == ()
    marked = {key for key, row in rig.tickets().items() if row["deletedTime"] is not None}
    assert marked == {
        ticket_id
        for end, left in ends.items()
        for ticket_id in left
        if rig.vendor.ends[end] is not Gone.LIVES
    }
