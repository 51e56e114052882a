"""Whether a sweep found the tickets table equal to the helpdesk. Pure, as all verdicts are.

A repair is no success: whatever was repaired, the sync should have seen, and a number that nobody
is told of is one that nobody looks at.
"""

from __future__ import annotations

from typing import Any

from helpdesk_assets.checks.evidence import Severity, Verdict
from helpdesk_assets.model.reconciliation import Kind, Outcome
from helpdesk_assets.operations.reconcile import ReconcileReport

NAME = "inventory_matches"
GUIDE = "docs/reconciliation.md says what to look at."


def inventory_matches(report: ReconcileReport) -> Verdict:
    """WARN where something was repaired, or the table is ahead; ERROR where something is wrong
    still, or could not be compared."""
    wrong, mended = _wrong(report), _mended(report)
    text = f"The table equals the {report.sizes.listed:,} tickets that the helpdesk lists."
    if wrong or mended:
        text = " ".join([*wrong, *mended, GUIDE])
    return Verdict(
        NAME,
        passed=not wrong and not mended,
        severity=Severity.ERROR if wrong else Severity.WARN,
        description=text,
        facts=_facts(report),
    )


def _wrong(report: ReconcileReport) -> list[str]:
    """What is not right yet."""
    said = []
    if report.refused:
        said.append(f"No row was marked as deleted: {report.refused}.")
    if report.unrepaired:
        said.append(f"Absent or older here, and not repaired: {report.unrepaired:,}.")
    if report.unreadable:
        said.append(f"Unreadable in the helpdesk, and perhaps different: {report.unreadable:,}.")
    return said


def _mended(report: ReconcileReport) -> list[str]:
    """What was not right, and what nobody puts right."""
    repaired, deleted = report.count(None, Outcome.REPAIRED), report.count(None, Outcome.DELETED)
    ahead, there = report.count(Kind.NEWER_HERE), report.count(None, Outcome.EXISTS)
    looked = report.count(None, Outcome.FOUND) - ahead if report.only_looked else 0
    sentences = (
        (repaired, "Absent or older here, repaired, and the sync should have seen it: {:,}."),
        (deleted, "Gone from the helpdesk, which nobody had told, and marked as deleted: {:,}."),
        (looked, "Different, and left, since only a look was asked for: {:,}."),
        (ahead, "Newer here than in the helpdesk, and left: {:,}."),
        (there, "Not listed by the helpdesk, and there when asked for: {:,}."),
    )
    return [sentence.format(count) for count, sentence in sentences if count]


def _facts(report: ReconcileReport) -> dict[str, Any]:
    """Counts first, of which an alert shows a few; then the tickets, those of the worst first."""
    worst = sorted(report.found, key=lambda each: each.outcome is not Outcome.LEFT)
    return {
        "repaired": report.count(None, Outcome.REPAIRED),
        "deleted": report.count(None, Outcome.DELETED),
        "left": report.count(None, Outcome.LEFT),
        **{kind.value: report.count(kind) for kind in Kind},
        "listed": report.sizes.listed,
        "unreadable": report.unreadable,
        "ticket_ids": [ticket_id for each in worst for ticket_id in each.ticket_ids],
    }
