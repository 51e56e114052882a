"""Sample runs, findings and incidents."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from helpdesk_assets.alerts.findings import Finding, RunReport
from helpdesk_assets.alerts.incidents import Incident
from helpdesk_assets.checks.evidence import Severity

BEGIN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GAPS = "missed_updates.webhook_gaps"
GOOD = Finding(GAPS, None)
WARNS = Finding(GAPS, Severity.WARN, "1 of 40 changed tickets was not delivered.")
FAILS = Finding(GAPS, Severity.ERROR, "3 of 40 changed tickets were not delivered.")


def report(
    number: int,
    *checks: Finding,
    job: str = "helpdesk_sync",
    root: int | None = None,
    covers: tuple[str, ...] = ("a", "b"),
    failure: Finding | None = None,
    partitioned: bool = False,
) -> RunReport:
    """Return the run of the given hour."""
    return RunReport(
        run_id=f"run-{number}",
        root_run_id=f"run-{number if root is None else root}",
        job=job,
        ended_at=BEGIN + timedelta(hours=number),
        succeeded=failure is None,
        covers=frozenset(covers),
        partitioned=partitioned,
        checks=checks,
        failure=failure,
    )


def incident(finding: Finding = FAILS, over_after: timedelta | None = None) -> Incident:
    begun = Incident(finding, BEGIN, BEGIN, "run-0", "run-0")
    return replace(begun, resolved_at=BEGIN + over_after) if over_after else begun
