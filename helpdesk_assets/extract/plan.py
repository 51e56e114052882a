"""Decide which window a run reads and whether it may move the watermark.

Pure: state and options in, plan out. Must not know how a window is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from helpdesk_assets.errors import UserError
from helpdesk_assets.model.batch import Mode, NewestSeen
from helpdesk_assets.model.state import Checkpoint, SyncState
from helpdesk_assets.model.tickets import utc
from helpdesk_assets.providers.base import Capabilities

# The clock of a `Date` header may be ahead of the one that dates tickets, as a gateway's or one
# node's is. Where that is at most this much, no change is lost.
MAX_CLOCK_LEAD = timedelta(hours=1)
RESUMED = ", gone on with where it was interrupted"


class RequestedMode(StrEnum):
    """What the user asked for. `auto`: incremental with a watermark, full without one."""

    AUTO = "auto"
    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The user's options for one run. With `since` or `until` the run reads only that range.

    `is_repair`: the rows of the range are to equal the helpdesk; see `Manifest.forced`.
    """

    requested_mode: RequestedMode = RequestedMode.AUTO
    since: datetime | None = None
    until: datetime | None = None
    is_repair: bool = False

    @property
    def is_range(self) -> bool:
        """Whether only a range was asked for."""
        return self.since is not None or self.until is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run will do.

    Attributes:
        mode: incremental or full.
        reason: why, for logs and tables.
        since: start of the window; None: from the beginning.
        until: end of the window; None: the helpdesk's clock.
        cursor: the vendor's own cursor, if it has one.
        advances_watermark: whether the run may move the watermark.
        first_load: nothing has been synced before.
        expected_version: version of the state row as it was read; 0: no row.
        initial_watermark: watermark of that row.
        is_range: the user asked for this range alone.
        fallback: the listing is read because the change endpoint failed.
        checkpoint: the interrupted run to resume.
        forced: see `Manifest.forced`.
        ground_reason: what is wrong with the tables that the watermark speaks of; None: nothing.
        clock_reached: the helpdesk's clock must have come so far; None if nothing is known.
        lookback: see `Manifest.lookback`.
        newest: see `Manifest.newest`, as it was before the run.
    """

    mode: Mode
    reason: str
    since: datetime | None
    until: datetime | None
    cursor: str | None
    advances_watermark: bool
    first_load: bool
    expected_version: int
    initial_watermark: datetime | None
    is_range: bool = False
    fallback: bool = False
    checkpoint: Checkpoint | None = None
    forced: bool = False
    ground_reason: str | None = None
    clock_reached: datetime | None = None
    lookback: timedelta | None = None
    newest: NewestSeen | None = None


class AllToBeRead(Exception):
    """Every ticket would have to be read, and only changes were to be.

    `plan` is what a run would read.
    """

    def __init__(self, plan: Plan) -> None:
        """Carry the plan."""
        super().__init__(plan.reason)
        self.plan = plan


def plan_run(
    state: SyncState | None,
    sync_request: SyncRequest,
    *,
    adopted: datetime | None,
    overlap: timedelta,
    capabilities: Capabilities,
    full_reason: str | None = None,
) -> Plan:
    """Plan one run.

    An interrupted run is resumed unless the user asks for something else. The window reaches back
    behind the watermark: see `lookback` and `_window_start`.

    Args:
        state: the state row.
        sync_request: the user's options.
        adopted: where an older sync's table ends; given only if no run has committed yet.
        overlap: how far windows overlap at least.
        capabilities: what the helpdesk needs.
        full_reason: why changes before the watermark may be missing from the tables: everything is
            read then. An interrupted full load is gone on with all the same.

    Raises:
        UserError: the options contradict each other or the state.
    """
    watermark = state.watermark if state else None
    start, reach = watermark or adopted, lookback(overlap, capabilities)
    base = Plan(
        mode=Mode.FULL,
        reason="",
        since=None,
        until=None,
        cursor=None,
        advances_watermark=True,
        first_load=start is None,
        expected_version=state.version if state else 0,
        initial_watermark=watermark,
        ground_reason=full_reason,
        clock_reached=None if start is None else start - reach,
        lookback=reach,
        newest=state.read_counts.newest if state else None,
    )
    if sync_request.is_range:
        return _range(base, sync_request)
    if sync_request.requested_mode is RequestedMode.FULL:
        return replace(base, reason="asked for", forced=True)
    checkpoint = state.checkpoint if state else None
    if (
        checkpoint is not None
        and (checkpoint.provider, checkpoint.account) == (capabilities.name, capabilities.account)
        and sync_request.requested_mode is RequestedMode.AUTO
        and (full_reason is None or checkpoint.mode is Mode.FULL)
    ):
        return _resume(base, checkpoint)
    if full_reason is not None:
        if sync_request.requested_mode is RequestedMode.INCREMENTAL:
            raise UserError(
                f"An incremental run was asked for, but {full_reason}, so changes before the "
                "watermark may be missing. Run with mode auto or full once."
            )
        # Forced: whoever took rows or columns away may have changed others as well.
        return replace(base, reason=full_reason, forced=True)
    if start is None:
        if sync_request.requested_mode is RequestedMode.INCREMENTAL:
            raise UserError(
                "An incremental run was asked for, but there is no watermark yet. "
                "Run with mode auto or full once."
            )
        return replace(base, reason="first load")
    return replace(
        base,
        mode=Mode.INCREMENTAL,
        since=_window_start(watermark, base.newest, reach, capabilities.time_resolution)
        if watermark
        else start - reach,
        cursor=state.own_cursor if state else None,
        reason="changes since the watermark" if watermark else "adopted an older sync's table",
    )


def lookback(overlap: timedelta, capabilities: Capabilities) -> timedelta:
    """Return how far a window reaches back behind the watermark.

    By `overlap`, or by what the helpdesk needs if that is more: its search index lags, and two
    edits within one tick have the same time.
    """
    return max(overlap, capabilities.minimum_overlap, capabilities.time_resolution)


def _window_start(
    watermark: datetime, newest: NewestSeen | None, reach: timedelta, tick: timedelta
) -> datetime:
    """Return where the next window begins.

    The watermark comes from a `Date` header. It may be ahead of the clock that dates tickets, and
    then changes are still to come that are dated before it. What runs have been given shows how far
    that clock had come at least, so the window begins there, though no more than `MAX_CLOCK_LEAD`
    earlier than the watermark asks for. As all tickets after it would have been given, it costs no
    row on a quiet day.

    Args:
        watermark: the watermark.
        newest: the newest change that runs have been given.
        reach: how far a window reaches back, see `lookback`.
        tick: the resolution of modified times.
    """
    start = watermark - reach
    if newest is None:
        return start - MAX_CLOCK_LEAD
    # Changes dated shortly before the newest may have come late. So a window begins there once
    # more, until one was read that long after it.
    is_settled = watermark - newest.known_at >= reach
    known = newest.changed_at + tick if is_settled else newest.changed_at - reach
    return min(start, max(known, start - MAX_CLOCK_LEAD))


def _resume(base: Plan, checkpoint: Checkpoint) -> Plan:
    return replace(
        base,
        mode=checkpoint.mode,
        since=checkpoint.since,
        first_load=checkpoint.first_load,
        reason=checkpoint.reason.removesuffix(RESUMED) + RESUMED,
        checkpoint=checkpoint,
        forced=checkpoint.forced,
    )


def _range(base: Plan, sync_request: SyncRequest) -> Plan:
    since = utc(sync_request.since) if sync_request.since else None
    until = utc(sync_request.until) if sync_request.until else None
    if sync_request.requested_mode is RequestedMode.FULL:
        raise UserError("Mode full reads everything: leave out since and until, or mode.")
    if since and until and since > until:
        raise UserError(
            f"The range begins after it ends: since {since.isoformat()}, until {until.isoformat()}."
        )
    return replace(
        base,
        mode=Mode.INCREMENTAL,
        since=since,
        until=until,
        advances_watermark=False,
        is_range=True,
        reason="range asked for",
        forced=sync_request.is_repair,
    )
