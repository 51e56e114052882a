"""The command `reconcile`: compare all tickets with the table, and repair differences."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import click

from helpdesk_assets.checks.inventory import inventory_matches
from helpdesk_assets.cli.connections import open_connections
from helpdesk_assets.cli.progress import count_progress
from helpdesk_assets.formatting import format_time
from helpdesk_assets.model.reconciliation import DifferenceKind, DifferenceOutcome
from helpdesk_assets.operations.archive import ArchiveReport
from helpdesk_assets.operations.reconcile import ReconcilePolicy, ReconcileReport, reconcile
from helpdesk_assets.settings import load_settings

if TYPE_CHECKING:
    from rich.table import Table


def reconcile_once(*, dry_run: bool, as_json: bool) -> bool:
    """Reconcile once and print the report. Returns False if something is still wrong."""
    settings = load_settings().for_reconciliation
    with open_connections(settings) as connections, count_progress("tickets listed") as on_page:
        report = reconcile(
            connections.helpdesk,
            connections.tables,
            ReconcilePolicy.from_settings(settings, dry_run=dry_run),
            run_id=uuid.uuid4().hex,
            on_page=on_page,
        )
    check_result = inventory_matches(report)
    if as_json:
        click.echo(json.dumps(to_json_object(report)))
    else:
        from rich.console import Console

        console = Console()
        console.print(summary(report))
        console.print(check_result.description, highlight=False, markup=False)
    return not report.is_wrong


def to_json_object(report: ReconcileReport) -> dict[str, Any]:
    """The object that `--json` prints; times in ISO 8601."""
    snapshot = report.snapshot
    return {
        "status": "wrong" if report.is_wrong else "ok",
        "sweep_id": snapshot.sweep_id,
        "listed_at": snapshot.listed_at.isoformat(),
        "tickets_listed": report.row_counts.listed,
        **{kind.value: report.count(kind) for kind in DifferenceKind},
        **{outcome.value: report.count(None, outcome) for outcome in DifferenceOutcome},
        "unreadable": report.unreadable,
        "unproven": report.repaired.unproven,
        "archive": _archive(report.archive),
        "refused": report.refused,
        "differences": [
            {
                "kind": each.kind.value,
                "outcome": each.outcome.value,
                "count": each.count,
                "ticket_ids": list(each.ticket_ids),
            }
            for each in report.found
        ],
    }


def _archive(archive: ArchiveReport | None) -> dict[str, Any] | None:
    if archive is None:
        return None
    return {
        "newest": archive.newest,
        "not_listed": archive.not_listed,
        "asked_up_to": archive.asked_up_to,
        "added": archive.repaired.merged,
        "stopped": archive.stopped,
    }


def summary(report: ReconcileReport) -> Table:
    """The report of one reconciliation, for people."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("listed at", format_time(report.snapshot.listed_at))
    table.add_row(
        "tickets listed", f"{report.row_counts.listed:,} in {report.snapshot.pages:,} pages"
    )
    table.add_row("rows alive", f"{report.row_counts.alive:,}")
    for each in report.found:
        kind = each.kind.value.replace("_", " ")
        more = ", ..." if each.count > len(each.ticket_ids[:5]) else ""
        named = ", ".join(each.ticket_ids[:5])
        table.add_row(f"  {kind}, {each.outcome}", f"{each.count:,}: {named}{more}")
    table.add_row("API calls", f"{report.api_calls:,}")
    table.add_row("query jobs", f"{report.query_jobs} (load jobs: {report.load_jobs})")
    table.add_row("seconds", f"{report.seconds:.1f}")
    return table
