"""What is said of webhooks and of the overlap, and how loudly."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.checks.evidence import Evidence, Limits, Severity, Verdict
from helpdesk_assets.model.state import RunFacts
from helpdesk_assets.model.webhooks import MissedUpdate, WebhookFacts
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.checks.test_tables import GOOD, one, with_facts

HEARD = WebhookFacts(
    judged=40,
    events=40,
    latency_p50=2.0,
    latency_p95=9.0,
    last_event=NOON - timedelta(minutes=6),
)


def told(name: str, facts: RunFacts | None = None, **limits: object) -> Verdict:
    evidence = with_facts(facts or RunFacts(rows=40))
    return one(name, replace(evidence, limits=replace(Limits(), **limits)))  # type: ignore[arg-type]


def lost(count: int) -> tuple[MissedUpdate, ...]:
    return tuple(MissedUpdate(str(i), NOON, "missed", 600.0 - i) for i in range(count))


def gaps(missed: int, changes: int, **limits: object) -> Verdict:
    facts = RunFacts(
        missed_total=missed,
        missed=lost(missed),
        missed_since=NOON - timedelta(hours=1) if missed else None,
        webhooks=replace(HEARD, judged=changes),
    )
    return told("webhook_gaps", facts, **limits)


@pytest.mark.parametrize(
    ("missed", "changes", "passed", "severity"),
    [
        (0, 40, True, Severity.WARN),
        (1, 40, False, Severity.WARN),
        (8, 40, False, Severity.WARN),
        (9, 40, False, Severity.ERROR),
        # Share and count both have to be reached, of enough changes.
        (2, 3, False, Severity.WARN),
        (4, 9, False, Severity.WARN),
        (4, 10, False, Severity.ERROR),
    ],
)
def test_gaps_weigh_by_count_and_share(
    missed: int, changes: int, passed: bool, severity: Severity
) -> None:
    verdict = gaps(missed, changes)
    assert (verdict.passed, verdict.severity) == (passed, severity)
    assert (verdict.facts["missed"], verdict.facts["changes"]) == (missed, changes)
    assert verdict.facts["share"] == missed / changes


@pytest.mark.parametrize(
    ("limits", "passed", "severity"),
    [
        ({"gap_warn_count": 5}, True, Severity.WARN),
        ({"gap_error_share": 0.05}, False, Severity.ERROR),
        ({"gap_error_share": 0.05, "gap_error_count": 5}, False, Severity.WARN),
        ({"gap_error_share": 0.05, "minimum_changes": 41}, False, Severity.WARN),
    ],
)
def test_each_limit_of_the_gaps_is_a_setting(
    limits: dict[str, object], passed: bool, severity: Severity
) -> None:
    verdict = gaps(4, 40, **limits)
    assert (verdict.passed, verdict.severity) == (passed, severity)


def test_gaps_name_ten_tickets_and_since_when() -> None:
    facts = gaps(12, 40).facts
    assert facts["ticket_ids"] == [str(number) for number in range(10)]
    assert facts["since"] == NOON - timedelta(hours=1)
    assert facts["lag_max_seconds"] == 600
    assert facts["missed_named"] == lost(12)


def test_by_the_table_alone_the_share_is_of_the_runs_tickets() -> None:
    facts = RunFacts(inserted=4, updated=6, missed_total=3, missed=lost(3))
    verdict = told("webhook_gaps", facts)
    assert (verdict.facts["changes"], verdict.severity) == (10, Severity.ERROR)


def silence(unheard: int, minutes: float, **changed: Any) -> Verdict:
    heard = replace(
        HEARD, unheard=unheard, unheard_since=NOON - timedelta(minutes=minutes), **changed
    )
    return told("webhook_silence", RunFacts(webhooks=heard))


@pytest.mark.parametrize(
    ("unheard", "minutes", "passed"),
    [(3, 61, False), (2, 61, True), (3, 59, True), (200, 600, False)],
)
def test_silence_is_many_changes_for_a_while_and_no_event(
    unheard: int, minutes: float, passed: bool
) -> None:
    verdict = silence(unheard, minutes)
    assert (verdict.passed, verdict.severity) == (passed, Severity.ERROR)
    assert verdict.facts["changes_unheard"] == unheard
    assert verdict.facts["silent_seconds"] == minutes * 60


def test_silence_says_when_the_last_event_came() -> None:
    assert "the last event came at 2026-11-01 11:54:00 UTC" in silence(3, 90).description
    assert "before this week or never" in silence(3, 90, last_event=None).description


def test_without_events_or_on_a_first_load_nobody_is_silent() -> None:
    assert told("webhook_silence", RunFacts(missed_total=50)).passed
    heard = replace(HEARD, unheard=50, unheard_since=NOON - timedelta(days=3))
    facts = RunFacts(webhooks=heard)
    manifest = GOOD.manifest
    assert manifest is not None
    first = replace(with_facts(facts), manifest=replace(manifest, first_load=True))
    assert one("webhook_silence", first).passed


@pytest.mark.parametrize(
    ("p95", "events", "passed"),
    [(59.0, 40, True), (61.0, 40, False), (61.0, 9, True), (None, 40, True)],
)
def test_latency_is_judged_of_enough_events(p95: float | None, events: int, passed: bool) -> None:
    heard = replace(HEARD, latency_p95=p95, events=events)
    verdict = told("webhook_latency", RunFacts(webhooks=heard))
    assert (verdict.passed, verdict.severity) == (passed, Severity.WARN)
    assert verdict.facts["latency_p95_seconds"] == (p95 or 0.0)


def test_an_overlap_that_polling_needs_most_of_is_too_small() -> None:
    assert told("overlap_too_small", RunFacts(behind_p99=239)).passed
    verdict = told("overlap_too_small", RunFacts(behind_p99=241))
    assert (verdict.passed, verdict.severity) == (False, Severity.WARN)
    assert "HELPDESK_OVERLAP_SECONDS=420 (it is 300)" in verdict.description
    assert verdict.facts["overlap_wanted_seconds"] == 420


def test_a_change_that_came_by_webhook_only_doubles_the_overlap() -> None:
    verdict = told("overlap_too_small", RunFacts(webhooks=replace(HEARD, webhook_only=2)))
    assert (verdict.passed, verdict.severity) == (False, Severity.WARN)
    assert "2 changes came by webhook and not by polling" in verdict.description
    assert "HELPDESK_OVERLAP_SECONDS=600" in verdict.description


def test_where_the_window_reaches_back_further_that_is_the_overlap() -> None:
    manifest = GOOD.manifest
    assert manifest is not None
    assert manifest.window.since is not None
    window = replace(manifest.window, since=manifest.window.since - timedelta(minutes=20))
    facts = RunFacts(behind_p99=600)
    evidence = replace(with_facts(facts), manifest=replace(manifest, window=window))
    assert one("overlap_too_small", evidence).passed
    assert one("overlap_too_small", evidence).facts["overlap_seconds"] == 1200


def test_limits_are_those_of_the_settings() -> None:
    assert Limits.from_settings(Settings(_env_file=None)) == Limits()  # type: ignore[call-arg]


def test_a_night_without_changes_passes_all() -> None:
    quiet = Evidence(None, RunFacts(webhooks=WebhookFacts()), None, NOON)
    names = ("webhook_gaps", "webhook_silence", "webhook_latency", "overlap_too_small")
    assert all(one(name, quiet).passed for name in names)
