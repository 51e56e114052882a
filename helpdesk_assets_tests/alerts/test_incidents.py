"""How runs become incidents, and when a notice is due."""

from __future__ import annotations

from datetime import timedelta

import pytest

from helpdesk_assets.alerts.findings import Finding, RunReport
from helpdesk_assets.alerts.incidents import (
    EMPTY,
    Incident,
    Incidents,
    NoticeKind,
    RetryState,
    apply,
    due_notice,
    prune,
)
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets_tests.alerts.samples import (
    BEGIN,
    DAY,
    FAILS,
    GAPS,
    GOOD,
    WARNS,
    incident,
    report,
)

DOWN = Finding("job helpdesk_sync", Severity.ERROR, "The run failed.")
BY_HAND = Finding("run by hand", Severity.ERROR, "The run failed.")


def after(*reports: RunReport, begun: Incidents = EMPTY) -> Incidents:
    for each in reports:
        begun = apply(begun, each)
    return begun


def test_passing_checks_open_no_incident() -> None:
    assert after(report(0, GOOD)) == {}


def test_incident_counts_runs_and_keeps_its_start() -> None:
    found = after(report(0, FAILS), report(2, WARNS))[GAPS]
    assert (found.since, found.runs, found.run_id) == (BEGIN, 2, "run-2")
    assert found.severity is Severity.WARN


def test_retries_count_as_one_run() -> None:
    found = after(report(0, FAILS), report(1, FAILS, root=0), report(2, FAILS, root=0))[GAPS]
    assert (found.runs, found.run_id) == (1, "run-2")


def test_first_passing_run_resolves_the_incident() -> None:
    found = after(report(0, FAILS), report(2, GOOD), report(4, GOOD))[GAPS]
    assert (found.severity, found.run_id) == (None, "run-2")
    assert found.resolved_at == BEGIN + timedelta(hours=2)


def test_run_without_the_check_resolves_nothing() -> None:
    assert after(report(0, FAILS), report(2))[GAPS].resolved_at is None


def test_recurring_failure_opens_a_new_incident() -> None:
    found = after(report(0, FAILS), report(2, GOOD), report(4, FAILS))[GAPS]
    assert (found.since, found.runs, found.resolved_at) == (BEGIN + timedelta(hours=4), 1, None)


def test_next_success_of_the_same_job_resolves_a_failed_run() -> None:
    failed = after(report(0, failure=DOWN))
    assert after(report(1, job="other", covers=("b",)), begun=failed)["job helpdesk_sync"].severity
    over = after(report(1, covers=()), begun=failed)["job helpdesk_sync"]
    assert over.resolved_at == BEGIN + timedelta(hours=1)


def test_failed_run_is_resolved_once_other_runs_cover_its_assets() -> None:
    failed = report(0, failure=BY_HAND, job="__ASSET_JOB", covers=("a", "b"))
    half = after(failed, report(1, job="__ASSET_JOB", covers=("a",)))
    assert half["run by hand"].resolved_at is None
    whole = after(report(2, job="__ASSET_JOB", covers=("b", "c")), begun=half)
    assert whole["run by hand"].resolved_at == BEGIN + timedelta(hours=2)


def test_ad_hoc_run_resolves_only_the_assets_it_covers() -> None:
    failed = report(0, failure=BY_HAND, job="__ASSET_JOB", covers=("a",))
    found = after(failed, report(1, job="__ASSET_JOB", covers=("c",)))
    assert found["run by hand"].resolved_at is None


def test_failed_run_resolves_nothing() -> None:
    found = after(report(0, failure=DOWN), report(1, failure=DOWN))
    assert (found["job helpdesk_sync"].resolved_at, found["job helpdesk_sync"].runs) == (None, 2)


def at(hours: float) -> timedelta:
    return timedelta(hours=hours)


def kinds(found: Incident, hours: float) -> NoticeKind | None:
    return due_notice(found, "chat", BEGIN + at(hours), DAY)


def test_incident_lifecycle_for_one_channel() -> None:
    found = incident(WARNS)
    assert kinds(found, 0) is NoticeKind.OPENED
    found = found.with_notice("chat", BEGIN)
    assert kinds(found, 23.9) is None
    assert kinds(found, 24) is NoticeKind.REMINDER
    found = found.with_notice("chat", BEGIN + at(24))
    assert kinds(found, 47.9) is None

    worse = apply({GAPS: found}, report(30, FAILS))[GAPS]
    assert kinds(worse, 30) is NoticeKind.ESCALATED
    worse = worse.with_notice("chat", BEGIN + at(30))
    eased = apply({GAPS: worse}, report(32, WARNS))[GAPS]
    assert kinds(eased, 32) is None

    over = apply({GAPS: eased}, report(34, GOOD))[GAPS]
    assert kinds(over, 34) is NoticeKind.RESOLVED
    over = over.with_notice("chat", BEGIN + at(34))
    assert kinds(over, 500) is None
    assert prune({GAPS: over}, ["chat"], 10) == {}

    again = apply({GAPS: over}, report(36, WARNS))[GAPS]
    assert kinds(again, 36) is NoticeKind.OPENED


def test_unnotified_channel_gets_one_message_for_a_resolved_incident() -> None:
    assert kinds(incident(over_after=at(2)), 3) is NoticeKind.RESOLVED_UNNOTICED


def test_channel_aware_of_the_start_is_not_notified_of_recurrence() -> None:
    last_notice = incident().with_notice("chat", BEGIN)
    again = after(report(2, GOOD), report(4, FAILS), begun={GAPS: last_notice})[GAPS]
    assert kinds(again, 4) is None
    assert kinds(again, 24) is NoticeKind.REMINDER


def test_failed_channel_is_paused() -> None:
    retry = incident().with_retry("chat", RetryState(2, BEGIN + at(1)))
    assert kinds(retry, 0.9) is None
    assert kinds(retry, 1) is NoticeKind.OPENED
    assert due_notice(retry, "mail", BEGIN, DAY) is NoticeKind.OPENED
    assert retry.with_notice("chat", BEGIN).retry == {}


def test_resolved_incident_is_retained_until_every_channel_is_notified() -> None:
    over = incident(over_after=at(2)).with_notice("chat", BEGIN + at(2))
    assert prune({GAPS: over}, ["chat", "mail"], 10) == {GAPS: over}
    assert prune({GAPS: over}, ["chat"], 10) == {}


def test_removed_channels_are_dropped_and_new_ones_notified() -> None:
    last_notice = incident().with_notice("old", BEGIN).with_retry("old", RetryState(1, BEGIN))
    (kept,) = prune({GAPS: last_notice}, ["new"], 10).values()
    assert (kept.last_notice, kept.retry) == ({}, {})
    assert due_notice(kept, "new", BEGIN, DAY) is NoticeKind.OPENED


@pytest.mark.parametrize("most", [1, 2])
def test_incident_limit_evicts_the_oldest(most: int) -> None:
    many = after(*(report(n, Finding(f"check {n}", Severity.WARN)) for n in range(4)))
    assert sorted(prune(many, [], most)) == [f"check {n}" for n in range(4 - most, 4)]
