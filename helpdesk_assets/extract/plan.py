"""Decide, before anything is asked, which window a run reads and whether it may move the watermark.

Pure: state and options in, plan out. Must not know how a window is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from helpdesk_assets.errors import UserMistake
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import SyncState, Unfinished
from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.base import Capabilities

WENT_ON = ", gone on with where it was interrupted"


class Ask(StrEnum):
    """What the user wants: `auto` is incremental where there is a watermark and full elsewhere."""

    AUTO = "auto"
    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True)
class Options:
    """A user's wishes for one run. With `since` or `until` the run reads just that range."""

    ask: Ask = Ask.AUTO
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_range(self) -> bool:
        return self.since is not None or self.until is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run will do. `since` None: from the beginning. `seen_*`: the state row it saw.
    `unfinished`: the interrupted reading that it goes on with."""

    mode: Mode
    reason: str
    since: datetime | None
    until: datetime | None
    cursor: str | None
    moves_watermark: bool
    first_load: bool
    seen_version: int
    seen_watermark: datetime | None
    is_range: bool = False
    fallback: bool = False
    unfinished: Unfinished | None = None


def plan_run(
    state: SyncState | None,
    options: Options,
    *,
    adopted: datetime | None,
    overlap: timedelta,
    capabilities: Capabilities,
) -> Plan:
    """Plan one run.

    `adopted` is where an older sync's table ends, given only when no run has closed yet.

    A long reading that was interrupted goes on where it was, unless something else is asked for.

    The window reaches back behind the watermark: see `reach`.

    Raises:
        UserMistake: the options contradict each other or the state.
    """
    watermark = state.watermark if state else None
    start = watermark or adopted
    base = Plan(
        mode=Mode.FULL,
        reason="",
        since=None,
        until=None,
        cursor=None,
        moves_watermark=True,
        first_load=start is None,
        seen_version=state.version if state else 0,
        seen_watermark=watermark,
    )
    if options.is_range:
        return _range(base, options)
    if options.ask is Ask.FULL:
        return replace(base, reason="asked for")
    begun = state.unfinished if state else None
    if begun is not None and begun.provider == capabilities.name and options.ask is Ask.AUTO:
        return _going_on(base, begun)
    if start is None:
        if options.ask is Ask.INCREMENTAL:
            raise UserMistake(
                "An incremental run was asked for, but there is no watermark yet. "
                "Run with mode auto or full once."
            )
        return replace(base, reason="first load")
    return replace(
        base,
        mode=Mode.INCREMENTAL,
        since=start - reach(overlap, capabilities),
        cursor=state.cursor if state else None,
        reason="changes since the watermark" if watermark else "adopted an older sync's table",
    )


def reach(overlap: timedelta, capabilities: Capabilities) -> timedelta:
    """How far a window goes back behind the watermark: by `overlap`, or by what the helpdesk needs
    where that is more, since its search index lags and two edits within one tick look alike."""
    return max(overlap, capabilities.minimum_overlap, capabilities.time_resolution)


def _going_on(base: Plan, begun: Unfinished) -> Plan:
    return replace(
        base,
        mode=begun.mode,
        since=begun.since,
        first_load=begun.first_load,
        reason=begun.reason.removesuffix(WENT_ON) + WENT_ON,
        unfinished=begun,
    )


def _range(base: Plan, options: Options) -> Plan:
    since = utc(options.since) if options.since else None
    until = utc(options.until) if options.until else None
    if options.ask is Ask.FULL:
        raise UserMistake("A full run reads everything: leave out --since and --until, or --full.")
    if since and until and since > until:
        raise UserMistake(
            f"The range begins after it ends: since {since.isoformat()}, until {until.isoformat()}."
        )
    return replace(
        base,
        mode=Mode.INCREMENTAL,
        since=since,
        until=until,
        moves_watermark=False,
        is_range=True,
        reason="range asked for",
    )
