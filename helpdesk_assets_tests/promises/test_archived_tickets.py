"""Tickets that Freshdesk archives: none is lost, none is marked as deleted, by whatever runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.checks.inventory import inventory_matches
from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.extract.plan import RequestedMode
from helpdesk_assets.local.simulator.dialects.freshdesk import FreshdeskDialect
from helpdesk_assets.model.reconciliation import DifferenceKind, DifferenceOutcome
from helpdesk_assets.operations import archive
from helpdesk_assets_tests.harness import Harness
from helpdesk_assets_tests.promises.conftest import DAY, NUMBERS, MakeDesk

WEEK = 7 * DAY


@pytest.fixture
def without_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", False)


def marked(desk: Harness) -> set[str]:
    return {key for key, row in desk.tickets().items() if row["deletedTime"] is not None}


def archive_old(desk: Harness) -> list[str]:
    return desk.simulator.archive(ids=NUMBERS[:10])


@pytest.mark.parametrize("plan_has_archive", [True, False])
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_weeks_of_archiving_mark_nothing_and_stay_green(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, plan_has_archive: bool, share: float
) -> None:
    """Not even by the share that a reader of the guide may raise."""
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", plan_has_archive)
    desk = make_desk()
    desk.sync()
    for week in range(3):
        desk.simulator.archive(ids=NUMBERS[3 * week : 3 * week + 3])
        desk.simulator.advance(WEEK)
        desk.sync()
        report = desk.reconcile(reconcile_most_gone_share=share)
        assert (report.found, report.refused) == ((), None)
        assert inventory_matches(report).passed
    assert marked(desk) == set()
    desk.assert_equal()


def test_ticket_archived_early_is_asked_for_and_lives(make_desk: MakeDesk) -> None:
    """When exactly Freshdesk archives is not documented."""
    desk = make_desk()
    desk.sync()
    desk.simulator.archive(ids=["40"])
    desk.simulator.advance(WEEK)
    report = desk.reconcile(reconcile_most_gone_share=1.0)
    assert report.count(DifferenceKind.DELETED, DifferenceOutcome.STILL_EXISTS) == 1
    assert (marked(desk), report.refused) == (set(), None)


@pytest.mark.parametrize("plan_has_archive", [True, False])
def test_many_tickets_archived_early_are_no_error(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, plan_has_archive: bool
) -> None:
    """More than may be marked at once: those that are gone count, not those that are not listed."""
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", plan_has_archive)
    desk = make_desk()
    desk.sync()
    desk.simulator.archive(ids=NUMBERS[30:])
    desk.simulator.advance(WEEK)
    for _ in range(2):
        report = desk.reconcile()
        assert report.refused is None
        assert inventory_matches(report).passed
    assert marked(desk) == set()


def test_many_purged_tickets_are_still_refused(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.sync()
    desk.simulator.hide(ids=NUMBERS[30:])
    desk.simulator.advance(WEEK)
    report = desk.reconcile()
    assert "10 of 40 tickets are not listed, more than the 1" in str(report.refused)
    assert marked(desk) == set()


def test_missing_ticket_is_not_marked_where_nothing_proves_it(
    make_desk: MakeDesk, without_archive: None
) -> None:
    desk = make_desk()
    desk.sync()
    desk.simulator.archive(ids=["39", "40"])
    desk.simulator.advance(WEEK)
    assert desk.repair(["39"], mark_deleted=True).unproven == 1
    report = desk.reconcile(reconcile_most_gone_share=1.0)
    assert report.count(DifferenceKind.DELETED, DifferenceOutcome.UNRESOLVED) == 2
    assert report.repaired.unproven == 2
    check = inventory_matches(report)
    assert check.passed
    assert "2 tickets are not found, which proves no deletion" in check.description
    assert "may be archived: its plan lets nobody ask" in check.description
    assert marked(desk) == set()


@pytest.mark.parametrize("plan_has_archive", [True, False])
def test_deleted_tickets_are_marked_all_the_same(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, plan_has_archive: bool
) -> None:
    """Of whatever age: the lists of deleted tickets and spam prove it, also what a sync missed."""
    monkeypatch.setattr(FreshdeskDialect, "plan_has_archive", plan_has_archive)
    desk = make_desk()
    desk.sync()
    gone = {*desk.simulator.delete(ids=["1", "20"]), *desk.simulator.mark_spam(ids=["2", "21"])}
    desk.simulator.advance(WEEK)
    desk.set_watermark(desk.simulator.clock().now)
    report = desk.reconcile(reconcile_most_gone_share=1.0)
    assert report.count(DifferenceKind.DELETED, DifferenceOutcome.DELETED) == 4
    assert marked(desk) == gone
    desk.simulator.restore(sorted(gone))
    desk.simulator.advance(WEEK)
    desk.reconcile()
    assert marked(desk) == set()


def test_archived_ticket_marked_by_mistake_lives_again(make_desk: MakeDesk) -> None:
    """A token saw less for a while, and then Freshdesk archived the ticket."""
    desk = make_desk()
    desk.sync()
    desk.simulator.hide(ids=["1"])
    assert desk.repair(["1"], mark_deleted=True).deleted == 1
    desk.simulator.show_hidden()
    desk.simulator.archive(ids=["1"])
    desk.simulator.advance(DAY)
    assert marked(desk) == {"1"}
    desk.repair(["1"])
    assert marked(desk) == set()


def test_purged_ticket_is_marked_where_the_archive_proves_it(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.sync()
    desk.simulator.hide(ids=["40"])
    desk.simulator.advance(DAY)
    desk.reconcile(reconcile_most_gone_share=1.0)
    assert marked(desk) == {"40"}


def test_first_load_tells_how_many_ids_are_not_listed(make_desk: MakeDesk) -> None:
    desk = make_desk()
    archive_old(desk)
    desk.sync()
    check = inventory_matches(desk.reconcile())
    assert check.passed
    assert "10 of the 40 ids are not listed. Archived tickets are in no list" in check.description
    assert "FRESHDESK_ARCHIVE=true" in check.description
    assert check.facts["not_listed"] == 10
    assert len(desk.tickets()) == 30


def test_archived_tickets_are_added_and_each_is_asked_for_once(make_desk: MakeDesk) -> None:
    desk = make_desk(freshdesk_archive=True, webhooks_enabled=True)
    archive_old(desk)
    desk.sync()
    desk.simulator.reset_counters()
    report = desk.reconcile()
    assert report.archive is not None
    assert (report.archive.asked_up_to, report.archive.repaired.merged) == (40, 10)
    # One call each, one that asks whether the plan has the archive, and those beyond the newest.
    assert desk.simulator.counters().of("ticket") == 11 + archive.AHEAD
    assert inventory_matches(report).passed
    assert "10 archived tickets were added." in inventory_matches(report).description
    assert desk.missed() == set()
    desk.assert_equal()
    desk.simulator.advance(WEEK)
    desk.simulator.reset_counters()
    report = desk.reconcile()
    assert desk.simulator.counters().of("ticket") == 1 + archive.AHEAD
    assert report.found == ()
    desk.assert_equal()


def test_archive_of_a_dry_run_is_only_counted(make_desk: MakeDesk) -> None:
    desk = make_desk(freshdesk_archive=True)
    archive_old(desk)
    desk.sync()
    report = desk.reconcile(dry_run=True)
    assert report.archive is not None
    assert (report.archive.not_listed, report.archive.asked_up_to) == (10, None)
    assert len(desk.tickets()) == 30


def test_interrupted_archive_goes_on_where_it_was(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "BLOCK", 4)
    desk = make_desk(freshdesk_archive=True, helpdesk_concurrency=1)
    archive_old(desk)
    desk.sync()
    # One call asks for the plan, four are of the first block.
    desk.simulator.fault("error_500", on="ticket", after=6)
    with pytest.raises(EndpointFailed):
        desk.reconcile()
    assert {"1", "2", "3", "4"} <= desk.tickets().keys()
    assert len(desk.tickets()) == 34
    desk.simulator.clear_faults()
    desk.simulator.reset_counters()
    report = desk.reconcile()
    assert report.archive is not None
    assert report.archive.repaired.merged == 6
    assert desk.simulator.counters().of("ticket") == 7 + archive.AHEAD
    desk.assert_equal()


def test_archive_stops_in_time_and_goes_on_later(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "BLOCK", 4)
    desk = make_desk(freshdesk_archive=True)
    archive_old(desk)
    desk.sync()
    report = desk.reconcile(longest_archive=timedelta(0))
    assert report.archive is not None
    assert report.archive.asked_up_to == 0
    report = desk.reconcile()
    assert report.archive is not None
    assert report.archive.asked_up_to == 40


def test_table_made_anew_gets_its_archived_tickets_again(make_desk: MakeDesk) -> None:
    desk = make_desk(freshdesk_archive=True)
    archive_old(desk)
    desk.sync()
    desk.reconcile()
    desk.backend.drop_table("tickets")
    desk.sync()
    assert len(desk.tickets()) == 30
    desk.reconcile()
    desk.assert_equal()


def test_archive_is_not_asked_where_the_plan_lacks_it(
    make_desk: MakeDesk, without_archive: None
) -> None:
    desk = make_desk(freshdesk_archive=True)
    archive_old(desk)
    desk.sync()
    report = desk.reconcile()
    assert report.archive is not None
    assert report.archive.asked_up_to is None
    assert "its plan lets nobody ask" in str(report.archive.stopped)
    assert desk.simulator.counters().of("ticket") == 1
    assert "None was asked for" in inventory_matches(report).description


def test_agent_with_a_scope_marks_nothing(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(freshdesk_archive=True)
    desk.sync()
    desk.simulator.hide(ids=["39", "40"])
    monkeypatch.setattr(FreshdeskDialect, "ticket_scope", 2)
    desk.simulator.advance(WEEK)
    report = desk.reconcile(reconcile_most_gone_share=1.0)
    assert "sees the tickets of its groups only" in str(report.refused)
    assert report.archive is not None
    assert "sees the tickets of its groups only" in str(report.archive.stopped)
    check = inventory_matches(report)
    assert (check.passed, check.severity) == (False, Severity.ERROR)
    assert "No row was marked as deleted: the agent of HELPDESK_API_TOKEN" in check.description
    assert marked(desk) == set()


def test_sync_and_full_sync_leave_archived_rows_alone(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.sync()
    before = desk.tickets()
    archive_old(desk)
    desk.simulator.advance(WEEK)
    desk.sync()
    desk.sync(RequestedMode.FULL)
    assert desk.tickets() == before
