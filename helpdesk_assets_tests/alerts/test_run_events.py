"""Run events read from Dagster on SQLite, and their order."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from helpdesk_assets.alerts.findings import RunReport
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.defs.alerts.run_events import latest_cursors, read_reports
from helpdesk_assets.defs.alerts.run_reports import AlertScope, Watcher
from helpdesk_assets.defs.sync_identity import SYNC_TAG
from helpdesk_assets_tests.alerts.alert_env import AlertEnv


@pytest.fixture
def alert_env(instance: dg.DagsterInstance) -> AlertEnv:
    return AlertEnv(instance)


def test_definitions_determine_the_alert_scope(alert_env: AlertEnv) -> None:
    job = dg.define_asset_job("sync", selection="*")
    assert AlertScope.of(alert_env.assets, [job]) == alert_env.scope


def test_run_report_lists_assets_and_check_results(alert_env: AlertEnv) -> None:
    cursors = latest_cursors(alert_env.instance)
    alert_env.conditions.missed = 2
    run_id = alert_env.run()
    (report,), _ = read_reports(alert_env.instance, cursors, Watcher(alert_env.scope))

    assert (report.run_id, report.root_run_id, report.job) == (run_id, run_id, "sync")
    assert report.succeeded
    assert report.failure is None
    assert report.covers == alert_env.scope.assets | alert_env.scope.checks
    found = {finding.subject: finding for finding in report.checks}
    assert found.keys() == alert_env.scope.checks
    assert found["stored.counted"].severity is None
    gaps = found["stored.gaps"]
    assert (gaps.severity, gaps.text) == (Severity.ERROR, "2 of 40 changes were missed.")
    assert (gaps.counts, gaps.ticket_ids) == ((("missed", 2.0),), ("1000", "1001"))

    # The same run as another team's, with one of our checks in it.
    few = replace(alert_env.scope, jobs=frozenset(), checks=frozenset(("stored.counted",)))
    (shared,), _ = read_reports(alert_env.instance, cursors, Watcher(few))
    assert [finding.subject for finding in shared.checks] == ["stored.counted"]


@pytest.mark.parametrize("page_size", [1, 2, 25])
def test_runs_are_ordered_by_end_time_across_pages(alert_env: AlertEnv, page_size: int) -> None:
    """A failed run after three cancelled ones waits for its turn.

    With pages of one or two runs, it is read together with the first of them.
    """
    cursors = latest_cursors(alert_env.instance)
    ended = [
        alert_env.cancel(),
        alert_env.cancel(),
        alert_env.cancel(),
        alert_env.kill_run(),
        alert_env.cancel(),
    ]
    reports, behind = read_reports(
        alert_env.instance, cursors, Watcher(alert_env.scope), page_size=page_size
    )
    assert [report.run_id for report in reports] == ended
    assert read_reports(
        alert_env.instance, behind, Watcher(alert_env.scope), page_size=page_size
    ) == (
        [],
        behind,
    )


def test_runs_left_unread_at_timeout_are_read_next_tick(alert_env: AlertEnv) -> None:
    cursors = latest_cursors(alert_env.instance)
    ended = [alert_env.cancel(), alert_env.kill_run(), alert_env.cancel()]
    seen: list[RunReport] = []
    for _ in ended:
        passing = iter((0.0, 0.0, 99.0)).__next__
        reports, cursors = read_reports(
            alert_env.instance, cursors, Watcher(alert_env.scope), page_size=1, monotonic=passing
        )
        assert len(reports) == 1
        seen += reports
    assert [report.run_id for report in seen] == ended


def test_deleted_run_is_skipped(alert_env: AlertEnv) -> None:
    cursors = latest_cursors(alert_env.instance)
    alert_env.instance.delete_run(alert_env.kill_run())
    kept = alert_env.kill_run()
    reports, _ = read_reports(alert_env.instance, cursors, Watcher(alert_env.scope))
    assert [report.run_id for report in reports] == [kept]


def test_same_names_in_another_code_location_are_ignored(alert_env: AlertEnv) -> None:
    cursors = latest_cursors(alert_env.instance)
    theirs, scope = alert_env.kill_run(location="theirs"), alert_env.kill_run(location="scope")
    by_hand = alert_env.kill_run()
    reports, _ = read_reports(alert_env.instance, cursors, Watcher(alert_env.scope, "scope"))
    assert [report.run_id for report in reports] == [scope, by_hand]
    assert theirs not in (scope, by_hand)


def test_runs_of_another_sync_are_ignored(alert_env: AlertEnv) -> None:
    """Also where no code location tells them apart, as for runs from a shell."""
    cursors = latest_cursors(alert_env.instance)
    watcher = Watcher(alert_env.scope, "here", sync="p.d/tickets")
    alert_env.kill_run(tags={SYNC_TAG: "p.other/tickets"})
    alert_env.kill_run(location="here", tags={SYNC_TAG: "p.other/tickets"})
    ours = [
        alert_env.kill_run(tags={SYNC_TAG: "p.d/tickets"}),
        alert_env.kill_run(location="here"),
        alert_env.kill_run(),
    ]
    reports, _ = read_reports(alert_env.instance, cursors, watcher)
    assert [report.run_id for report in reports] == ours


def test_cancelled_run_is_neither_success_nor_failure(alert_env: AlertEnv) -> None:
    cursors = latest_cursors(alert_env.instance)
    cancelled = alert_env.cancel()
    (report,), _ = read_reports(alert_env.instance, cursors, Watcher(alert_env.scope))
    assert (report.run_id, report.succeeded, report.failure) == (cancelled, False, None)


def test_dead_run_process_is_reported_with_dagsters_reason(alert_env: AlertEnv) -> None:
    cursors = latest_cursors(alert_env.instance)
    alert_env.kill_run()
    (report,), _ = read_reports(alert_env.instance, cursors, Watcher(alert_env.scope))
    assert report.failure is not None
    assert report.failure.text == "The run failed. Run worker was killed."
