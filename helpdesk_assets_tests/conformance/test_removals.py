"""Tickets that leave: deleted, marked as spam, merged; and those that only become old."""

from __future__ import annotations

from helpdesk_assets_tests.conformance.conftest import MakeRig
from helpdesk_assets_tests.harness import Rig


def test_tickets_that_leave_keep_their_rows(rig: Rig) -> None:
    deleted = rig.desk.delete(3)
    rig.desk.advance(10)
    spam = rig.desk.mark_spam(2)
    rig.desk.advance(10)
    into, *merged = [each.ticket_id for each in rig.desk.change(3)]
    rig.desk.merge(merged, into)
    rig.settle()
    left = {*deleted, *spam, *merged}
    assert left <= rig.tickets().keys()
    assert {each.ticket_id for each in rig.desk.truth(gone=True) if each.end} >= left


def test_tickets_that_leave_while_others_change(rig: Rig) -> None:
    """In the midst of a window, and among changes of the same second."""
    rig.desk.change(30, spread_seconds=60)
    rig.desk.delete(5)
    rig.desk.change(30, same_second=True)
    rig.desk.delete(5)
    rig.desk.mark_spam(1)
    report = rig.settle()
    assert not report.manifest.fallback


def test_tickets_archived_before_the_first_load(make_rig: MakeRig) -> None:
    rig = make_rig(80)
    rig.desk.archive(15)
    report = rig.sync()
    assert report.facts.inserted == 80
    rig.assert_equal()


def test_archiving_changes_no_row(make_rig: MakeRig) -> None:
    rig = make_rig(80)
    rig.sync()
    archived = rig.desk.archive(15)
    others = [each.ticket_id for each in rig.desk.truth() if each.ticket_id not in archived]
    rig.desk.change(ids=others[:10], spread_seconds=20)
    report = rig.settle()
    assert report.facts.updated == 10
