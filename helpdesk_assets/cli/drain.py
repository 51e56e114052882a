"""The command `drain`: merge the webhooks that wait, once or every few minutes. No Dagster here."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from helpdesk_assets.cli.connections import open_connections
from helpdesk_assets.errors import RetryableError, SettingsError
from helpdesk_assets.formatting import format_time
from helpdesk_assets.operations.drain import DrainPolicy, DrainReport, drain
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse.stores.lease_waiting import Sightings

if TYPE_CHECKING:
    from rich.table import Table


def drain_once(*, as_json: bool) -> bool:
    """Drain once and print the report. Returns False if something but time keeps events waiting."""
    report = _drain(load_settings(), everything=True, wait=None)
    _print(report, as_json=as_json)
    if report.error is not None:
        click.echo(_left(report), err=True)
    return report.error is None


def drain_repeatedly(*, as_json: bool, sleep: Callable[[float], None] = time.sleep) -> None:
    """Drain every WEBHOOK_DRAIN_SECONDS until stopped, and print each drain that found something.

    Raises:
        SettingsError: WEBHOOK_DRAIN_SECONDS is 0.
        HelpdeskAssetsError: a person has to change something.
    """
    settings = load_settings()
    seconds = settings.webhook_drain_seconds
    if not seconds:
        raise SettingsError("WEBHOOK_DRAIN_SECONDS is 0. Set it to the seconds between two drains.")
    click.echo(f"Draining every {seconds} s. Ctrl-C stops it.", err=True)
    everything, sightings = True, Sightings()
    while True:
        try:
            report = _drain(settings, everything=everything, wait=timedelta(0), sightings=sightings)
        except RetryableError as error:
            click.echo(f"{error} The next drain tries again.", err=True)
        else:
            everything = False
            if report.waiting:
                _print(report, as_json=as_json)
            if report.error is not None:
                click.echo(_left(report), err=True)
        sleep(seconds)


def to_json_object(report: DrainReport) -> dict[str, Any]:
    """The object that `--json` prints; times in ISO 8601."""
    return {
        "status": "ok" if report.error is None else "waiting",
        "waiting": report.waiting,
        "oldest": report.oldest.isoformat() if report.oldest else None,
        "merged": report.merged,
        "unknown": report.unknown,
        "not_stored": report.not_stored,
        "left": report.left,
        "tickets_fetched": report.fetched,
        "problems": list(report.problems),
    }


def summary(report: DrainReport) -> Table:
    """The report of one drain, for people."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    oldest = f", the oldest since {format_time(report.oldest)}" if report.oldest else ""
    table.add_row("webhooks waiting", f"{report.waiting:,}{oldest}")
    table.add_row("  merged", f"{report.merged:,}")
    table.add_row("  unknown tickets", f"{report.unknown:,}")
    table.add_row("  not stored", f"{report.not_stored:,}")
    for problem in report.problems:
        table.add_row("", problem)
    table.add_row("  still waiting", f"{report.left:,}")
    table.add_row("tickets fetched", f"{report.fetched:,}")
    table.add_row("seconds", f"{report.seconds:.1f}")
    return table


def _drain(
    settings: Settings,
    *,
    everything: bool,
    wait: timedelta | None,
    sightings: Sightings | None = None,
) -> DrainReport:
    with open_connections(settings, sightings) as connections:
        return drain(
            connections.helpdesk,
            connections.tables,
            run_id=uuid.uuid4().hex,
            everything=everything,
            policy=DrainPolicy.from_settings(settings),
            wait=wait,
        )


def _print(report: DrainReport, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(to_json_object(report)))
        return
    from rich.console import Console

    Console().print(summary(report))


def _left(report: DrainReport) -> str:
    return f"{report.left} of {report.waiting} webhooks still wait. {report.error}"
