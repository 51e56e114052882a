"""What came out of the demo, and what should have. Plain values: knows nobody who makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from helpdesk_assets.local.demo.compare import Comparison
from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.model.state import RunCounts


@dataclass(frozen=True, slots=True)
class CheckRunResult:
    name: str
    passed: bool
    severity: str
    description: str


@dataclass(frozen=True, slots=True)
class SyncRunResult:
    """What one run did: calls as the helpdesk counted them, the rest as Dagster was told."""

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
    """What changed at the helpdesk between the two syncs."""

    lost: tuple[TrueTicket, ...]
    delivered: tuple[TrueTicket, ...]

    @property
    def hidden(self) -> tuple[TrueTicket, ...]:
        """Lost ones that a sync by MAX(modifiedTime) of the table would never ask for."""
        newest = max(ticket.modified_time for ticket in self.delivered)
        return tuple(ticket for ticket in self.lost if ticket.modified_time < newest)


@dataclass(frozen=True, slots=True)
class DemoResult:
    tickets: int
    first: SyncRunResult
    changes: Changes
    second: SyncRunResult
    comparison: Comparison


def find_mismatches(demo_result: DemoResult) -> Iterator[str]:
    """Whatever came out otherwise than it should have."""
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
        ("lost updates that MAX(modifiedTime) hides", len(demo_result.changes.hidden), 1),
        ("failed checks of the second sync", failed, [("webhook_gaps", "WARN")]),
        ("differences between table and helpdesk", demo_result.comparison.differences, {}),
        ("rows of the table", demo_result.comparison.rows, demo_result.comparison.tickets),
    )
    for what, seen, expected_value in expectations:
        if seen != expected_value:
            yield f"{what}: {seen}, expected {expected_value}"
