"""The command `status`: what the state row holds; the helpdesk is not called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from helpdesk_assets.cli.connections import open_tables
from helpdesk_assets.cli.waiting import read_waiting
from helpdesk_assets.formatting import format_age, format_iso, format_time
from helpdesk_assets.model.lease import LeaseRecord
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import Checkpoint, RunRecord, SyncState
from helpdesk_assets.model.webhook_events import WaitingEvents
from helpdesk_assets.model.webhooks import JudgedBy, WebhookCounts
from helpdesk_assets.operations.ground import full_load_reason
from helpdesk_assets.settings import Settings, load_settings

HOURS = 24
SHOWN_RUNS = 8


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` shows. `state` is None before the first run or checkpoint.

    `ground_reason` is what is wrong with the tables; the next run reads everything then.
    `writer` is who writes tickets just now; nobody if None.
    `waiting`: the webhooks that a drain has to merge, None without a receiver.
    `missed`: how many missed updates were recorded lately, None if nothing is known of webhooks.
    """

    sync_name: str
    state: SyncState | None
    missed: int | None
    now: datetime
    ground_reason: str | None = None
    writer: LeaseRecord | None = None
    waiting: WaitingEvents | None = None

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """The last runs, newest first."""
        return known_runs(self.state) if self.state else ()


def show_status(*, as_json: bool) -> None:
    """Print the status, for people or as JSON."""
    settings = load_settings()
    status = read_status(settings)
    if as_json:
        click.echo(json.dumps(to_json_object(status)))
    elif status.state is None:
        click.echo(
            f"Sync {status.sync_name!r} has not run yet in "
            f"{settings.bigquery_project}.{settings.bigquery_dataset}. "
            "Run `helpdesk-assets sync`; the first run reads every ticket."
        )
        if status.waiting and status.waiting.count:
            click.echo(f"Waiting for it: {status.waiting.describe(status.now)}.")
    else:
        _print(status, status.state)


def read_status(settings: Settings) -> Status:
    """Read the status from the warehouse."""
    now = datetime.now(UTC)
    with open_tables(settings) as tables:
        state = tables.read_state()
        # Before a run has closed, the ledger may not exist yet, only a checkpoint.
        missed = tables.missed_in_last_hours(HOURS) if state and state.version else 0
        ground_reason = full_load_reason(state, tables.ground())
        writer = tables.writer()
        waiting = read_waiting(tables, now)
    is_known = missed > 0 or (state is not None and state.facts.webhooks.is_judged)
    known = missed if is_known else None
    return Status(settings.sync_name, state, known, now, ground_reason, writer, waiting)


def to_json_object(status: Status) -> dict[str, Any]:
    """The object that `--json` prints; times in ISO 8601, UTC."""
    state = status.state
    watermark = state.watermark if state else None
    return {
        "sync_name": status.sync_name,
        "watermark": format_iso(watermark),
        "watermark_age_seconds": (
            round((status.now - watermark).total_seconds()) if watermark else None
        ),
        "rows": state.facts.rows if state else None,
        "tables_changed": status.ground_reason,
        "writer": status.writer.holder if status.writer else None,
        "webhooks_waiting": _waiting(status.waiting) if status.waiting else None,
        "missed_last_24_hours": status.missed,
        "webhooks": state.facts.webhooks.text if state else None,
        "checkpoint": _checkpoint(state.checkpoint) if state and state.checkpoint else None,
        "runs": [_run(run) for run in status.runs],
    }


def _run(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "closed_at": format_iso(run.closed_at),
        "mode": run.mode.value,
        "reason": run.reason,
        "since": format_iso(run.window.since if run.window else None),
        "until": format_iso(run.window.until if run.window else None),
        "tickets": run.tickets,
        "missed": run.missed if run.judged_by is not JudgedBy.NOTHING else None,
    }


def _waiting(waiting: WaitingEvents) -> dict[str, Any]:
    return {"events": waiting.count, "oldest": format_iso(waiting.oldest)}


def _checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "tickets": checkpoint.rows,
        "pages": checkpoint.pages,
        "share": checkpoint.share,
        "saved_at": format_iso(checkpoint.saved_at),
    }


def _print(status: Status, state: SyncState) -> None:
    from rich.console import Console
    from rich.table import Table

    facts = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_row("sync", status.sync_name)
    facts.add_row("watermark", _watermark(state, status.now))
    if status.writer:
        facts.add_row("writer", status.writer.describe(status.now))
    if status.waiting:
        facts.add_row("waiting", status.waiting.describe(status.now))
    if checkpoint := state.checkpoint:
        share = "" if checkpoint.share is None else f" ({checkpoint.share:.0%} of the window)"
        stored_text = (
            f"{checkpoint.rows:,} tickets{share} stored at {format_time(checkpoint.saved_at)}"
        )
        facts.add_row("checkpoint", f"{stored_text}; the next run resumes there")
    if state.version:
        facts.add_row("rows", f"{state.facts.rows:,} in tickets when the last run closed")
        if status.ground_reason:
            facts.add_row("tables", f"{status.ground_reason}; the next run reads every ticket")
        facts.add_row("missed updates", _missed(status.missed, state.facts.webhooks))
    runs = Table("last runs", "mode", "tickets", "missed", "reason", box=None, pad_edge=False)
    runs.columns[0].no_wrap = True
    for run in status.runs[:SHOWN_RUNS]:
        is_judged = run.judged_by is not JudgedBy.NOTHING
        counts = (f"{run.tickets:,}", f"{run.missed:,}" if is_judged else "-")
        runs.add_row(format_time(run.closed_at), run.mode.value, *counts, run.reason)
    console = Console()
    console.print(facts)
    if status.runs:
        console.print()
        console.print(runs)


def _missed(missed: int | None, webhooks: WebhookCounts) -> str:
    if missed is None:
        return webhooks.text
    recorded = f"{missed:,} recorded in the last {HOURS} h"
    return recorded if webhooks.is_judged else f"{recorded}; the last run: {webhooks.text}"


def _watermark(state: SyncState, now: datetime) -> str:
    if state.watermark is None:
        then = "" if state.checkpoint else ", so the next run reads every ticket"
        return f"none: no window has been read whole yet{then}"
    return f"{format_time(state.watermark)} ({format_age(now - state.watermark, 'old')})"
