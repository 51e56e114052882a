"""What a reconciliation's report is worth a word for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.checks.inventory import inventory_matches
from helpdesk_assets.defs.metadata import plain, reconciled
from helpdesk_assets.model.reconciliation import Found, Kind, Outcome, Sizes, Sweep
from helpdesk_assets.operations.reconcile import ReconcileReport, why_refused
from helpdesk_assets.operations.repair import RepairReport
from helpdesk_assets_tests.batches import NOON

SWEEP = Sweep("sweep-1", "run-1", NOON, NOON + timedelta(minutes=9), lines=1000, pages=10)
EQUAL = ReconcileReport(
    sweep=SWEEP,
    sizes=Sizes(listed=1000, alive=1000),
    until=NOON - timedelta(hours=1),
    found=(),
    repaired=RepairReport(),
    refused=None,
    only_looked=False,
    api_calls=11,
    query_jobs=5,
    load_jobs=0,
    seconds=3.0,
)


def found(kind: Kind, outcome: Outcome, *ids: str) -> ReconcileReport:
    return replace(EQUAL, found=(Found(kind, outcome, len(ids), ids),))


def test_a_table_that_equals_the_helpdesk_passes() -> None:
    verdict = inventory_matches(EQUAL)
    assert verdict.passed
    assert verdict.description == "The table equals the 1,000 tickets that the helpdesk lists."


@pytest.mark.parametrize(
    ("report", "severity", "said"),
    [
        (found(Kind.ABSENT, Outcome.REPAIRED, "7"), Severity.WARN, "should have seen it: 1."),
        (found(Kind.STALE, Outcome.REPAIRED, "7", "8"), Severity.WARN, "seen it: 2."),
        (found(Kind.GONE, Outcome.DELETED, "7"), Severity.WARN, "marked as deleted: 1."),
        (found(Kind.GONE, Outcome.EXISTS, "7"), Severity.WARN, "there when asked for: 1."),
        (found(Kind.NEWER_HERE, Outcome.LEFT, "7"), Severity.WARN, "and left: 1."),
        (found(Kind.STALE, Outcome.LEFT, "7"), Severity.ERROR, "not repaired: 1."),
        (
            replace(found(Kind.GONE, Outcome.LEFT, "7"), refused="the listing was cut"),
            Severity.ERROR,
            "No row was marked as deleted: the listing was cut.",
        ),
        (replace(EQUAL, refused="cut"), Severity.ERROR, "No row was marked as deleted: cut."),
        (replace(EQUAL, sweep=replace(SWEEP, unreadable=2)), Severity.ERROR, "different: 2."),
        (replace(EQUAL, repaired=RepairReport(unreadable=1)), Severity.ERROR, "different: 1."),
        (
            replace(found(Kind.ABSENT, Outcome.FOUND, "7"), only_looked=True),
            Severity.WARN,
            "only a look was asked for: 1.",
        ),
    ],
)
def test_whatever_differed_is_told(report: ReconcileReport, severity: Severity, said: str) -> None:
    verdict = inventory_matches(report)
    assert (verdict.passed, verdict.severity) == (False, severity)
    assert said in verdict.description
    assert "docs/reconciliation.md" in verdict.description


def test_a_ticket_that_went_before_it_was_fetched_is_not_unrepaired() -> None:
    report = replace(
        found(Kind.ABSENT, Outcome.LEFT, "7"), repaired=RepairReport(asked=1, not_found=1)
    )
    assert inventory_matches(report).passed


def test_the_tickets_of_what_is_wrong_are_named_first() -> None:
    report = replace(
        EQUAL,
        found=(
            Found(Kind.ABSENT, Outcome.REPAIRED, 1, ("1",)),
            Found(Kind.STALE, Outcome.LEFT, 1, ("2",)),
        ),
    )
    assert plain(inventory_matches(report).facts)["ticket_ids"] == ["2", "1"]


def test_every_count_is_told_also_when_it_is_zero() -> None:
    assert reconciled(EQUAL).keys() == reconciled(found(Kind.GONE, Outcome.LEFT, "7")).keys()
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
        # One of a small table may go, whatever the share.
        (None, 20, 20, 1, None),
        (None, 20, 20, 2, "more than the 1"),
    ],
)
def test_when_nothing_may_be_marked_as_deleted(
    total: int | None, listed: int, alive: int, gone: int, refused: str | None
) -> None:
    said = why_refused(replace(SWEEP, total=total), Sizes(listed, alive), gone, 0.01)
    assert (said is None) == (refused is None)
    assert (refused or "") in (said or "")


def test_a_share_of_nothing_allows_nothing() -> None:
    assert why_refused(SWEEP, Sizes(1000, 1000), 1, 0.0) is not None
