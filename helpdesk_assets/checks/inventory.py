"""Whether a sweep found the tickets table equal to the helpdesk. Pure, as all verdicts are.

A repair is no success: whatever was repaired, the sync should have seen, and a number that nobody
is told of is one that nobody looks at.
"""

from __future__ import annotations

from typing import Any

from helpdesk_assets.checks.evidence import CheckResult, Severity
from helpdesk_assets.model.reconciliation import DifferenceKind, DifferenceOutcome
from helpdesk_assets.operations.reconcile import ReconcileReport

CHECK_NAME = "inventory_matches"
GUIDE = "docs/reconciliation.md says what to look at."


def inventory_matches(report: ReconcileReport) -> CheckResult:
    """WARN where something was repaired, or the table is ahead; ERROR where something is wrong
    still, or could not be compared."""
    unresolved, resolved = _unresolved_problems(report), _resolved_differences(report)
    text = f"The table equals the {report.row_counts.listed:,} tickets that the helpdesk lists."
    if unresolved or resolved:
        text = " ".join([*unresolved, *resolved, GUIDE])
    return CheckResult(
        CHECK_NAME,
        passed=not unresolved and not resolved,
        severity=Severity.ERROR if unresolved else Severity.WARN,
        description=text,
        facts=_facts(report),
    )


def _unresolved_problems(report: ReconcileReport) -> list[str]:
    """What is not right yet."""
    sentences = []
    if report.refused:
        sentences.append(f"No row was marked as deleted: {report.refused}.")
    if report.unrepaired:
        sentences.append(f"Absent or older here, and not repaired: {report.unrepaired:,}.")
    if report.unreadable:
        sentences.append(
            f"Unreadable in the helpdesk, and perhaps different: {report.unreadable:,}."
        )
    return sentences


def _resolved_differences(report: ReconcileReport) -> list[str]:
    """What was not right, and what nobody puts right."""
    repaired, deleted = (
        report.count(None, DifferenceOutcome.REPAIRED),
        report.count(None, DifferenceOutcome.DELETED),
    )
    ahead, there = (
        report.count(DifferenceKind.AHEAD),
        report.count(None, DifferenceOutcome.STILL_EXISTS),
    )
    only_reported = report.count(None, DifferenceOutcome.FOUND) - ahead if report.was_dry_run else 0
    sentences = (
        (repaired, "Absent or older here, repaired, and the sync should have seen it: {:,}."),
        (deleted, "Gone from the helpdesk, which nobody had told, and marked as deleted: {:,}."),
        (only_reported, "Different, and left, since only a look was asked for: {:,}."),
        (ahead, "Newer here than in the helpdesk, and left: {:,}."),
        (there, "Not listed by the helpdesk, and there when asked for: {:,}."),
    )
    return [sentence.format(count) for count, sentence in sentences if count]


def _facts(report: ReconcileReport) -> dict[str, Any]:
    """Counts first, of which an alert shows a few; then the tickets, those of the worst first."""
    worst = sorted(report.found, key=lambda each: each.outcome is not DifferenceOutcome.UNRESOLVED)
    return {
        "repaired": report.count(None, DifferenceOutcome.REPAIRED),
        "deleted": report.count(None, DifferenceOutcome.DELETED),
        "left": report.count(None, DifferenceOutcome.UNRESOLVED),
        **{kind.value: report.count(kind) for kind in DifferenceKind},
        "listed": report.row_counts.listed,
        "unreadable": report.unreadable,
        "ticket_ids": [ticket_id for each in worst for ticket_id in each.ticket_ids],
    }
