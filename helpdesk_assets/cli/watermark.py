"""The commands `watermark show`, `set` and `rebuild`: how far a sync has read, shown and repaired.

`set` and `rebuild` print their effect first, and apply it only once it is confirmed.
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
from helpdesk_assets.formatting import format_age, format_iso, format_time
from helpdesk_assets.model.state import RunRecord, SyncState
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse.base import ManualState

SHOWN_ADVANCES = 10
# The cheapest call whose answer carries the helpdesk's clock.
PROBE_WINDOW = timedelta(minutes=1)
# Clocks differ by minutes, and by hours where a zone is wrong.
FAR_AHEAD = timedelta(days=1)


def show(*, as_json: bool) -> None:
    """Print the watermark and the last advances."""
    settings = load_settings()
    with open_tables(settings) as tables:
        state, advances = tables.read_state(), tables.last_advances(SHOWN_ADVANCES)
    if as_json:
        click.echo(json.dumps(to_json_object(settings.sync_name, state, advances)))
    else:
        _print(settings, state, advances)


def move_watermark(to: datetime, *, confirmed: bool) -> bool:
    """Set the watermark. Returns False if the change was not confirmed.

    Raises:
        UserError: the time is ahead of the helpdesk's clock.
        WriterBusy: a run wrote tickets for longer than one waits.
        ConcurrentUpdate: a run moved the watermark in between.
    """
    settings = load_settings()
    with open_tables(settings) as tables:
        state = tables.read_state()
        current = state.watermark if state else None
        if current == to and not (state and state.damaged):
            click.echo(f"The watermark is {format_time(current)} already.")
            return True
        if current is None or to > current:
            _reject_future(settings, to)
        if not _confirm(watermark_effects.describe_set(state, to), confirmed=confirmed):
            return False
        manual_state = ManualState(
            watermark=to,
            # The stored cursor belongs to the old watermark.
            cursor=None,
            version=(state.version if state else 0) + 1,
            run_id=uuid.uuid4().hex,
            reason=f"set from {format_time(current) if current else 'none'}",
        )
        with tables.lease("watermark", run_id=manual_state.run_id):
            tables.set_manually(manual_state, state)
    click.echo(f"The watermark is {format_time(to)}.")
    return True


def rebuild(*, confirmed: bool) -> bool:
    """Rebuild the state row from the run log. Returns False if the change was not confirmed.

    Raises:
        UserError: nothing is wrong with the state row, or the log is empty.
        WriterBusy: a run wrote tickets for longer than one waits.
        ConcurrentUpdate: a run created the row in between.
    """
    settings = load_settings()
    with open_tables(settings) as tables:
        state = tables.read_state()
        if state is not None and state.version and not _needs_rebuild(state):
            raise UserError(
                f"Sync {settings.sync_name!r} has its state row, at version {state.version}: there "
                "is nothing to rebuild. To move the watermark, run `helpdesk-assets watermark set "
                "TIME`."
            )
        record = _last_plausible(tables.last_advances(SHOWN_ADVANCES))
        if record is None:
            raise UserError(
                f"The run log of sync {settings.sync_name!r} is empty, so its state cannot be "
                "rebuilt. Run `helpdesk-assets sync --full`: it reads every ticket, and nothing is "
                "lost."
            )
        if not _confirm(watermark_effects.describe_rebuild(state, record), confirmed=confirmed):
            return False
        manual_state = ManualState(
            watermark=record.watermark,
            cursor=record.cursor,
            version=max(record.version, state.version if state else 0) + 1,
            run_id=uuid.uuid4().hex,
            reason=f"rebuilt from run {record.run_id}",
        )
        with tables.lease("watermark", run_id=manual_state.run_id):
            tables.set_manually(manual_state, state)
    click.echo(f"The watermark is {format_time(record.watermark) if record.watermark else 'none'}.")
    return True


def _needs_rebuild(state: SyncState) -> bool:
    """Whether the row cannot be read whole, or is ahead of any clock."""
    return bool(state.damaged) or is_far_ahead(state.watermark)


def _last_plausible(advances: tuple[RunRecord, ...]) -> RunRecord | None:
    """The newest run of the log whose watermark is not ahead of any clock."""
    return next((run for run in advances if not is_far_ahead(run.watermark)), None)


def is_far_ahead(watermark: datetime | None) -> bool:
    """Whether no clock of a helpdesk can have shown this watermark yet."""
    return watermark is not None and watermark > datetime.now(UTC) + FAR_AHEAD


def _confirm(sentences: list[str], *, confirmed: bool) -> bool:
    for sentence in sentences:
        click.echo(sentence)
    if confirmed:
        return True
    if sys.stdin is not None and sys.stdin.isatty():
        return click.confirm("Apply the change?")
    click.echo("Nothing was changed. Add --yes to apply the change.")
    return False


def _reject_future(settings: Settings, to: datetime) -> None:
    """No run would read changes made between now and a time ahead of the helpdesk's clock."""
    from helpdesk_assets.providers.registry import make_helpdesk

    now = datetime.now(UTC)
    with closing(make_helpdesk(settings)) as helpdesk:
        page = next(iter(helpdesk.changes(now - PROBE_WINDOW, now)))
        settle_delay = helpdesk.capabilities.settle_delay
        reached = page.served_at - helpdesk.clock_lead - settle_delay
    if to > reached:
        raise UserError(
            f"{format_time(to)} is ahead of the helpdesk's clock, which shows changes up to "
            f"{format_time(reached)}: no run would read what changes until then. Nothing was "
            "changed; name an earlier time."
        )


def to_json_object(
    sync_name: str, state: SyncState | None, advances: tuple[RunRecord, ...]
) -> dict[str, Any]:
    """The object that `--json` prints; times in ISO 8601, UTC."""
    return {
        "sync_name": sync_name,
        "watermark": format_iso(state.watermark if state else None),
        "version": state.version if state else 0,
        "cursor": state.cursor if state else None,
        "advances": [_advance(run) for run in advances],
    }


def _advance(run: RunRecord) -> dict[str, Any]:
    return {
        "version": run.version,
        "run_id": run.run_id,
        "closed_at": format_iso(run.closed_at),
        "mode": run.mode.value,
        "reason": run.reason,
        "since": format_iso(run.window.since if run.window else None),
        "until": format_iso(run.window.until if run.window else None),
        "watermark": format_iso(run.watermark),
        "cursor": run.cursor,
        **run.counts,
    }


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
            f"Sync {name!r} has lost its state row, but its run log is there: `helpdesk-assets "
            "watermark rebuild` restores the row. Otherwise the next run reads every ticket."
        )
    if state is None or state.watermark is None:
        return f"Sync {name!r} has no watermark: no window has been read whole yet."
    cursor = ", and the helpdesk's own cursor" if state.cursor else ""
    return (
        f"Sync {name!r} has read everything up to {format_time(state.watermark)} "
        f"({format_age(datetime.now(UTC) - state.watermark, 'ago')}{cursor}), "
        f"version {state.version}."
    )
