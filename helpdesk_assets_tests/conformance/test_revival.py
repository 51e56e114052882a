"""With every vendor, a ticket that the table has as deleted, and that lives, lives again."""

from __future__ import annotations

from helpdesk_assets_tests.conformance.conftest import STAGED, MakeHarness
from helpdesk_assets_tests.good_runs import GOOD_RUNS
from helpdesk_assets_tests.harness import COLUMNS, Harness

HOUR = 3600.0


def test_hidden_ticket_lives_again_after_any_run(make_harness: MakeHarness) -> None:
    """For a while the token did not see it. It has not changed since."""
    harness, ids = filled(make_harness)
    for ticket_id, run in zip(ids, GOOD_RUNS.values(), strict=False):
        harness.simulator.advance(HOUR)
        harness.simulator.hide(ids=[ticket_id])
        assert harness.repair([ticket_id], mark_deleted=True).deleted == 1
        assert harness.tickets()[ticket_id]["deletedTime"] is not None
        harness.simulator.show_hidden()
        harness.simulator.advance(HOUR)
        run(harness, ticket_id)
        harness.assert_equal()


def test_ticket_restored_from_the_trash_lives_again(make_harness: MakeHarness) -> None:
    """Restoring leaves its modified time alone."""
    harness, ids = filled(make_harness)
    for ticket_id, run in zip(ids, GOOD_RUNS.values(), strict=False):
        harness.simulator.delete(ids=[ticket_id])
        harness.simulator.advance(HOUR)
        harness.sync()
        harness.repair([ticket_id], mark_deleted=True)
        assert harness.tickets()[ticket_id]["deletedTime"] is not None
        harness.simulator.restore([ticket_id])
        harness.simulator.advance(HOUR)
        run(harness, ticket_id)
        assert harness.tickets()[ticket_id]["deletedTime"] is None


def filled(make_harness: MakeHarness) -> tuple[Harness, list[str]]:
    harness = make_harness(30, **STAGED)
    # With some vendors, a ticket fetched by its id has more fields than in a list.
    harness.columns = tuple(column for column in COLUMNS if column != "raw_json")
    harness.sync()
    return harness, [ticket.ticket_id for ticket in harness.simulator.truth()]
