"""Texts and severities of the checks of webhooks and of the overlap."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.checks.evidence import CheckResult, CheckThresholds, Evidence, Severity
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.model.webhooks import JudgedBy, MissedUpdate, NotJudged, WebhookCounts
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.checks.test_tables import GOOD, one, with_facts

WEBHOOK_COUNTS = WebhookCounts(
    judged_by=JudgedBy.EVENTS,
    judged=40,
    events=40,
    latency_p50=2.0,
    latency_p95=9.0,
    last_event=NOON - timedelta(minutes=6),
)


def run_check(name: str, facts: RunCounts | None = None, **thresholds: object) -> CheckResult:
    evidence = with_facts(facts or RunCounts(rows=40))
    return one(name, replace(evidence, thresholds=replace(CheckThresholds(), **thresholds)))  # type: ignore[arg-type]


def lost(count: int) -> tuple[MissedUpdate, ...]:
    return tuple(MissedUpdate(str(i), NOON, "missed", 600.0 - i) for i in range(count))


def gaps(missed: int, changes: int, **thresholds: object) -> CheckResult:
    facts = RunCounts(
        missed_total=missed,
        missed=lost(missed),
        missed_since=NOON - timedelta(hours=1) if missed else None,
        webhooks=replace(WEBHOOK_COUNTS, judged=changes),
    )
    return run_check("webhook_gaps", facts, **thresholds)


@pytest.mark.parametrize(
    ("missed", "changes", "passed", "severity"),
    [
        (0, 40, True, Severity.WARN),
        (1, 40, False, Severity.WARN),
        (8, 40, False, Severity.WARN),
        (9, 40, False, Severity.ERROR),
        # Both share and count have to be reached, with enough changes.
        (2, 3, False, Severity.WARN),
        (4, 9, False, Severity.WARN),
        (4, 10, False, Severity.ERROR),
    ],
)
def test_severity_depends_on_count_and_share(
    missed: int, changes: int, passed: bool, severity: Severity
) -> None:
    check_result = gaps(missed, changes)
    assert (check_result.passed, check_result.severity) == (passed, severity)
    assert (check_result.facts["missed"], check_result.facts["changes"]) == (missed, changes)
    assert check_result.facts["share"] == missed / changes


@pytest.mark.parametrize(
    ("thresholds", "passed", "severity"),
    [
        ({"gap_warn_count": 5}, True, Severity.WARN),
        ({"gap_error_share": 0.05}, False, Severity.ERROR),
        ({"gap_error_share": 0.05, "gap_error_count": 5}, False, Severity.WARN),
        ({"gap_error_share": 0.05, "minimum_changes": 41}, False, Severity.WARN),
    ],
)
def test_each_limit_is_configurable(
    thresholds: dict[str, object], passed: bool, severity: Severity
) -> None:
    check_result = gaps(4, 40, **thresholds)
    assert (check_result.passed, check_result.severity) == (passed, severity)


def test_report_lists_ten_tickets_and_the_earliest_time() -> None:
    facts = gaps(12, 40).facts
    assert facts["ticket_ids"] == [str(number) for number in range(10)]
    assert facts["since"] == NOON - timedelta(hours=1)
    assert facts["lag_max_seconds"] == 600
    assert facts["missed_named"] == lost(12)


def test_by_table_the_share_is_of_judged_changes() -> None:
    by_table = WebhookCounts(JudgedBy.TABLE, judged=10)
    facts = RunCounts(inserted=40, missed_total=3, missed=lost(3), webhooks=by_table)
    check_result = run_check("webhook_gaps", facts)
    assert (check_result.facts["changes"], check_result.severity) == (10, Severity.ERROR)


@pytest.mark.parametrize(
    ("not_judged", "text"),
    [
        (None, "Not judged: no run has closed yet."),
        (NotJudged.FIRST_LOAD, "Not judged: first load."),
        (NotJudged.NO_EVENT, "Not judged: no webhook has been stored yet."),
        (
            NotJudged.SWITCHED_OFF,
            "Not judged: webhooks are switched off (WEBHOOKS_ENABLED=false).",
        ),
        (
            NotJudged.TABLE_LOST,
            "Not judged: full load, since the table was not the one of the watermark.",
        ),
    ],
)
def test_nothing_is_claimed_that_was_not_judged(not_judged: NotJudged | None, text: str) -> None:
    counts = WebhookCounts(not_judged=not_judged)
    for name in ("webhook_gaps", "webhook_silence", "webhook_latency"):
        check_result = run_check(name, RunCounts(rows=40, inserted=40, webhooks=counts))
        assert (check_result.passed, check_result.description) == (True, text)
        known = {k: v for k, v in check_result.facts.items() if isinstance(v, int | float)}
        assert known == {}
    assert run_check("overlap_too_small", RunCounts(webhooks=counts)).facts["webhook_only"] is None


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"judged": 40}, "Webhooks delivered every change in time."),
        ({"judged": 40, "late": 2}, "Webhooks delivered every change, 2 changes late."),
        ({"judged": 0}, "Nothing was judged: this run found no new change."),
        (
            {"judged": 0, "pending": 20},
            "20 changes are younger than 300 s (WEBHOOK_GRACE_SECONDS); the next run judges them.",
        ),
        (
            {"judged": 3, "pending": 1},
            (
                "Webhooks delivered every change in time. 1 change is younger than 300 s "
                "(WEBHOOK_GRACE_SECONDS); the next run judges it."
            ),
        ),
        (
            {"judged_by": JudgedBy.TABLE, "judged": 0, "pending": 20},
            (
                "20 changes are younger than 300 s (WEBHOOK_GRACE_SECONDS); by the table alone, "
                "no run can judge them."
            ),
        ),
    ],
)
def test_gaps_claim_only_what_was_judged(counts: dict[str, Any], text: str) -> None:
    facts = RunCounts(inserted=40, webhooks=replace(WEBHOOK_COUNTS, **counts))
    check_result = run_check("webhook_gaps", facts)
    assert (check_result.passed, check_result.description) == (True, text)
    assert check_result.facts["changes"] == counts["judged"]
    assert check_result.facts["pending"] == counts.get("pending", 0)
    assert (check_result.facts["share"] is None) == (counts["judged"] == 0)


def silence(changes: int, minutes: float, **changed: Any) -> CheckResult:
    webhook_counts = replace(
        WEBHOOK_COUNTS,
        changes_since_last_event=changes,
        first_change_since_last_event=NOON - timedelta(minutes=minutes),
        **changed,
    )
    return run_check("webhook_silence", RunCounts(webhooks=webhook_counts))


@pytest.mark.parametrize(
    ("changes", "minutes", "passed"),
    [(3, 61, False), (2, 61, True), (3, 59, True), (200, 600, False)],
)
def test_silence_is_many_changes_without_any_event(
    changes: int, minutes: float, passed: bool
) -> None:
    check_result = silence(changes, minutes)
    assert (check_result.passed, check_result.severity) == (passed, Severity.ERROR)
    assert check_result.facts["changes_unheard"] == changes
    assert check_result.facts["silent_seconds"] == minutes * 60


def test_silence_reports_the_last_event_time() -> None:
    assert "the last event came at 2026-11-01 11:54:00 UTC" in silence(3, 90).description
    assert "before this week or never" in silence(3, 90, last_event=None).description


def test_without_events_there_is_no_silence() -> None:
    for judged_by in (JudgedBy.TABLE, JudgedBy.NOTHING):
        facts = RunCounts(missed_total=50, webhooks=WebhookCounts(judged_by, judged=50))
        check_result = run_check("webhook_silence", facts)
        assert (check_result.passed, check_result.description[:11]) == (True, "Not judged:")


@pytest.mark.parametrize(
    ("p95", "events", "passed"),
    [(59.0, 40, True), (61.0, 40, False), (61.0, 9, True), (None, 40, True)],
)
def test_latency_needs_enough_events(p95: float | None, events: int, passed: bool) -> None:
    webhook_counts = replace(WEBHOOK_COUNTS, latency_p95=p95, events=events)
    check_result = run_check("webhook_latency", RunCounts(webhooks=webhook_counts))
    assert (check_result.passed, check_result.severity) == (passed, Severity.WARN)
    assert check_result.facts["latency_p95_seconds"] == p95


def test_mostly_used_overlap_is_too_small() -> None:
    assert run_check("overlap_too_small", RunCounts(index_lag_p99=239)).passed
    check_result = run_check("overlap_too_small", RunCounts(index_lag_p99=241))
    assert (check_result.passed, check_result.severity) == (False, Severity.WARN)
    assert "HELPDESK_OVERLAP_SECONDS=420 (it is 300)" in check_result.description
    assert check_result.facts["overlap_wanted_seconds"] == 420


def test_webhook_only_change_suggests_doubling_the_overlap() -> None:
    check_result = run_check(
        "overlap_too_small", RunCounts(webhooks=replace(WEBHOOK_COUNTS, webhook_only=2))
    )
    assert (check_result.passed, check_result.severity) == (False, Severity.WARN)
    assert "2 changes came by webhook and not by polling" in check_result.description
    assert "HELPDESK_OVERLAP_SECONDS=600" in check_result.description


def test_longer_window_counts_as_the_overlap() -> None:
    manifest = GOOD.manifest
    assert manifest is not None
    assert manifest.window.since is not None
    window = replace(manifest.window, since=manifest.window.since - timedelta(minutes=20))
    facts = RunCounts(index_lag_p99=600)
    evidence = replace(with_facts(facts), manifest=replace(manifest, window=window))
    assert one("overlap_too_small", evidence).passed
    assert one("overlap_too_small", evidence).facts["overlap_seconds"] == 1200


def test_limits_come_from_settings() -> None:
    assert CheckThresholds.from_settings(Settings(_env_file=None)) == CheckThresholds()  # type: ignore[call-arg]


def test_run_without_changes_passes_every_check() -> None:
    quiet = Evidence(None, RunCounts(webhooks=WebhookCounts()), None, NOON)
    names = ("webhook_gaps", "webhook_silence", "webhook_latency", "overlap_too_small")
    assert all(one(name, quiet).passed for name in names)
