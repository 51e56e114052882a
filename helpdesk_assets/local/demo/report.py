"""Output of the demo. All figures come from its results; none is computed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from helpdesk_assets.local.demo.results import DemoResult, SyncRunResult

MAX_NAMED_IDS = 5
SYNC_ROWS: dict[str, Callable[[SyncRunResult], str]] = {
    "mode": lambda sync: sync.mode,
    "tickets": lambda sync: f"{sync.tickets:,}",
    "  inserted": lambda sync: f"{sync.facts.inserted:,}",
    "  updated": lambda sync: f"{sync.facts.updated:,}",
    "  unchanged": lambda sync: f"{sync.facts.unchanged:,}",
    "missed updates found": lambda sync: f"{sync.facts.missed_total:,}",
    "API calls": lambda sync: f"{sync.api_calls:,}",
    "query jobs": lambda sync: f"{sync.query_jobs:,}",
    "load jobs": lambda sync: f"{sync.load_jobs:,}",
    "seconds for reading the helpdesk": lambda sync: f"{sync.fetch_seconds:.1f}",
    "seconds in total, with checks": lambda sync: f"{sync.seconds:.1f}",
}


def step(console: Console, text: str) -> None:
    """Print the headline of a step."""
    console.print(f"[bold]>[/] {text}")


def print_result(console: Console, demo_result: DemoResult) -> None:
    """Print the result as tables: syncs, lost webhooks, checks, and the comparison."""
    for table in (
        _syncs(demo_result),
        _lost(demo_result),
        _checks(demo_result),
        _comparison(demo_result),
    ):
        console.print()
        console.print(table)


def print_verdict(console: Console, mismatches: Sequence[str], seconds: float) -> None:
    """Print whether the demo succeeded.

    Args:
        console: the demo's output.
        mismatches: sentences from `results.find_mismatches`.
        seconds: duration of the demo.
    """
    console.print()
    for mismatch in mismatches:
        console.print(f"[bold red]Unexpected[/] {mismatch}", markup=True)
    verdict = (
        f"[bold red]The demo failed: {len(mismatches)} results are not as expected.[/]"
        if mismatches
        else "[bold green]The demo succeeded: all results are as expected.[/]"
    )
    console.print(f"{verdict} It took {seconds:.0f} s and has stopped all its processes.")


def _table(title: str, *columns: str) -> Table:
    return Table(
        *columns, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )


def _syncs(demo_result: DemoResult) -> Table:
    table = _table("What the two syncs did", "", "first", "second")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, value in SYNC_ROWS.items():
        table.add_row(name, value(demo_result.first), value(demo_result.second))
    return table


def _lost(demo_result: DemoResult) -> Table:
    table = _table("Lost webhooks", "ticket", "changed at", "found", "")
    found = {missed.ticket_id: missed for missed in demo_result.second.facts.missed}
    hidden = {ticket.ticket_id for ticket in demo_result.changes.hidden}
    for ticket in demo_result.changes.lost:
        missed = found.get(ticket.ticket_id)
        late = f"yes, {missed.lag_seconds / 60:.0f} min later" if missed else "[bold red]NO[/]"
        note = "MAX(modifiedTime) skips it" if ticket.ticket_id in hidden else ""
        table.add_row(ticket.ticket_id, f"{ticket.modified_time:%H:%M:%S}Z", late, note)
    return table


def _checks(demo_result: DemoResult) -> Table:
    table = _table("Checks after the second sync", "check", "result", "")
    for check in demo_result.second.checks:
        verdict = "[green]passed[/]" if check.passed else f"[yellow]{check.severity}[/]"
        reason = "" if check.passed else check.description.partition(". ")[0]
        table.add_row(check.name, verdict, reason)
    return table


def _comparison(demo_result: DemoResult) -> Table:
    compared = demo_result.comparison
    table = _table("Table and helpdesk", "", "")
    table.show_header = False
    table.add_row("tickets in the helpdesk", f"{compared.tickets:,}")
    table.add_row("rows in the table", f"{compared.rows:,}")
    for kind, ids in compared.differences.items():
        more = ", ..." if len(ids) > MAX_NAMED_IDS else ""
        table.add_row(kind, f"[bold red]{len(ids):,}[/]: {', '.join(ids[:MAX_NAMED_IDS])}{more}")
    if compared.is_equal:
        table.add_row("differences in any field", "[green]none[/]")
    return table
