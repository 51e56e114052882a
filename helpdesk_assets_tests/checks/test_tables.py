"""What is judged and how hard, without Dagster and without a warehouse."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.checks import tables
from helpdesk_assets.checks.evidence import Evidence, Severity, Verdict
from helpdesk_assets.checks.tables import judge
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunFacts, SyncState
from helpdesk_assets.model.tickets import ApiUse
from helpdesk_assets_tests.batches import NOON, SMALL

MANIFEST = replace(SMALL, api=ApiUse(calls=1, bytes_received=9000))
FACTS = RunFacts(rows=40, inserted=1, updated=1)
STATE = SyncState("tickets", NOON, 4, run_id="run-1", closed_at=NOON, facts=FACTS)
GOOD = Evidence(MANIFEST, FACTS, STATE, NOON + timedelta(seconds=3))


def one(name: str, evidence: Evidence) -> Verdict:
    return next(verdict for verdict in judge(evidence) if verdict.name == name)


def with_facts(facts: RunFacts) -> Evidence:
    return replace(GOOD, facts=facts, state=replace(STATE, facts=facts))


def test_a_good_run_passes_everything() -> None:
    assert [v.name for v in judge(GOOD) if not v.passed] == []


def test_every_verdict_is_there_also_when_there_is_nothing_to_judge() -> None:
    nothing = judge(Evidence(None, None, None, NOON))
    assert [v.name for v in nothing] == [v.name for v in judge(GOOD)]
    assert [v.name for v in nothing if not v.passed] == ["watermark_fresh"]


def test_a_fallback_warns_with_its_reason() -> None:
    manifest = replace(MANIFEST, fallback=True, reason="fallback to the listing: search said 500")
    verdict = one("no_fallback", replace(GOOD, manifest=manifest))
    assert (verdict.passed, verdict.severity) == (False, Severity.WARN)
    assert "search said 500" in verdict.description


@pytest.mark.parametrize(
    ("manifest", "facts", "why"),
    [
        (MANIFEST, RunFacts(rows=40), "none of their tickets is stored"),
        (MANIFEST, replace(FACTS, updated=0), "2 tickets were fetched and 1"),
        (replace(MANIFEST, versions=None), replace(FACTS, updated=8), "but 9 tickets were counted"),
        (MANIFEST, replace(FACTS, rows=1), "in a table of 1 rows"),
        (replace(MANIFEST, pages=0), FACTS, "No page was read"),
    ],
)
def test_numbers_that_do_not_add_up_are_an_error(
    manifest: Manifest, facts: RunFacts, why: str
) -> None:
    verdict = one("read_whole", replace(GOOD, manifest=manifest, facts=facts))
    assert (verdict.passed, verdict.severity) == (False, Severity.ERROR)
    assert why in verdict.description


def test_the_proof_is_stated_whether_or_not_it_holds() -> None:
    facts = one("read_whole", GOOD).facts
    assert (facts["rows_fetched"], facts["tickets_fetched"], facts["tickets_stored"]) == (3, 2, 2)
    assert (facts["pages"], facts["api_calls"], facts["api_bytes"]) == (1, 1, 9000)
    assert facts["window_until"] == NOON


def test_a_batch_that_is_not_merged_yet_is_no_gap() -> None:
    assert one("read_whole", replace(GOOD, facts=None)).passed


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("one_row_per_ticket", replace(FACTS, repeated_keys=1)),
        ("no_null_keys_or_times", replace(FACTS, null_keys=1)),
        ("no_null_keys_or_times", replace(FACTS, null_times=1)),
        ("no_time_in_the_future", replace(FACTS, future_times=1)),
    ],
)
def test_a_table_that_is_not_right_is_an_error(name: str, facts: RunFacts) -> None:
    failed = [v for v in judge(with_facts(facts)) if not v.passed]
    assert [(v.name, v.severity) for v in failed] == [(name, Severity.ERROR)]


@pytest.mark.parametrize(
    ("hours", "passed", "severity"),
    [(3.9, True, Severity.WARN), (4.1, False, Severity.WARN), (8.1, False, Severity.ERROR)],
)
def test_a_watermark_that_stands_still_is_told_on(
    hours: float, passed: bool, severity: Severity
) -> None:
    verdict = one("watermark_fresh", replace(GOOD, now=NOON + timedelta(hours=hours)))
    assert (verdict.passed, verdict.severity) == (passed, severity)


def test_a_local_clock_that_is_slow_hides_nothing() -> None:
    state = replace(STATE, closed_at=NOON + timedelta(hours=5))
    evidence = replace(GOOD, state=state, now=NOON - timedelta(days=1))
    assert not one("watermark_fresh", evidence).passed


def test_judging_needs_no_dagster() -> None:
    script = f"import sys, {tables.__name__}; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
