"""The commands `watermark show`, `set` and `rebuild`: how far a sync has come, seen and mended.

What would change is said first. Without consent it is only said.
"""

from __future__ import annotations

import json
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from helpdesk_assets.cli import watermark_effects
from helpdesk_assets.cli.connections import open_tables
from helpdesk_assets.errors import UserError
from helpdesk_assets.formatting import format_duration, format_time
from helpdesk_assets.model.state import RunRecord, SyncState
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse.statements.sync_state import ManualState

SHOWN_ADVANCES = 10
# The cheapest call that tells the helpdesk's clock.
PROBE_WINDOW = timedelta(minutes=1)


def show(*, as_json: bool) -> None:
    settings = load_settings()
    with open_tables(settings) as tables:
        state, advances = tables.read_state(), tables.last_advances(SHOWN_ADVANCES)
    if as_json:
        click.echo(json.dumps(to_json_object(settings.sync_name, state, advances)))
    else:
        _print(settings, state, advances)


def move_watermark(to: datetime, *, confirmed: bool) -> bool:
    """Set the watermark; False where nobody consented.

    Raises:
        UserMistake: the time is ahead of the helpdesk's clock.
        AnotherWriter: a run has moved the watermark meanwhile.
    """
    settings = load_settings()
    with open_tables(settings) as tables:
        state = tables.read_state()
        now = state.watermark if state else None
        if now == to:
            click.echo(f"The watermark is {format_time(now)} already.")
            return True
        if now is None or to > now:
            _reject_future(settings, to)
        if not _confirm(watermark_effects.describe_set(state, to), confirmed=confirmed):
            return False
        manual_state = ManualState(
            watermark=to,
            # It stands for another time.
            cursor=None,
            version=(state.version if state else 0) + 1,
            run_id=uuid.uuid4().hex,
            reason=f"set from {format_time(now) if now else 'none'}",
        )
        tables.set_manually(manual_state, state)
    click.echo(f"The watermark is {format_time(to)}.")
    return True


def rebuild(*, confirmed: bool) -> bool:
    """Make the state row again from the log; False where nobody consented.

    Raises:
        UserMistake: there is a state row, or no log to make it from.
        AnotherWriter: a run has made the row meanwhile.
    """
    settings = load_settings()
    with open_tables(settings) as tables:
        state = tables.read_state()
        if state is not None and state.version:
            raise UserError(
                f"Sync {settings.sync_name!r} has its state row, at version {state.version}: there "
                "is nothing to rebuild. To move the watermark: helpdesk-assets watermark set TIME."
            )
        record = next(iter(tables.last_advances(1)), None)
        if record is None:
            raise UserError(
                f"The run log of sync {settings.sync_name!r} is empty, so there is nothing to "
                "rebuild its state from. Run `helpdesk-assets sync`: it reads every ticket, and "
                "nothing is lost."
            )
        if not _confirm(watermark_effects.describe_rebuild(state, record), confirmed=confirmed):
            return False
        manual_state = ManualState(
            watermark=record.watermark,
            cursor=record.cursor,
            version=record.version + 1,
            run_id=uuid.uuid4().hex,
            reason=f"rebuilt from run {record.run_id}",
        )
        tables.set_manually(manual_state, state)
    click.echo(f"The watermark is {format_time(record.watermark) if record.watermark else 'none'}.")
    return True


def _confirm(sentences: list[str], *, confirmed: bool) -> bool:
    for sentence in sentences:
        click.echo(sentence)
    if confirmed:
        return True
    if sys.stdin.isatty():
        return click.confirm("Go on?")
    click.echo("Nothing was changed. The same with --yes does it.")
    return False


def _reject_future(settings: Settings, to: datetime) -> None:
    """Ahead of the helpdesk's clock there may be changes to come that no run would look at."""
    from helpdesk_assets.providers.registry import make_helpdesk

    now = datetime.now(UTC)
    with closing(make_helpdesk(settings)) as helpdesk:
        page = next(iter(helpdesk.changes(now - PROBE_WINDOW, now)))
        reached = page.served_at - helpdesk.capabilities.settle_delay
    if to > reached:
        raise UserError(
            f"{format_time(to)} is ahead of what the helpdesk tells of, which is "
            f"{format_time(reached)} by its own clock: what changes until then would never be "
            "looked at. Nothing was changed."
        )


def to_json_object(
    sync_name: str, state: SyncState | None, advances: tuple[RunRecord, ...]
) -> dict[str, Any]:
    """For programs; times in ISO 8601."""
    return {
        "sync_name": sync_name,
        "watermark": _iso(state.watermark if state else None),
        "version": state.version if state else 0,
        "cursor": state.cursor if state else None,
        "advances": [_advance(run) for run in advances],
    }


def _advance(run: RunRecord) -> dict[str, Any]:
    return {
        "version": run.version,
        "run_id": run.run_id,
        "closed_at": _iso(run.closed_at),
        "mode": run.mode.value,
        "reason": run.reason,
        "since": _iso(run.window.since if run.window else None),
        "until": _iso(run.window.until if run.window else None),
        "watermark": _iso(run.watermark),
        "cursor": run.cursor,
        **run.counts,
    }


def _iso(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat() if when else None


def _print(settings: Settings, state: SyncState | None, advances: tuple[RunRecord, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    click.echo(_describe_state(settings, state, lost=state is None and bool(advances)))
    if not advances:
        return
    table = Table("closed", "version", "watermark", "tickets", "what", box=None, pad_edge=False)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for run in advances:
        reached = format_time(run.watermark) if run.watermark else "none"
        what = f"{run.mode}: {run.reason}"
        table.add_row(
            format_time(run.closed_at), str(run.version), reached, f"{run.tickets:,}", what
        )
    console = Console()
    console.print()
    console.print(table)


def _describe_state(settings: Settings, state: SyncState | None, *, lost: bool) -> str:
    name = settings.sync_name
    if lost:
        return (
            f"Sync {name!r} has lost its state row, and its log is there: `helpdesk-assets "
            "watermark rebuild` makes the row again. Without that the next run reads everything."
        )
    if state is None or state.watermark is None:
        return f"Sync {name!r} has no watermark: no window has been read whole yet."
    old = format_duration(datetime.now(UTC) - state.watermark)
    cursor = ", and the helpdesk's own cursor" if state.cursor else ""
    return (
        f"Sync {name!r} has come to {format_time(state.watermark)} ({old} ago{cursor}), "
        f"version {state.version}."
    )
