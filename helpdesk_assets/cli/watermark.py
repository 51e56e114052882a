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
from helpdesk_assets.errors import UserMistake
from helpdesk_assets.formatting import age, moment
from helpdesk_assets.model.state import RunRecord, SyncState
from helpdesk_assets.settings import Settings, load_settings
from helpdesk_assets.warehouse.statements.sync_state import Setting

SHOWN_ADVANCES = 10
# The cheapest call that tells the helpdesk's clock.
A_MINUTE = timedelta(minutes=1)


def show(*, as_json: bool) -> None:
    settings = load_settings()
    with open_tables(settings) as tables:
        state, advances = tables.read_state(), tables.last_advances(SHOWN_ADVANCES)
    if as_json:
        click.echo(json.dumps(as_object(settings.sync_name, state, advances)))
    else:
        _print(settings, state, advances)


def set_to(to: datetime, *, consent: bool) -> bool:
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
            click.echo(f"The watermark is {moment(now)} already.")
            return True
        if now is None or to > now:
            _refuse_ahead(settings, to)
        if not _agreed(watermark_effects.of_setting(state, to), consent=consent):
            return False
        setting = Setting(
            watermark=to,
            # It stands for another time.
            cursor=None,
            version=(state.version if state else 0) + 1,
            run_id=uuid.uuid4().hex,
            reason=f"set from {moment(now) if now else 'none'}",
        )
        tables.set_by_hand(setting, state)
    click.echo(f"The watermark is {moment(to)}.")
    return True


def rebuild(*, consent: bool) -> bool:
    """Make the state row again from the log; False where nobody consented.

    Raises:
        UserMistake: there is a state row, or no log to make it from.
        AnotherWriter: a run has made the row meanwhile.
    """
    settings = load_settings()
    with open_tables(settings) as tables:
        state = tables.read_state()
        if state is not None and state.version:
            raise UserMistake(
                f"Sync {settings.sync_name!r} has its state row, at version {state.version}: there "
                "is nothing to rebuild. To move the watermark: helpdesk-assets watermark set TIME."
            )
        line = next(iter(tables.last_advances(1)), None)
        if line is None:
            raise UserMistake(
                f"The run log of sync {settings.sync_name!r} is empty, so there is nothing to "
                "rebuild its state from. Run `helpdesk-assets sync`: it reads every ticket, and "
                "nothing is lost."
            )
        if not _agreed(watermark_effects.of_rebuilding(state, line), consent=consent):
            return False
        setting = Setting(
            watermark=line.watermark,
            cursor=line.cursor,
            version=line.version + 1,
            run_id=uuid.uuid4().hex,
            reason=f"rebuilt from run {line.run_id}",
        )
        tables.set_by_hand(setting, state)
    click.echo(f"The watermark is {moment(line.watermark) if line.watermark else 'none'}.")
    return True


def _agreed(said: list[str], *, consent: bool) -> bool:
    for sentence in said:
        click.echo(sentence)
    if consent:
        return True
    if sys.stdin.isatty():
        return click.confirm("Go on?")
    click.echo("Nothing was changed. The same with --yes does it.")
    return False


def _refuse_ahead(settings: Settings, to: datetime) -> None:
    """Ahead of the helpdesk's clock there may be changes to come that no run would look at."""
    from helpdesk_assets.providers.registry import make_helpdesk

    now = datetime.now(UTC)
    with closing(make_helpdesk(settings)) as helpdesk:
        page = next(iter(helpdesk.changes(now - A_MINUTE, now)))
        reached = page.served_at - helpdesk.capabilities.held_back
    if to > reached:
        raise UserMistake(
            f"{moment(to)} is ahead of what the helpdesk tells of, which is {moment(reached)} by "
            "its own clock: what changes until then would never be looked at. Nothing was changed."
        )


def as_object(
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

    click.echo(_standing(settings, state, lost=state is None and bool(advances)))
    if not advances:
        return
    table = Table("closed", "version", "watermark", "tickets", "what", box=None, pad_edge=False)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for run in advances:
        reached = moment(run.watermark) if run.watermark else "none"
        what = f"{run.mode}: {run.reason}"
        table.add_row(moment(run.closed_at), str(run.version), reached, f"{run.tickets:,}", what)
    console = Console()
    console.print()
    console.print(table)


def _standing(settings: Settings, state: SyncState | None, *, lost: bool) -> str:
    name = settings.sync_name
    if lost:
        return (
            f"Sync {name!r} has lost its state row, and its log is there: `helpdesk-assets "
            "watermark rebuild` makes the row again. Without that the next run reads everything."
        )
    if state is None or state.watermark is None:
        return f"Sync {name!r} has no watermark: no window has been read whole yet."
    old = age(datetime.now(UTC) - state.watermark)
    cursor = ", and the helpdesk's own cursor" if state.cursor else ""
    return (
        f"Sync {name!r} has come to {moment(state.watermark)} ({old} ago{cursor}), "
        f"version {state.version}."
    )
