"""The command `reconcile`: one sweep over all tickets, and the repair of what differs."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import click

from helpdesk_assets.checks.inventory import inventory_matches
from helpdesk_assets.cli.connections import open_parts
from helpdesk_assets.cli.progress import counting
from helpdesk_assets.formatting import moment
from helpdesk_assets.model.reconciliation import Kind, Outcome
from helpdesk_assets.operations.reconcile import ReconcileReport, Terms, reconcile
from helpdesk_assets.settings import load_settings

if TYPE_CHECKING:
    from rich.table import Table


def reconcile_once(*, only_look: bool, as_json: bool) -> bool:
    """Sweep, compare, repair and tell; False where something is wrong still."""
    settings = load_settings()
    with open_parts(settings) as parts, counting("tickets listed") as on_page:
        report = reconcile(
            parts.helpdesk,
            parts.tables,
            Terms.from_settings(settings, only_look=only_look),
            run_id=uuid.uuid4().hex,
            on_page=on_page,
        )
    verdict = inventory_matches(report)
    if as_json:
        click.echo(json.dumps(as_object(report)))
    else:
        from rich.console import Console

        console = Console()
        console.print(summary(report))
        console.print(verdict.description, highlight=False, markup=False)
    return not report.is_wrong


def as_object(report: ReconcileReport) -> dict[str, Any]:
    """The same for programs; times in ISO 8601."""
    sweep = report.sweep
    return {
        "status": "wrong" if report.is_wrong else "ok",
        "sweep_id": sweep.sweep_id,
        "listed_at": sweep.listed_at.isoformat(),
        "tickets_listed": report.sizes.listed,
        **{kind.value: report.count(kind) for kind in Kind},
        **{outcome.value: report.count(None, outcome) for outcome in Outcome},
        "unreadable": report.unreadable,
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


def summary(report: ReconcileReport) -> Table:
    """What a person wants to know of one reconciliation."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("listed at", moment(report.sweep.listed_at))
    table.add_row("tickets listed", f"{report.sizes.listed:,} in {report.sweep.pages:,} pages")
    table.add_row("rows alive", f"{report.sizes.alive:,}")
    for each in report.found:
        kind = each.kind.value.replace("_", " ")
        more = ", ..." if each.count > len(each.ticket_ids[:5]) else ""
        named = ", ".join(each.ticket_ids[:5])
        table.add_row(f"  {kind}, {each.outcome}", f"{each.count:,}: {named}{more}")
    table.add_row("API calls", f"{report.api_calls:,}")
    table.add_row("query jobs", f"{report.query_jobs} (load jobs: {report.load_jobs})")
    table.add_row("seconds", f"{report.seconds:.1f}")
    return table
