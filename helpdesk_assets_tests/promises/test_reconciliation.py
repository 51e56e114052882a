"""Reconciliation finds and repairs what the sync has not seen.

A truncated listing deletes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, UserError
from helpdesk_assets.operations import inventory, reconcile
from helpdesk_assets.operations.reconcile import ReconcileReport
from helpdesk_assets_tests.harness import Harness
from helpdesk_assets_tests.promises.conftest import MakeHarness

HOUR = 3600.0


@pytest.fixture
def ids(harness: Harness) -> list[str]:
    """Ids of a helpdesk with a filled table, least recently changed first.

    All changes are older than the settle delay.
    """
    # Staged: the local warehouse is slower with rows in parameters.
    harness.sync(bigquery_small_batch_bytes=1000)
    harness.simulator.advance(HOUR)
    tickets = sorted(harness.simulator.truth(), key=lambda ticket: ticket.modified_time)
    return [ticket.ticket_id for ticket in tickets]


def differences_by_outcome(report: ReconcileReport) -> dict[tuple[str, str], int]:
    return {(each.kind.value, each.outcome.value): each.count for each in report.found}


def differences(harness: Harness) -> dict[str, tuple[str, str]]:
    return {
        row["ticket_id"]: (row["kind"], row["outcome"])
        for row in harness.rows("inventory_differences")
    }


@pytest.mark.parametrize("small_bytes", [1_000_000, 1], ids=["inline", "staged"])
def test_lost_and_stale_rows_are_found_repaired_and_published(
    harness: Harness, ids: list[str], small_bytes: int
) -> None:
    harness.delete_rows(ids[:7])
    harness.make_stale(ids[7:12])
    report = harness.reconcile(run_id="mender", bigquery_small_batch_bytes=small_bytes)
    assert differences_by_outcome(report) == {("absent", "repaired"): 7, ("stale", "repaired"): 5}
    assert (report.refused, report.unrepaired, report.row_counts.listed) == (None, 0, 60)
    harness.assert_equal()
    assert differences(harness) == {
        **dict.fromkeys(ids[:7], ("absent", "repaired")),
        **dict.fromkeys(ids[7:12], ("stale", "repaired")),
    }
    repaired = {row["ticket_id"] for row in harness.rows() if row["_run_id"] == "mender"}
    assert repaired == set(ids[:12])
    assert harness.backend.stagings() == []


def test_second_reconciliation_finds_nothing(harness: Harness, ids: list[str]) -> None:
    harness.delete_rows(ids[:3])
    harness.reconcile()
    before = harness.rows("raw_ticket_changes")
    report = harness.reconcile()
    assert (report.found, report.repaired.asked) == ((), 0)
    assert harness.rows("raw_ticket_changes") == before
    assert len({row["sweep_id"] for row in harness.rows("ticket_inventory")}) == 2


def test_reconciliation_leaves_the_watermark(harness: Harness, ids: list[str]) -> None:
    harness.delete_rows(ids[:3])
    before = harness.state()
    harness.reconcile()
    assert harness.state() == before


def test_before_the_first_run_there_is_nothing_to_compare(harness: Harness) -> None:
    with pytest.raises(UserError, match="no watermark yet"):
        harness.reconcile()
    assert harness.simulator.counters().total == 0


def test_dry_run_repairs_nothing(harness: Harness, ids: list[str]) -> None:
    harness.delete_rows(ids[:2])
    report = harness.reconcile(dry_run=True)
    assert differences_by_outcome(report) == {("absent", "found"): 2}
    assert harness.simulator.counters().of("ticket") == 0
    assert differences_by_outcome(harness.reconcile()) == {("absent", "repaired"): 2}
    harness.assert_equal()


def test_changes_left_to_the_next_sync_are_no_difference(harness: Harness, ids: list[str]) -> None:
    """Tickets changed or created since the watermark, which no run has missed yet."""
    harness.simulator.change(ids=ids[:5])
    harness.simulator.create(3)
    harness.simulator.advance(HOUR)
    assert harness.reconcile().found == ()
    harness.sync_and_verify()


def test_tickets_changed_during_the_inventory_are_no_difference(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their webhooks arrive before the comparison, and the watermark passes them as well."""

    def meanwhile() -> None:
        changed = harness.simulator.change(ids=ids[:5])
        harness.deliver([*changed, *harness.simulator.create(3)])
        harness.sync()

    _after_inventory(monkeypatch, meanwhile)
    assert harness.reconcile().found == ()


@pytest.mark.parametrize(
    ("late", "overlap", "counts"), [(60, 300, False), (1200, 300, True), (1200, 1800, False)]
)
def test_change_listed_late_is_no_difference(
    harness: Harness,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
    late: float,
    overlap: int,
    counts: bool,
) -> None:
    """The change was delivered, but the inventory's index does not have it yet.

    Any index may lag by a quarter of an hour, and by more if the overlap shows that this one does.
    """
    made = harness.simulator.create(2)
    harness.deliver(made)
    harness.simulator.advance(late)
    harness.sync()
    _truncate_listing(monkeypatch, {ticket.ticket_id for ticket in made})
    report = harness.reconcile(reconcile_most_gone_share=1.0, helpdesk_overlap_seconds=overlap)
    assert bool(report.found) is counts


def test_deleted_tickets_are_marked_after_each_is_checked(harness: Harness, ids: list[str]) -> None:
    gone = harness.simulator.delete(ids=ids[:3])
    before = harness.tickets()
    harness.simulator.advance(HOUR)
    report = harness.reconcile(reconcile_most_gone_share=0.05)
    assert differences_by_outcome(report) == {("gone", "deleted"): 3}
    assert harness.simulator.counters().of("ticket") == 3
    after = harness.tickets()
    for ticket_id in gone:
        at = after[ticket_id]["deletedTime"]
        assert at is not None
        assert after[ticket_id] == {**before[ticket_id], "deletedTime": at}
    assert {key: after[key] for key in ids[3:]} == {key: before[key] for key in ids[3:]}
    assert harness.reconcile().found == ()


def test_deletions_beyond_the_share_are_reported_and_left(harness: Harness, ids: list[str]) -> None:
    harness.simulator.delete(ids=ids[:3])
    harness.delete_rows(ids[10:12])
    before = harness.tickets()
    report = harness.reconcile(reconcile_most_gone_share=0.02)
    assert differences_by_outcome(report) == {("absent", "repaired"): 2, ("gone", "left"): 3}
    assert "3 of 58 tickets are not listed, more than the 2" in (report.refused or "")
    assert {key: harness.tickets()[key] for key in before} == before


@pytest.mark.parametrize("kept", [0, 40])
def test_silently_truncated_listing_deletes_nothing(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Even within the allowed share: each ticket is requested by its id."""
    before = harness.tickets()
    _truncate_listing(monkeypatch, set(ids[kept:]))
    report = harness.reconcile(reconcile_most_gone_share=1.0)
    assert harness.tickets() == before
    if kept:
        assert differences_by_outcome(report) == {("gone", "exists"): 20}
    else:
        assert "listed no ticket, and the table has 60" in (report.refused or "")
        assert harness.simulator.counters().of("ticket") == 0


def test_incomplete_listing_checks_and_deletes_nothing(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.simulator.delete(ids=ids[:1])
    before = harness.tickets()
    _replace_inventory(monkeypatch, lambda snapshot: replace(snapshot, total=60))
    report = harness.reconcile(reconcile_most_gone_share=1.0)
    assert "has 60 tickets and listed 59" in (report.refused or "")
    assert differences_by_outcome(report) == {("gone", "left"): 1}
    assert harness.tickets() == before


def test_rows_ahead_of_the_helpdesk_are_reported_and_left(harness: Harness, ids: list[str]) -> None:
    harness.make_ahead(ids[:2])
    before = harness.tickets()
    for _ in range(2):
        report = harness.reconcile()
        assert differences_by_outcome(report) == {("newer_here", "left"): 2}
        assert report.repaired.asked == 0
    assert harness.tickets() == before


def test_killed_midway_and_rerun(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.delete_rows(ids[:8])
    harness.simulator.delete(ids=ids[20:21])
    harness.simulator.fault("error_500", on="ticket", after=5)
    with pytest.raises(EndpointFailed):
        harness.reconcile(run_id="killed")
    harness.simulator.clear_faults()
    report = harness.reconcile()
    assert differences_by_outcome(report) == {("absent", "repaired"): 8, ("gone", "deleted"): 1}
    assert harness.reconcile().found == ()


def test_retry_takes_a_new_inventory(harness: Harness, ids: list[str]) -> None:
    harness.delete_rows(ids[:2])
    harness.simulator.fault("error_500", on="ticket")
    with pytest.raises(EndpointFailed):
        harness.reconcile(run_id="same")
    harness.simulator.clear_faults()
    harness.simulator.advance(2)
    assert differences_by_outcome(harness.reconcile(run_id="same", attempt=1)) == {
        ("absent", "repaired"): 2
    }
    harness.assert_equal()


def test_wrong_local_clock_causes_no_difference(make_harness: MakeHarness) -> None:
    """This machine's clock is two days ahead of the helpdesk's."""
    harness = make_harness(60)
    harness.simulator.set_offset(-2 * 86_400)
    harness.sync()
    harness.simulator.advance(HOUR)
    ids = [ticket.ticket_id for ticket in harness.simulator.truth()]
    harness.delete_rows(ids[:3])
    harness.simulator.delete(ids=ids[5:6])
    report = harness.reconcile()
    assert differences_by_outcome(report) == {("absent", "repaired"): 3, ("gone", "deleted"): 1}
    gone = harness.tickets()[ids[5]]
    assert abs((gone["deletedTime"] - harness.simulator.clock().now).total_seconds()) < 60
    assert harness.reconcile().found == ()


def _after_inventory(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    real = inventory.read_inventory

    def swept(*arguments: Any) -> Any:
        snapshot = real(*arguments)
        act()
        return snapshot

    monkeypatch.setattr(reconcile, "read_inventory", swept)


def _replace_inventory(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    real = inventory.read_inventory
    monkeypatch.setattr(reconcile, "read_inventory", lambda *given: change(real(*given)))


def _truncate_listing(monkeypatch: pytest.MonkeyPatch, left_out: set[str]) -> None:
    """Remove these tickets from the helpdesk's list, without any sign of it."""
    real = inventory._rows

    def rows(page: Any, snapshot: Any) -> list[bytes]:
        kept = tuple(line for line in page.entries if line.ticket_id not in left_out)
        return real(replace(page, entries=kept), snapshot)

    monkeypatch.setattr(inventory, "_rows", rows)
