"""Results and severities of checks, without Dagster and without a warehouse."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.checks import tables
from helpdesk_assets.checks.evidence import CheckResult, Evidence, Severity
from helpdesk_assets.checks.tables import evaluate_checks
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.tickets import ApiUsage
from helpdesk_assets_tests.batches import NOON, SMALL

MANIFEST = replace(SMALL, api=ApiUsage(calls=1, bytes_received=9000))
LARGE = replace(MANIFEST, versions=None, staging="raw_ticket_changes__stg_x")
FACTS = RunCounts(rows=40, inserted=1, updated=1)
STATE = SyncState("tickets", NOON, 4, run_id="run-1", closed_at=NOON, facts=FACTS)
GOOD = Evidence(MANIFEST, FACTS, STATE, NOON + timedelta(seconds=3))


def one(name: str, evidence: Evidence) -> CheckResult:
    return next(
        check_result for check_result in evaluate_checks(evidence) if check_result.name == name
    )


def with_facts(facts: RunCounts) -> Evidence:
    return replace(GOOD, facts=facts, state=replace(STATE, facts=facts))


def test_good_run_passes_every_check() -> None:
    assert [v.name for v in evaluate_checks(GOOD) if not v.passed] == []


def test_every_check_has_a_result_without_data() -> None:
    nothing = evaluate_checks(Evidence(None, None, None, NOON))
    assert [v.name for v in nothing] == [v.name for v in evaluate_checks(GOOD)]
    assert [v.name for v in nothing if not v.passed] == ["watermark_fresh"]


def test_fallback_warns_with_its_reason() -> None:
    manifest = replace(MANIFEST, fallback=True, reason="fallback to the listing: search said 500")
    check_result = one("no_fallback", replace(GOOD, manifest=manifest))
    assert (check_result.passed, check_result.severity) == (False, Severity.WARN)
    assert check_result.description == (
        "The change endpoint failed. Every ticket was listed instead. search said 500"
    )


@pytest.mark.parametrize(
    ("manifest", "facts", "why"),
    [
        (MANIFEST, RunCounts(rows=40), "none of their tickets is stored"),
        (MANIFEST, replace(FACTS, updated=0), "2 tickets were fetched, but 1"),
        (LARGE, replace(FACTS, updated=8, batch_tickets=9), "but 9 tickets were counted"),
        (LARGE, replace(FACTS, batch_tickets=3), "3 tickets were fetched, but 2"),
        (MANIFEST, replace(FACTS, rows=1), "in a table of 1 rows"),
        (replace(MANIFEST, pages=0), FACTS, "No page was read"),
    ],
)
def test_inconsistent_counts_are_an_error(manifest: Manifest, facts: RunCounts, why: str) -> None:
    check_result = one("read_whole", replace(GOOD, manifest=manifest, facts=facts))
    assert (check_result.passed, check_result.severity) == (False, Severity.ERROR)
    assert why in check_result.description


def test_coverage_facts_are_always_reported() -> None:
    facts = one("read_whole", GOOD).facts
    assert (facts["rows_fetched"], facts["tickets_fetched"], facts["tickets_stored"]) == (3, 2, 2)
    assert (facts["pages"], facts["api_calls"], facts["api_bytes"]) == (1, 1, 9000)
    assert facts["window_until"] == NOON


def test_unmerged_batch_is_not_a_gap() -> None:
    assert one("read_whole", replace(GOOD, facts=None)).passed


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("one_row_per_ticket", replace(FACTS, repeated_keys=1)),
        ("no_null_keys_or_times", replace(FACTS, null_keys=1)),
        ("no_null_keys_or_times", replace(FACTS, null_times=1)),
        ("no_time_in_the_future", replace(FACTS, future_times=1)),
        ("table_shrank", replace(FACTS, rows_lost=1)),
        ("table_shrank", replace(FACTS, behind=1)),
    ],
)
def test_wrong_table_is_an_error(name: str, facts: RunCounts) -> None:
    failed = [v for v in evaluate_checks(with_facts(facts)) if not v.passed]
    assert [(v.name, v.severity) for v in failed] == [(name, Severity.ERROR)]


def test_changed_table_is_an_error_before_anything_closes() -> None:
    manifest = replace(MANIFEST, ground_reason="the table tickets was not there")
    for mode, told in ((Mode.FULL, "This run has read"), (Mode.INCREMENTAL, "The next run reads")):
        evidence = replace(GOOD, manifest=replace(manifest, mode=mode), facts=None)
        failed = one("table_shrank", evidence)
        assert (failed.passed, failed.severity) == (False, Severity.ERROR)
        assert failed.description.startswith("When the run began, the table tickets was not there.")
        assert told in failed.description


@pytest.mark.parametrize(
    ("hours", "passed", "severity"),
    [(3.9, True, Severity.WARN), (4.1, False, Severity.WARN), (8.1, False, Severity.ERROR)],
)
def test_stalled_watermark_is_reported(hours: float, passed: bool, severity: Severity) -> None:
    check_result = one("watermark_fresh", replace(GOOD, now=NOON + timedelta(hours=hours)))
    assert (check_result.passed, check_result.severity) == (passed, severity)


def test_slow_local_clock_hides_nothing() -> None:
    state = replace(STATE, closed_at=NOON + timedelta(hours=5))
    evidence = replace(GOOD, state=state, now=NOON - timedelta(days=1))
    assert not one("watermark_fresh", evidence).passed


def test_checks_do_not_import_dagster() -> None:
    script = f"import sys, {tables.__name__}; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
