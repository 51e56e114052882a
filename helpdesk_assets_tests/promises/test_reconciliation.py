"""What the sync has not seen is found and put right, and a listing that is cut deletes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from helpdesk_assets.errors import EndpointFailed, UserMistake
from helpdesk_assets.operations import reconcile as module
from helpdesk_assets.operations.reconcile import ReconcileReport
from helpdesk_assets_tests.harness import Rig
from helpdesk_assets_tests.promises.conftest import MakeRig

HOUR = 3600.0


@pytest.fixture
def ids(rig: Rig) -> list[str]:
    """Of a helpdesk with a filled table, those first that have not changed for longest; all of it
    has settled."""
    # Staged: the stand-in takes longer for rows in parameters.
    rig.sync(bigquery_small_batch_bytes=1000)
    rig.desk.advance(HOUR)
    tickets = sorted(rig.desk.truth(), key=lambda ticket: ticket.modified_time)
    return [ticket.ticket_id for ticket in tickets]


def told(report: ReconcileReport) -> dict[tuple[str, str], int]:
    return {(each.kind.value, each.outcome.value): each.count for each in report.found}


def differences(rig: Rig) -> dict[str, tuple[str, str]]:
    return {
        row["ticket_id"]: (row["kind"], row["outcome"]) for row in rig.rows("inventory_differences")
    }


@pytest.mark.parametrize("small_bytes", [1_000_000, 1], ids=["inline", "staged"])
def test_lost_and_older_rows_are_found_repaired_and_published(
    rig: Rig, ids: list[str], small_bytes: int
) -> None:
    rig.lose(ids[:7])
    rig.make_older(ids[7:12])
    report = rig.reconcile(run_id="mender", bigquery_small_batch_bytes=small_bytes)
    assert told(report) == {("absent", "repaired"): 7, ("stale", "repaired"): 5}
    assert (report.refused, report.unrepaired, report.sizes.listed) == (None, 0, 60)
    rig.assert_equal()
    assert differences(rig) == {
        **dict.fromkeys(ids[:7], ("absent", "repaired")),
        **dict.fromkeys(ids[7:12], ("stale", "repaired")),
    }
    repaired = {row["ticket_id"] for row in rig.rows() if row["_run_id"] == "mender"}
    assert repaired == set(ids[:12])
    assert not [item.table_id for item in rig.warehouse.list_tables() if "__stg_" in item.table_id]


def test_a_second_sweep_right_after_finds_nothing(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:3])
    rig.reconcile()
    before = rig.rows("raw_ticket_changes")
    report = rig.reconcile()
    assert (report.found, report.repaired.asked) == ((), 0)
    assert rig.rows("raw_ticket_changes") == before
    assert len({row["sweep_id"] for row in rig.rows("ticket_inventory")}) == 2


def test_the_watermark_stays(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:3])
    before = rig.state()
    rig.reconcile()
    assert rig.state() == before


def test_before_the_first_run_there_is_nothing_to_compare_with(rig: Rig) -> None:
    with pytest.raises(UserMistake, match="no watermark yet"):
        rig.reconcile()
    assert rig.desk.counters().total == 0


def test_looking_only_repairs_nothing(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:2])
    report = rig.reconcile(only_look=True)
    assert told(report) == {("absent", "found"): 2}
    assert rig.desk.counters().of("ticket") == 0
    assert told(rig.reconcile()) == {("absent", "repaired"): 2}
    rig.assert_equal()


def test_what_the_next_sync_is_to_see_is_no_difference(rig: Rig, ids: list[str]) -> None:
    """Tickets changed and made since the watermark, which nobody has missed yet."""
    rig.desk.change(ids=ids[:5])
    rig.desk.create(3)
    rig.desk.advance(HOUR)
    assert rig.reconcile().found == ()
    rig.settle()


def test_tickets_that_change_while_the_sweep_runs_are_no_differences(
    rig: Rig, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their webhooks come before the comparison, and the watermark passes them as well."""

    def meanwhile() -> None:
        changed = rig.desk.change(ids=ids[:5])
        rig.deliver([*changed, *rig.desk.create(3)])
        rig.sync()

    _after_the_sweep(monkeypatch, meanwhile)
    assert rig.reconcile().found == ()


@pytest.mark.parametrize(
    ("late", "overlap", "counts"), [(60, 300, False), (1200, 300, True), (1200, 1800, False)]
)
def test_a_change_that_the_listing_is_late_with_is_no_difference(
    rig: Rig,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
    late: float,
    overlap: int,
    counts: bool,
) -> None:
    """Delivered before the sweep, whose index has not got it yet. A quarter of an hour is given to
    any index, and more where the overlap says that this one lags by more."""
    made = rig.desk.create(2)
    rig.deliver(made)
    rig.desk.advance(late)
    rig.sync()
    _without(monkeypatch, {ticket.ticket_id for ticket in made})
    report = rig.reconcile(reconcile_most_gone_share=1.0, helpdesk_overlap_seconds=overlap)
    assert bool(report.found) is counts


def test_gone_tickets_are_marked_after_each_was_asked_for(rig: Rig, ids: list[str]) -> None:
    gone = rig.desk.delete(ids=ids[:3])
    before = rig.tickets()
    rig.desk.advance(HOUR)
    report = rig.reconcile(reconcile_most_gone_share=0.05)
    assert told(report) == {("gone", "deleted"): 3}
    assert rig.desk.counters().of("ticket") == 3
    after = rig.tickets()
    for ticket_id in gone:
        at = after[ticket_id]["deletedTime"]
        assert at is not None
        assert after[ticket_id] == {**before[ticket_id], "modifiedTime": at, "deletedTime": at}
    assert {key: after[key] for key in ids[3:]} == {key: before[key] for key in ids[3:]}
    assert rig.reconcile().found == ()


def test_more_gone_ones_than_the_share_are_left_and_told(rig: Rig, ids: list[str]) -> None:
    rig.desk.delete(ids=ids[:3])
    rig.lose(ids[10:12])
    before = rig.tickets()
    report = rig.reconcile(reconcile_most_gone_share=0.02)
    assert told(report) == {("absent", "repaired"): 2, ("gone", "left"): 3}
    assert "3 of 58 tickets are not listed, more than the 2" in (report.refused or "")
    assert {key: rig.tickets()[key] for key in before} == before


@pytest.mark.parametrize("kept", [0, 40])
def test_a_listing_that_is_cut_without_a_word_deletes_nothing(
    rig: Rig, ids: list[str], monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Even where the share would allow it: each ticket is asked for."""
    before = rig.tickets()
    _without(monkeypatch, set(ids[kept:]))
    report = rig.reconcile(reconcile_most_gone_share=1.0)
    assert rig.tickets() == before
    if kept:
        assert told(report) == {("gone", "exists"): 20}
    else:
        assert "listed no ticket, and the table has 60" in (report.refused or "")
        assert rig.desk.counters().of("ticket") == 0


def test_where_the_helpdesk_counts_more_than_it_listed_nothing_is_asked_nor_deleted(
    rig: Rig, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.desk.delete(ids=ids[:1])
    before = rig.tickets()
    _changed(monkeypatch, lambda sweep: replace(sweep, total=60))
    report = rig.reconcile(reconcile_most_gone_share=1.0)
    assert "has 60 tickets and listed 59" in (report.refused or "")
    assert told(report) == {("gone", "left"): 1}
    assert rig.tickets() == before


def test_newer_here_is_told_and_never_put_back(rig: Rig, ids: list[str]) -> None:
    rig.make_newer(ids[:2])
    before = rig.tickets()
    for _ in range(2):
        report = rig.reconcile()
        assert told(report) == {("newer_here", "left"): 2}
        assert report.repaired.asked == 0
    assert rig.tickets() == before


def test_killed_in_the_middle_and_run_again(
    rig: Rig, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.lose(ids[:8])
    rig.desk.delete(ids=ids[20:21])
    rig.desk.fault("error_500", on="ticket", after=5)
    with pytest.raises(EndpointFailed):
        rig.reconcile(run_id="killed")
    rig.desk.clear_faults()
    report = rig.reconcile()
    assert told(report) == {("absent", "repaired"): 8, ("gone", "deleted"): 1}
    assert rig.reconcile().found == ()


def test_a_retry_of_the_same_run_sweeps_anew(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:2])
    rig.desk.fault("error_500", on="ticket")
    with pytest.raises(EndpointFailed):
        rig.reconcile(run_id="same")
    rig.desk.clear_faults()
    rig.desk.advance(2)
    assert told(rig.reconcile(run_id="same", attempt=1)) == {("absent", "repaired"): 2}
    rig.assert_equal()


def test_a_wrong_local_clock_makes_no_difference(make_rig: MakeRig) -> None:
    """This machine is two days ahead of the helpdesk."""
    rig = make_rig(60)
    rig.desk.set_offset(-2 * 86_400)
    rig.sync()
    rig.desk.advance(HOUR)
    ids = [ticket.ticket_id for ticket in rig.desk.truth()]
    rig.lose(ids[:3])
    rig.desk.delete(ids=ids[5:6])
    report = rig.reconcile()
    assert told(report) == {("absent", "repaired"): 3, ("gone", "deleted"): 1}
    gone = rig.tickets()[ids[5]]
    assert abs((gone["deletedTime"] - rig.desk.clock().now).total_seconds()) < 60
    assert rig.reconcile().found == ()


def test_old_sweeps_are_forgotten_and_what_they_found_is_not(rig: Rig, ids: list[str]) -> None:
    rig.lose(ids[:1])
    first = rig.reconcile().sweep
    rig.desk.advance(16 * 86_400)
    second = rig.reconcile().sweep
    assert {row["sweep_id"] for row in rig.rows("ticket_inventory")} == {second.sweep_id}
    assert {row["sweep_id"] for row in rig.rows("inventory_differences")} == {first.sweep_id}


def _after_the_sweep(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    real = module.take_inventory

    def swept(*arguments: Any) -> Any:
        sweep = real(*arguments)
        act()
        return sweep

    monkeypatch.setattr(module, "take_inventory", swept)


def _changed(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    real = module.take_inventory
    monkeypatch.setattr(module, "take_inventory", lambda *given: change(real(*given)))


def _without(monkeypatch: pytest.MonkeyPatch, left_out: set[str]) -> None:
    """The helpdesk's list lacks these tickets, and nothing says so."""
    real = module._rows

    def rows(page: Any, sweep: Any) -> list[bytes]:
        kept = tuple(line for line in page.lines if line.ticket_id not in left_out)
        return real(replace(page, lines=kept), sweep)

    monkeypatch.setattr(module, "_rows", rows)
