"""The command `repair`: bring some tickets, or those of a range, up to date beside the schedule.

A range is read like a window of the sync, tickets one by one by id. Neither moves the watermark. No
Dagster here, as in `sync`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from helpdesk_assets.cli.connections import open_connections
from helpdesk_assets.cli.sync import run_and_report
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.operations.repair import RepairReport, repair_tickets
from helpdesk_assets.settings import load_settings

if TYPE_CHECKING:
    from rich.table import Table


def repair_range(*, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """Read and merge every change of the range."""
    run_and_report(SyncRequest(since=since, until=until, is_repair=True), as_json=as_json)


def repair_by_id(ids: Sequence[str], *, mark_deleted: bool, as_json: bool) -> bool:
    """Fetch and merge each ticket. Returns False if one could not be read."""
    settings = load_settings()
    with open_connections(settings) as connections:
        report = repair_tickets(
            connections.helpdesk,
            connections.tables,
            ids,
            run_id=uuid.uuid4().hex,
            webhooks=settings.webhooks,
            concurrency=settings.helpdesk_concurrency,
            mark_deleted=mark_deleted,
            listing_delay=settings.listing_delay,
        )
    if as_json:
        click.echo(json.dumps({"status": "ok", **asdict(report)}))
    else:
        from rich.console import Console

        Console().print(summary(report))
    return not report.unreadable


def summary(report: RepairReport) -> Table:
    """The report of one repair, for people."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("tickets requested", f"{report.asked:,}")
    table.add_row("  merged", f"{report.merged:,}")
    table.add_row("  of them deleted", f"{report.deleted:,}")
    table.add_row("  unchanged", f"{report.unchanged:,}")
    table.add_row("  newer here", f"{report.rejected:,}")
    table.add_row(
        "  not found", _count_and_names(report.not_found, ", ".join(report.not_found_named))
    )
    table.add_row(
        "  unreadable", _count_and_names(report.unreadable, " ".join(report.unreadable_named))
    )
    table.add_row(
        "  not found, may exist", _count_and_names(report.unproven, " ".join(report.unproven_named))
    )
    return table


def _count_and_names(count: int, names: str) -> str:
    return f"{count:,}: {names}" if names else f"{count:,}"
