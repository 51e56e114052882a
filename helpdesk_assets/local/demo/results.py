"""Results of the demo, and the expected ones. Must not import the modules that produce them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from helpdesk_assets.local.demo.compare import Comparison
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.model.state import RunCounts


@dataclass(frozen=True, slots=True)
class CheckRunResult:
    """Result of one Dagster asset check."""

    name: str
    passed: bool
    severity: str
    description: str


@dataclass(frozen=True, slots=True)
class SyncRunResult:
    """Result of one run: `api_calls` by the helpdesk's count, the rest by Dagster's metadata."""

    mode: str
    tickets: int
    facts: RunCounts
    api_calls: int
    query_jobs: int
    load_jobs: int
    fetch_seconds: float
    seconds: float
    checks: tuple[CheckRunResult, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Tickets that changed between the two syncs, by the fate of their webhook."""

    lost: tuple[TrueTicket, ...]
    delivered: tuple[TrueTicket, ...]

    @property
    def hidden(self) -> tuple[TrueTicket, ...]:
        """Lost changes that a sync from the table's MAX(modifiedTime) would skip."""
        newest = max(ticket.modified_time for ticket in self.delivered)
        return tuple(ticket for ticket in self.lost if ticket.modified_time < newest)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """All results of the demo."""

    tickets: int
    first: SyncRunResult
    changes: Changes
    second: SyncRunResult
    comparison: Comparison


def find_mismatches(demo_result: DemoResult) -> Iterator[str]:
    """Yield a sentence for each result that is not as expected."""
    first, second = demo_result.first, demo_result.second
    lost = {ticket.ticket_id for ticket in demo_result.changes.lost}
    found = {missed.ticket_id for missed in second.facts.missed}
    failed_before = [check.name for check in first.checks if not check.passed]
    failed = [(check.name, check.severity) for check in second.checks if not check.passed]
    expectations: tuple[tuple[str, object, object], ...] = (
        ("mode of the first sync", first.mode, "full"),
        ("tickets of the first sync", first.tickets, demo_result.tickets),
        ("missed updates of the first sync", first.facts.missed_total, 0),
        ("failed checks of the first sync", failed_before, []),
        ("mode of the second sync", second.mode, "incremental"),
        ("API calls of the second sync", second.api_calls, 1),
        ("missed updates that were found", sorted(found), sorted(lost)),
        ("count of missed updates", second.facts.missed_total, len(lost)),
        ("lost updates that MAX(modifiedTime) skips", len(demo_result.changes.hidden), 1),
        ("failed checks of the second sync", failed, [("webhook_gaps", "WARN")]),
        ("differences between table and helpdesk", demo_result.comparison.differences, {}),
        ("rows of the table", demo_result.comparison.rows, demo_result.comparison.tickets),
    )
    for what, seen, expected_value in expectations:
        if seen != expected_value:
            yield f"{what}: {seen}, expected {expected_value}"
