"""A reconciliation that was killed goes on with its inventory, and judges no less strictly."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.model.reconciliation import DifferenceOutcome, InventoryPart
from helpdesk_assets.operations import inventory
from helpdesk_assets.operations.reconcile import ReconcileReport
from helpdesk_assets_tests.harness import SECONDS_PAST_GRACE, Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY, MakeHarness

TICKETS, PAGE = 400, 20
HOUR = 3600.0
EACH_PAGE = timedelta(0)


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    made = make_harness(TICKETS)
    made.settings = made.settings.model_copy(update={"helpdesk_page_size": PAGE})
    made.sync()
    made.simulator.advance(HOUR)
    return made


def kill(harness: Harness, share: float) -> None:
    """End a reconciliation once it has listed this share of the tickets."""
    real = inventory._with_page

    def with_page(snapshot: Any, page: Any) -> Any:
        if snapshot.entries >= share * TICKETS:
            raise KeyboardInterrupt
        return real(snapshot, page)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory, "_with_page", with_page)
        with pytest.raises(KeyboardInterrupt):
            harness.reconcile(save_every=EACH_PAGE)


def unfinished(harness: Harness) -> InventoryPart | None:
    with harness.connected() as warehouse:
        return warehouse.inventories().unfinished()


def go_on(harness: Harness) -> tuple[int, ReconcileReport]:
    """Reconcile; returns the rows that the helpdesk served too."""
    harness.simulator.reset_counters()
    report = harness.reconcile()
    return harness.simulator.counters().tickets_served, report


def test_killed_reconciliation_goes_on(harness: Harness) -> None:
    kill(harness, 0.6)
    part = unfinished(harness)
    assert part is not None
    served, report = go_on(harness)
    assert served < 0.5 * TICKETS
    assert report.snapshot.sweep_id == part.snapshot.sweep_id
    assert report.snapshot.listed_at == part.snapshot.listed_at
    assert report.snapshot.run_id != part.snapshot.run_id
    assert report.row_counts.listed == TICKETS
    assert (report.found, report.refused) == ((), None)
    assert (unfinished(harness), harness.backend.stagings()) == (None, [])


def test_killed_twice_goes_on_twice(harness: Harness) -> None:
    kill(harness, 0.3)
    kill(harness, 0.6)
    served, report = go_on(harness)
    assert served < 0.5 * TICKETS
    assert report.row_counts.listed == TICKETS
    assert report.found == ()


def test_differences_of_both_parts_are_found(harness: Harness) -> None:
    ids = [ticket.ticket_id for ticket in harness.simulator.truth()]
    harness.delete_rows(ids[::40])
    gone = harness.simulator.delete(ids=ids[1::160])
    harness.simulator.advance(HOUR)
    kill(harness, 0.5)
    assert not [row for row in harness.rows() if row["deletedTime"] is not None]
    _, report = go_on(harness)
    assert {(each.kind, each.outcome, each.count) for each in report.found} == {
        ("absent", "repaired", 10),
        ("gone", "deleted", len(gone)),
    }


def test_changes_between_the_parts_are_no_difference(harness: Harness) -> None:
    kill(harness, 0.6)
    harness.simulator.advance(HOUR)
    harness.simulator.change(30, spread_seconds=60)
    harness.simulator.create(5)
    harness.simulator.delete(5)
    harness.simulator.advance(SECONDS_PAST_GRACE)
    harness.sync()
    before = {row["ticket_id"]: row for row in harness.rows()}
    _, report = go_on(harness)
    assert report.count() == report.count(None, DifferenceOutcome.DELETED)
    assert not report.is_wrong
    dead = {row["ticket_id"] for row in harness.rows() if row["deletedTime"] is not None}
    removed = {each.ticket_id for each in harness.simulator.truth(include_removed=True)}
    removed -= {each.ticket_id for each in harness.simulator.truth()}
    assert dead <= removed
    kept = {row["ticket_id"]: row for row in harness.rows()}
    assert {name: kept[name] for name in kept.keys() - removed} == {
        name: before[name] for name in before.keys() - removed
    }


def test_truncated_rest_of_an_inventory_deletes_nothing(harness: Harness) -> None:
    kill(harness, 0.6)
    real = inventory._rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory, "_rows", lambda page, snapshot: real(page, snapshot)[:2])
        _, report = go_on(harness)
    assert report.refused is not None
    assert report.is_wrong
    assert not [row for row in harness.rows() if row["deletedTime"] is not None]


@pytest.mark.parametrize("what", ["old", "another account", "unreadable"])
def test_part_of_another_inventory_is_not_gone_on_with(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    kill(harness, 0.6)
    part = unfinished(harness)
    assert part is not None
    changed = {
        "old": replace(part, saved_at=part.saved_at - inventory.RESUME_WITHIN),
        "another account": replace(part, account="another"),
        "unreadable": replace(part, resume="no position"),
    }[what]
    parts = harness.backend.dataset.parts  # type: ignore[attr-defined]
    parts[str(part.snapshot.staging)] = changed
    served, report = go_on(harness)
    assert served >= TICKETS
    assert report.snapshot.sweep_id != part.snapshot.sweep_id
    assert (report.row_counts.listed, report.found) == (TICKETS, ())


def test_lost_parts_end_the_run_and_the_next_starts_over(harness: Harness) -> None:
    kill(harness, 0.6)
    (staging,) = harness.backend.stagings()
    real = inventory._usable

    def lose(*arguments: Any) -> Any:
        found = real(*arguments)
        harness.backend.drop_staging(staging)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory, "_usable", lose)
        with pytest.raises(BatchGone):
            harness.reconcile()
    served, report = go_on(harness)
    assert served >= TICKETS
    assert (report.row_counts.listed, report.found) == (TICKETS, ())


def test_short_inventory_is_stored_at_once(harness: Harness) -> None:
    assert harness.reconcile().snapshot.staging is None
    report = harness.reconcile(save_every=EACH_PAGE)
    assert report.snapshot.staging is not None
    assert (report.row_counts.listed, report.found) == (TICKETS, ())
    assert harness.backend.stagings() == []


@pytest.mark.slow
@ON_BIGQUERY
def test_killed_reconciliation_goes_on_in_bigquery(harness: Harness) -> None:
    kill(harness, 0.8)
    assert len(harness.backend.stagings()) == 1
    harness.sync()
    harness.delete_rows([ticket.ticket_id for ticket in harness.simulator.truth()][::40])
    served, report = go_on(harness)
    assert served < 0.5 * TICKETS
    assert report.row_counts.listed == TICKETS
    assert report.count() == report.count(None, DifferenceOutcome.REPAIRED) == 10
    assert (unfinished(harness), harness.backend.stagings()) == (None, [])
