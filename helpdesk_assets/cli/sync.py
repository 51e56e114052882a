"""The command `sync`: one sync with the settings of the environment.

No Dagster here: its import alone takes longer than an incremental run.
"""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING

import click

from helpdesk_assets.cli.connections import open_connections
from helpdesk_assets.cli.progress import fetch_progress
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.formatting import format_bytes, format_phases, format_time
from helpdesk_assets.operations.account import account_of, describe_adoption
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger(__name__)

NAMED_MISSED = 5


def sync_once(*, full: bool, adopt_account: bool, as_json: bool) -> None:
    """Run one sync and print its report; before, take the dataset over if that is wanted."""
    if adopt_account:
        _adopt(load_settings())
    run_and_report(SyncRequest(RequestedMode.FULL if full else RequestedMode.AUTO), as_json=as_json)


def _adopt(settings: Settings) -> None:
    """Say what adopting the dataset does, on stderr, and do it."""
    with open_connections(settings) as connections:
        account = account_of(connections.helpdesk.capabilities)
        effect = describe_adoption(connections.tables, account)
        if effect is None:
            click.echo("The dataset is this account's already; nothing to adopt.", err=True)
            return
        click.echo(effect, err=True)
        run_id = uuid.uuid4().hex
        with connections.tables.lease("adoption", run_id=run_id):
            connections.tables.adopt(account, run_id=run_id)


def run_and_report(sync_request: SyncRequest, *, as_json: bool) -> None:
    """Run one sync or range and print its report."""
    settings = load_settings()
    with open_connections(settings) as connections, fetch_progress() as listener:
        report = run_sync(
            connections.helpdesk,
            connections.tables,
            sync_request,
            SyncPolicy.from_settings(settings),
            run_id=uuid.uuid4().hex,
            purpose="repair" if sync_request.is_repair else "sync",
            on_page=listener.on_page,
            on_phase=listener.on_phase,
        )
    result = json.dumps(report.result())
    log.info("%s", result)
    if as_json:
        click.echo(result)
        return
    from rich.console import Console

    Console().print(summary(report))


def summary(report: SyncReport) -> Table:
    """The report of one run, for people."""
    from rich.table import Table

    manifest, facts = report.manifest, report.facts
    window = manifest.window
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("mode", f"{manifest.mode}: {manifest.reason}")
    table.add_row("window", f"{format_time(window.since)} to {format_time(window.until)}")
    table.add_row("tickets", f"{report.tickets_synced:,}")
    table.add_row("  inserted", f"{facts.inserted:,}")
    table.add_row("  updated", f"{facts.updated:,}")
    table.add_row("  unchanged", f"{facts.unchanged:,}")
    table.add_row("  rejected as older", f"{facts.rejected:,}")
    if manifest.bad_count:
        bad = ", ".join(f"{bad.ticket_id} ({bad.field})" for bad in manifest.bad[:NAMED_MISSED])
        table.add_row("  unreadable", f"{manifest.bad_count:,}  {bad}")
    table.add_row("missed updates", _missed(report))
    if manifest.mapping_notice:
        table.add_row("notice", manifest.mapping_notice)
    api = manifest.api
    table.add_row("API calls", f"{api.calls:,} ({format_bytes(api.bytes_received)})")
    table.add_row("query jobs", f"{report.query_jobs} (load jobs: {report.load_jobs})")
    table.add_row("seconds", format_phases(report.seconds))
    return table


def _missed(report: SyncReport) -> str:
    facts = report.facts
    if not facts.webhooks.is_judged:
        return facts.webhooks.text
    if not facts.missed:
        return f"{facts.missed_total:,}"
    named = [f"{missed.ticket_id} ({missed.reason})" for missed in facts.missed[:NAMED_MISSED]]
    more = ", ..." if facts.missed_total > len(named) else ""
    return f"{facts.missed_total:,}: {', '.join(named)}{more}"
