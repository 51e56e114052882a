"""With every vendor, a ticket that may not be seen by its id is named and stops nothing."""

from __future__ import annotations

from helpdesk_assets_tests.conformance.conftest import STAGED, MakeHarness
from helpdesk_assets_tests.harness import COLUMNS

HOUR = 3600.0


def test_hidden_ticket_does_not_stop_a_reconciliation(make_harness: MakeHarness) -> None:
    harness = make_harness(60, **STAGED)
    harness.columns = tuple(column for column in COLUMNS if column != "raw_json")
    harness.sync()
    harness.simulator.advance(HOUR)
    ids = sorted(harness.tickets())[:3]
    harness.delete_rows(ids)
    harness.simulator.fault("error_500", status=403, on="ticket", count=1)
    report = harness.reconcile(helpdesk_concurrency=1)
    assert (report.repaired.merged, report.repaired.unreadable, report.unreadable) == (2, 1, 1)
    assert report.is_wrong
    assert any(ticket_id in report.repaired.unreadable_named[0] for ticket_id in ids)
    assert harness.reconcile().unrepaired == 0
    harness.assert_equal()
