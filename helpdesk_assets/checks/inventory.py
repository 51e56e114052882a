"""Whether a reconciliation found the tickets table equal to the helpdesk. Pure, as all checks are.

A repair does not pass the check: the sync should have seen every repaired change, and nobody looks
at a number that raises no alert.
"""

from __future__ import annotations

from typing import Any

from helpdesk_assets.checks.evidence import CheckResult, Severity
from helpdesk_assets.model.reconciliation import DifferenceKind, DifferenceOutcome
from helpdesk_assets.operations.reconcile import ReconcileReport

CHECK_NAME = "inventory_matches"
GUIDE = "See docs/reconciliation.md."


def inventory_matches(report: ReconcileReport) -> CheckResult:
    """Whether the tickets table equals the helpdesk's inventory.

    WARN if rows were repaired or the table is ahead. ERROR if rows are still wrong, or could not be
    compared. What a helpdesk lists for nobody is told and fails nothing, since it stays so.
    """
    unresolved, resolved = _unresolved_problems(report), _resolved_differences(report)
    text = f"The table equals the {report.row_counts.listed:,} tickets that the helpdesk lists."
    if unresolved or resolved:
        text = " ".join([*unresolved, *resolved])
    text = " ".join([text, *_unlisted(report), *([GUIDE] if unresolved or resolved else [])])
    return CheckResult(
        CHECK_NAME,
        passed=not unresolved and not resolved,
        severity=Severity.ERROR if unresolved else Severity.WARN,
        description=text,
        facts=_facts(report),
    )


def _unresolved_problems(report: ReconcileReport) -> list[str]:
    """Sentences about what is still wrong, or unknown."""
    refused = [f"No row was marked as deleted: {report.refused}."] if report.refused else []
    return refused + _sentences(
        (
            report.unrepaired,
            "1 ticket is missing, out of date or wrongly marked as deleted, and was not repaired.",
            (
                "{} tickets are missing, out of date or wrongly marked as deleted, and were not "
                "repaired."
            ),
        ),
        (
            report.unreadable,
            "1 ticket cannot be read in the helpdesk, so its row may be wrong.",
            "{} tickets cannot be read in the helpdesk, so their rows may be wrong.",
        ),
        (
            report.archive.repaired.unproven if report.archive else 0,
            "1 ticket may be archived and could not be asked for. The next reconciliation asks.",
            (
                "{} tickets may be archived and could not be asked for. The next reconciliation "
                "asks."
            ),
        ),
    )


def _resolved_differences(report: ReconcileReport) -> list[str]:
    """Sentences about what was wrong and is repaired, and about what is left alone."""
    ahead = report.count(DifferenceKind.AHEAD)
    only_reported = report.count(None, DifferenceOutcome.FOUND) - ahead if report.was_dry_run else 0
    return _sentences(
        (
            report.count(None, DifferenceOutcome.REPAIRED),
            (
                "1 ticket was missing, out of date or wrongly marked as deleted. It has been "
                "repaired, but the sync should have caught it."
            ),
            (
                "{} tickets were missing, out of date or wrongly marked as deleted. They have been "
                "repaired, but the sync should have caught them."
            ),
        ),
        (
            report.count(None, DifferenceOutcome.DELETED),
            (
                "1 ticket is gone from the helpdesk, which reported no deletion. Its row is now "
                "marked as deleted."
            ),
            (
                "{} tickets are gone from the helpdesk, which reported no deletion. Their rows are "
                "now marked as deleted."
            ),
        ),
        (
            only_reported,
            "1 ticket differs and was left alone, because this was a dry run.",
            "{} tickets differ and were left alone, because this was a dry run.",
        ),
        (
            ahead,
            (
                "1 row is newer than the helpdesk's own ticket and was left alone. If the helpdesk "
                "was restored from a backup, the guide says what to do."
            ),
            (
                "{} rows are newer than the helpdesk's own tickets and were left alone. If the "
                "helpdesk was restored from a backup, the guide says what to do."
            ),
        ),
        # Where there is an archive, no list needs to have them.
        *([] if report.archive else [_existing(report)]),
    )


def _existing(report: ReconcileReport) -> tuple[int, str, str]:
    return (
        report.count(None, DifferenceOutcome.STILL_EXISTS),
        "1 ticket is not in the helpdesk's list, but exists when fetched by its id.",
        "{} tickets are not in the helpdesk's list, but exist when fetched by id.",
    )


def _unlisted(report: ReconcileReport) -> list[str]:
    """Sentences about tickets that no list has, and of which nobody can say more."""
    told = _sentences(
        *([_existing(report)] if report.archive else []),
        (
            report.repaired.unproven,
            "1 ticket is not found, which proves no deletion, so its row stays as it was.",
            "{} tickets are not found, which proves no deletion, so their rows stay as they were.",
        ),
    )
    told += report.repaired.unproven_named[:1]
    archive = report.archive
    if archive is None:
        return told
    if archive.not_listed:
        told.append(
            f"{archive.not_listed:,} of the {archive.newest:,} ids are not listed. {archive.notice}"
        )
    if archive.stopped:
        told.append(f"None was asked for: {archive.stopped}.")
    if archive.asked_up_to is not None:
        told.append(
            f"{archive.repaired.merged:,} archived tickets were added. The ids up to "
            f"{archive.asked_up_to:,} have been asked for."
        )
    return told


def _sentences(*counted: tuple[int, str, str]) -> list[str]:
    """One sentence per count that is not zero: (count, text for one, text for more)."""
    return [
        one if count == 1 else many.format(f"{count:,}") for count, one, many in counted if count
    ]


def _facts(report: ReconcileReport) -> dict[str, Any]:
    """Counts first, because an alert shows only a few; then ticket ids, unresolved ones first."""
    worst = sorted(report.found, key=lambda each: each.outcome is not DifferenceOutcome.UNRESOLVED)
    return {
        "repaired": report.count(None, DifferenceOutcome.REPAIRED),
        "deleted": report.count(None, DifferenceOutcome.DELETED),
        "left": report.count(None, DifferenceOutcome.UNRESOLVED),
        **{kind.value: report.count(kind) for kind in DifferenceKind},
        "listed": report.row_counts.listed,
        "unreadable": report.unreadable,
        "unproven": report.repaired.unproven,
        **_archive_facts(report),
        "ticket_ids": [ticket_id for each in worst for ticket_id in each.ticket_ids],
    }


def _archive_facts(report: ReconcileReport) -> dict[str, int]:
    archive = report.archive
    if archive is None:
        return {}
    return {"not_listed": archive.not_listed, "archived_added": archive.repaired.merged}
