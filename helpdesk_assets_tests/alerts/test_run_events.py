"""What is read out of real runs on SQLite, and in which order."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from helpdesk_assets.alerts.findings import RunReport
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.defs.alerts.run_events import newest, read_on
from helpdesk_assets.defs.alerts.run_reports import Ours
from helpdesk_assets_tests.alerts.alert_env import Office


@pytest.fixture
def office(instance: dg.DagsterInstance) -> Office:
    return Office(instance)


def test_definitions_tell_what_is_ours(office: Office) -> None:
    job = dg.define_asset_job("sync", selection="*")
    assert Ours.of(office.assets, [job]) == office.ours


def test_a_run_says_what_it_covered_and_what_its_checks_found(office: Office) -> None:
    cursors = newest(office.instance)
    office.day.missed = 2
    run_id = office.run()
    (report,), _ = read_on(office.instance, cursors, office.ours, None)

    assert (report.run_id, report.root_run_id, report.job) == (run_id, run_id, "sync")
    assert report.succeeded
    assert report.failure is None
    assert report.covers == office.ours.assets | office.ours.checks
    found = {finding.subject: finding for finding in report.checks}
    assert found.keys() == office.ours.checks
    assert found["stored.counted"].severity is None
    gaps = found["stored.gaps"]
    assert (gaps.severity, gaps.text) == (Severity.ERROR, "2 of 40 changes were missed.")
    assert (gaps.counts, gaps.ticket_ids) == ((("missed", 2.0),), ("1000", "1001"))

    # The same run, were it another team's, with one check of ours in it.
    few = replace(office.ours, jobs=frozenset(), checks=frozenset(("stored.counted",)))
    (shared,), _ = read_on(office.instance, cursors, few, None)
    assert [finding.subject for finding in shared.checks] == ["stored.counted"]


@pytest.mark.parametrize("page", [1, 2, 25])
def test_runs_come_in_the_order_in_which_they_ended_whatever_a_page_holds(
    office: Office, page: int
) -> None:
    """Three that were cancelled and then one that failed: with a page of one or two, the failure
    is seen beside the first of them and must wait."""
    cursors = newest(office.instance)
    ended = [office.cancel(), office.cancel(), office.cancel(), office.die(), office.cancel()]
    reports, behind = read_on(office.instance, cursors, office.ours, None, page=page)
    assert [report.run_id for report in reports] == ended
    assert read_on(office.instance, behind, office.ours, None, page=page) == ([], behind)


def test_what_there_is_no_time_for_is_read_by_the_next_tick(office: Office) -> None:
    cursors = newest(office.instance)
    ended = [office.cancel(), office.die(), office.cancel()]
    seen: list[RunReport] = []
    for _ in ended:
        passing = iter((0.0, 0.0, 99.0)).__next__
        reports, cursors = read_on(
            office.instance, cursors, office.ours, None, page=1, seconds=passing
        )
        assert len(reports) == 1
        seen += reports
    assert [report.run_id for report in seen] == ended


def test_a_run_that_was_deleted_is_passed_over(office: Office) -> None:
    cursors = newest(office.instance)
    office.instance.delete_run(office.die())
    kept = office.die()
    reports, _ = read_on(office.instance, cursors, office.ours, None)
    assert [report.run_id for report in reports] == [kept]


def test_another_code_location_may_have_jobs_and_assets_of_the_same_names(office: Office) -> None:
    cursors = newest(office.instance)
    theirs, ours = office.die(location="theirs"), office.die(location="ours")
    by_hand = office.die()
    reports, _ = read_on(office.instance, cursors, office.ours, "ours")
    assert [report.run_id for report in reports] == [ours, by_hand]
    assert theirs not in (ours, by_hand)


def test_a_cancelled_run_is_neither_good_nor_failed(office: Office) -> None:
    cursors = newest(office.instance)
    cancelled = office.cancel()
    (report,), _ = read_on(office.instance, cursors, office.ours, None)
    assert (report.run_id, report.succeeded, report.failure) == (cancelled, False, None)


def test_a_run_whose_process_died_fails_with_what_dagster_says_of_it(office: Office) -> None:
    cursors = newest(office.instance)
    office.die()
    (report,), _ = read_on(office.instance, cursors, office.ours, None)
    assert report.failure is not None
    assert report.failure.text == "The run failed. Run worker was killed."
