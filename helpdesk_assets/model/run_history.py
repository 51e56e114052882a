"""The last runs that closed, as the state row stores them: JSON text, newest first.

They bridge a crash between the state row and the run log: the next run that closes writes to the
log what it lacks of them. Must not know how either is written.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import ReadCounts, RunCounts, RunRecord, SyncState
from helpdesk_assets.model.time_bounds import check_times

MAX_RECENT_RUNS = 20
_COUNTS = ("inserted", "updated", "unchanged", "rejected")


def recent_runs_to_json(state: SyncState | None) -> str:
    """The runs that the next state row remembers: the last one closed and those before it."""
    runs = known_runs(state)[:MAX_RECENT_RUNS] if state else ()
    return msgspec.json.encode(runs).decode()


def known_runs(state: SyncState) -> tuple[RunRecord, ...]:
    """The runs that a state row remembers, newest first."""
    last = last_run(state)
    return (*((last,) if last else ()), *state.recent_runs)


def last_run(state: SyncState) -> RunRecord | None:
    """The run that closed last, from the columns of the state row itself."""
    if state.run_id is None or state.closed_at is None:
        return None
    try:
        mode, reason = mode_and_reason(state.reason)
    except ValueError:
        return None
    # A manual change counts nothing; the facts are still those of the run before.
    counted = RunCounts() if mode == Mode.MANUAL else state.facts
    return RunRecord(
        run_id=state.run_id,
        closed_at=state.closed_at,
        mode=mode,
        reason=reason,
        window=state.window,
        tickets=counted.tickets,
        missed=counted.missed_total,
        judged_by=counted.webhooks.judged_by,
        version=state.version,
        watermark=state.watermark,
        cursor=state.cursor,
        read_counts=replace(state.read_counts, stored=()),
        **{name: getattr(counted, name) for name in _COUNTS},
    )


def mode_and_reason(text: str | None) -> tuple[Mode, str]:
    """The two parts of `SyncState.reason`.

    Raises:
        ValueError: it was not written by this project, or by a version with other modes.
    """
    mode, _, reason = (text or "").partition(": ")
    return Mode(mode), reason


def runs_from_json(text: str | None) -> tuple[tuple[RunRecord, ...], bool]:
    """The runs that `recent_runs_to_json` wrote, newest first.

    A run that cannot be read, such as one with a mode of a newer version, is left out: the run log
    has it.

    Returns:
        The runs, and whether none was left out.
    """
    stored = msgspec.json.decode(text or "[]", type=list[msgspec.Raw])
    read = [run for each in stored if (run := _run_from_json(each))]
    return tuple(read), len(read) == len(stored)


def _run_from_json(stored: msgspec.Raw) -> RunRecord | None:
    try:
        run = msgspec.json.decode(stored, type=RunRecord)
        check_times(run)
    except (ValueError, msgspec.MsgspecError):
        return None
    return run


def read_counts_to_json(read_counts: ReadCounts) -> str:
    """What a run asked of the helpdesk, as the state row stores it."""
    return msgspec.json.encode(read_counts).decode()


def read_counts_from_json(text: str | None) -> ReadCounts:
    """The counts that `read_counts_to_json` wrote; zeros without a run."""
    return msgspec.json.decode(text or "{}", type=ReadCounts)
