"""A ticket that was wrongly concluded to be deleted lives again after any good run."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.model.reconciliation import DifferenceKind
from helpdesk_assets_tests.good_runs import GOOD_RUNS
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness

HOUR = 3600.0


@pytest.fixture
def ids(harness: Harness) -> list[str]:
    harness.sync(bigquery_small_batch_bytes=1000)
    harness.simulator.advance(HOUR)
    harness.sync()
    return [ticket.ticket_id for ticket in harness.simulator.truth()]


@pytest.mark.parametrize("run", GOOD_RUNS)
def test_ticket_hidden_from_a_token_lives_again(harness: Harness, ids: list[str], run: str) -> None:
    """For a while the token had fewer rights: one ticket was not listed, and 404 by its id."""
    harness.simulator.hide(ids=[ids[0]])
    assert harness.reconcile(reconcile_most_gone_share=0.05).count(DifferenceKind.DELETED) == 1
    harness.simulator.show_hidden()
    assert harness.tickets()[ids[0]]["deletedTime"] is not None
    harness.simulator.advance(HOUR)
    GOOD_RUNS[run](harness, ids[0])
    harness.assert_equal()
    assert harness.reconcile().found == ()


def test_reconciliation_tells_of_the_dead_that_live(harness: Harness, ids: list[str]) -> None:
    harness.simulator.hide(ids=[ids[0]])
    harness.repair(ids[:1], mark_deleted=True)
    harness.simulator.show_hidden()
    harness.simulator.advance(HOUR)
    report = harness.reconcile()
    assert {each.kind: each.ticket_ids for each in report.found} == {DifferenceKind.DEAD: (ids[0],)}
    assert (report.unrepaired, report.is_wrong) == (0, False)


def test_change_of_a_ticket_thought_dead_revives_it(harness: Harness, ids: list[str]) -> None:
    harness.simulator.hide(ids=[ids[0]])
    harness.repair(ids[:1], mark_deleted=True)
    harness.simulator.show_hidden()
    harness.simulator.advance(HOUR)
    harness.simulator.change(ids=ids[:1])
    harness.sync_and_verify()


def test_young_ticket_is_not_marked_by_one_404(harness: Harness, ids: list[str]) -> None:
    """Its webhook was faster than the helpdesk's own reading side."""
    (young,) = harness.simulator.create(1)
    harness.sync()
    harness.simulator.hide(ids=[young.ticket_id])
    report = harness.repair([young.ticket_id], mark_deleted=True)
    assert (report.deleted, report.not_found) == (0, 1)
    harness.simulator.advance(SECONDS_PAST_GRACE * 2)
    assert harness.repair([young.ticket_id], mark_deleted=True).deleted == 1
    harness.simulator.show_hidden()


def test_repair_and_full_sync_rewrite_what_somebody_edited(
    harness: Harness, ids: list[str]
) -> None:
    for run in ("repair", "full"):
        harness.simulator.advance(HOUR)
        harness.backend.empty_column("subject", ids[:1])
        harness.backend.empty_column("deletedTime", ids[:1])
        harness.sync()
        assert harness.tickets()[ids[0]]["subject"] is None
        GOOD_RUNS[run](harness, ids[0])
        harness.assert_equal()
    assert harness.sync(RequestedMode.FULL).facts.unchanged == len(ids)


def test_repair_of_a_range_rewrites_what_somebody_edited(harness: Harness, ids: list[str]) -> None:
    harness.backend.empty_column("subject", ids)
    now: datetime = harness.simulator.clock().now
    harness.sync(since=now - timedelta(days=9999), until=now)
    assert harness.tickets()[ids[0]]["subject"] is None
    harness.sync(since=now - timedelta(days=9999), until=now, is_repair=True)
    harness.assert_equal()
