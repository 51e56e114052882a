"""Tickets that are deleted, marked as spam or merged, and tickets that are archived."""

from __future__ import annotations

from helpdesk_assets_tests.conformance.conftest import MakeHarness
from helpdesk_assets_tests.harness import Harness


def test_removed_tickets_keep_their_rows(harness: Harness) -> None:
    deleted = harness.simulator.delete(3)
    harness.simulator.advance(10)
    spam = harness.simulator.mark_spam(2)
    harness.simulator.advance(10)
    into, *merged = [each.ticket_id for each in harness.simulator.change(3)]
    harness.simulator.merge(merged, into)
    harness.sync_and_verify()
    left = {*deleted, *spam, *merged}
    assert left <= harness.tickets().keys()
    assert {
        each.ticket_id
        for each in harness.simulator.truth(include_removed=True)
        if each.removal_kind
    } >= left


def test_tickets_removed_while_others_change(harness: Harness) -> None:
    """In the middle of a window, among changes of the same second."""
    harness.simulator.change(30, spread_seconds=60)
    harness.simulator.delete(5)
    harness.simulator.change(30, same_second=True)
    harness.simulator.delete(5)
    harness.simulator.mark_spam(1)
    report = harness.sync_and_verify()
    assert not report.manifest.fallback


def test_tickets_archived_before_the_first_load(make_harness: MakeHarness) -> None:
    harness = make_harness(80)
    harness.simulator.archive(15)
    report = harness.sync()
    assert report.facts.inserted == 80
    harness.assert_equal()


def test_archiving_changes_no_row(make_harness: MakeHarness) -> None:
    harness = make_harness(80)
    harness.sync()
    archived = harness.simulator.archive(15)
    others = [
        each.ticket_id for each in harness.simulator.truth() if each.ticket_id not in archived
    ]
    harness.simulator.change(ids=others[:10], spread_seconds=20)
    report = harness.sync_and_verify()
    assert report.facts.updated == 10
