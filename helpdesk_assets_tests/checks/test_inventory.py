"""The check of a reconciliation's report."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.checks.inventory import inventory_matches
from helpdesk_assets.defs.metadata import check_metadata, reconciled
from helpdesk_assets.model.reconciliation import (
    DifferenceCount,
    DifferenceKind,
    DifferenceOutcome,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.operations.archive import ArchiveReport
from helpdesk_assets.operations.inventory import refusal_reason
from helpdesk_assets.operations.reconcile import ReconcileReport
from helpdesk_assets.operations.repair import RepairReport
from helpdesk_assets_tests.batches import NOON

SWEEP = InventorySnapshot(
    "sweep-1", "run-1", NOON, NOON + timedelta(minutes=9), entries=1000, pages=10
)
EQUAL = ReconcileReport(
    snapshot=SWEEP,
    row_counts=RowCounts(listed=1000, alive=1000),
    until=NOON - timedelta(hours=1),
    found=(),
    repaired=RepairReport(),
    refused=None,
    was_dry_run=False,
    api_calls=11,
    query_jobs=5,
    load_jobs=0,
    seconds=3.0,
)


def found(kind: DifferenceKind, outcome: DifferenceOutcome, *ids: str) -> ReconcileReport:
    return replace(EQUAL, found=(DifferenceCount(kind, outcome, len(ids), ids),))


def test_matching_table_passes() -> None:
    check_result = inventory_matches(EQUAL)
    assert check_result.passed
    assert check_result.description == "The table equals the 1,000 tickets that the helpdesk lists."


@pytest.mark.parametrize(
    ("report", "severity", "said"),
    [
        (
            found(DifferenceKind.ABSENT, DifferenceOutcome.REPAIRED, "7"),
            Severity.WARN,
            "the sync should have caught it.",
        ),
        (
            found(DifferenceKind.STALE, DifferenceOutcome.REPAIRED, "7", "8"),
            Severity.WARN,
            "2 tickets were missing, out of date or wrongly marked as deleted.",
        ),
        (
            found(DifferenceKind.DELETED, DifferenceOutcome.DELETED, "7"),
            Severity.WARN,
            "Its row is now marked as deleted.",
        ),
        (
            found(DifferenceKind.DELETED, DifferenceOutcome.STILL_EXISTS, "7"),
            Severity.WARN,
            "but exists when fetched by its id.",
        ),
        (
            found(DifferenceKind.AHEAD, DifferenceOutcome.UNRESOLVED, "7"),
            Severity.WARN,
            "1 row is newer than the helpdesk's own ticket",
        ),
        (
            found(DifferenceKind.STALE, DifferenceOutcome.UNRESOLVED, "7"),
            Severity.ERROR,
            "1 ticket is missing, out of date or wrongly marked as deleted, and was not",
        ),
        (
            replace(
                found(DifferenceKind.DELETED, DifferenceOutcome.UNRESOLVED, "7"),
                refused="the listing was cut",
            ),
            Severity.ERROR,
            "No row was marked as deleted: the listing was cut.",
        ),
        (replace(EQUAL, refused="cut"), Severity.ERROR, "No row was marked as deleted: cut."),
        (
            replace(EQUAL, snapshot=replace(SWEEP, unreadable=2)),
            Severity.ERROR,
            "2 tickets cannot be read",
        ),
        (
            replace(EQUAL, repaired=RepairReport(unreadable=1)),
            Severity.ERROR,
            "1 ticket cannot be read",
        ),
        (
            replace(found(DifferenceKind.ABSENT, DifferenceOutcome.FOUND, "7"), was_dry_run=True),
            Severity.WARN,
            "1 ticket differs and was left alone, because this was a dry run.",
        ),
    ],
)
def test_every_difference_is_reported(
    report: ReconcileReport, severity: Severity, said: str
) -> None:
    check_result = inventory_matches(report)
    assert (check_result.passed, check_result.severity) == (False, severity)
    assert said in check_result.description
    assert "docs/reconciliation.md" in check_result.description


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"repaired": RepairReport(unproven=1, unproven_named=("It may be archived.",))},
            (
                "1 ticket is not found, which proves no deletion, so its row stays as it was. It "
                "may be archived."
            ),
        ),
        (
            {"archive": ArchiveReport(1200, 200, "Ask.")},
            "200 of the 1,200 ids are not listed. Ask.",
        ),
        (
            {
                "archive": ArchiveReport(1000, 0, "Ask."),
                "found": found(DifferenceKind.DELETED, DifferenceOutcome.STILL_EXISTS, "7").found,
            },
            "1 ticket is not in the helpdesk's list, but exists when fetched by its id.",
        ),
        (
            {"archive": ArchiveReport(1000, 0, "Ask.", stopped="the plan lacks it")},
            "None was asked for: the plan lacks it.",
        ),
        (
            {"archive": ArchiveReport(1000, 0, "Ask.", 500, RepairReport(merged=7))},
            "7 archived tickets were added. The ids up to 500 have been asked for.",
        ),
    ],
)
def test_what_no_list_has_is_told_and_fails_nothing(changed: dict[str, Any], said: str) -> None:
    """It stays so, and a check that is red for ever tells nothing any more."""
    check_result = inventory_matches(replace(EQUAL, **changed))
    assert check_result.passed
    assert check_result.description == (
        f"The table equals the 1,000 tickets that the helpdesk lists. {said}"
    )


@pytest.mark.parametrize("repaired", [RepairReport(unreadable=1), RepairReport(unproven=1)])
def test_archived_ticket_that_was_not_read_fails(repaired: RepairReport) -> None:
    report = replace(EQUAL, archive=ArchiveReport(1000, 0, "Ask.", 1000, repaired))
    check_result = inventory_matches(report)
    assert report.is_wrong
    assert (check_result.passed, check_result.severity) == (False, Severity.ERROR)


def test_archive_is_in_the_metadata() -> None:
    archive = ArchiveReport(1000, 12, "Ask.", 500, RepairReport(merged=7), "why not")
    report = replace(EQUAL, archive=archive, repaired=RepairReport(unproven=3))
    found = reconciled(report)
    assert found.keys() == reconciled(EQUAL).keys()
    assert [found[name] for name in ("unproven", "ids_not_listed", "archived_added")] == [3, 12, 7]
    assert (found["archive_asked_up_to"], found["archive_not_asked"]) == (500, "why not")


def test_ticket_deleted_before_its_fetch_is_not_unrepaired() -> None:
    report = replace(
        found(DifferenceKind.ABSENT, DifferenceOutcome.UNRESOLVED, "7"),
        repaired=RepairReport(asked=1, not_found=1),
    )
    assert inventory_matches(report).passed


def test_affected_tickets_are_listed_first() -> None:
    report = replace(
        EQUAL,
        found=(
            DifferenceCount(DifferenceKind.ABSENT, DifferenceOutcome.REPAIRED, 1, ("1",)),
            DifferenceCount(DifferenceKind.STALE, DifferenceOutcome.UNRESOLVED, 1, ("2",)),
        ),
    )
    assert check_metadata(inventory_matches(report).facts)["ticket_ids"] == ["2", "1"]


def test_zero_counts_are_reported() -> None:
    assert (
        reconciled(EQUAL).keys()
        == reconciled(found(DifferenceKind.DELETED, DifferenceOutcome.UNRESOLVED, "7")).keys()
    )
    assert reconciled(EQUAL)["absent"] == reconciled(EQUAL)["repaired"] == 0


@pytest.mark.parametrize(
    ("total", "listed", "alive", "gone", "refused"),
    [
        (None, 1000, 1000, 0, None),
        (1000, 1000, 1000, 10, None),
        (990, 1000, 1000, 0, None),
        (None, 1000, 1000, 11, "11 of 1,000 tickets are not listed, more than the 10"),
        (1001, 1000, 1000, 0, "has 1,001 tickets and listed 1,000"),
        (None, 0, 1000, 10, "listed no ticket, and the table has 1,000"),
        (None, 0, 0, 0, None),
        # One ticket of a small table may be deleted, whatever the share.
        (None, 20, 20, 1, None),
        (None, 20, 20, 2, "more than the 1"),
    ],
)
def test_conditions_that_refuse_deletions(
    total: int | None, listed: int, alive: int, gone: int, refused: str | None
) -> None:
    said = refusal_reason(replace(SWEEP, total=total), RowCounts(listed, alive), gone, 0.01)
    assert (said is None) == (refused is None)
    assert (refused or "") in (said or "")


def test_zero_share_allows_no_deletions() -> None:
    assert refusal_reason(SWEEP, RowCounts(1000, 1000), 1, 0.0) is not None
