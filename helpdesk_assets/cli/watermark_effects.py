"""What a watermark that is set by hand would do, said before it is done.

Pure: the state row and a time in, sentences out.
"""

from __future__ import annotations

from datetime import datetime

from helpdesk_assets.formatting import age, moment
from helpdesk_assets.model.state import RunRecord, SyncState


def of_setting(state: SyncState | None, to: datetime) -> list[str]:
    """The effect of setting the watermark to that time, a sentence each."""
    now = state.watermark if state else None
    if now is None:
        effect = (
            f"There is no watermark yet. With {moment(to)} the next run reads what changed from "
            "there on, and what is older is never looked at unless by `sync --full` or "
            f"`sync --until {_typed(to)}`."
        )
    elif to < now:
        effect = (
            f"The watermark goes back by {age(now - to)}, from {moment(now)} to {moment(to)}. The "
            "next run reads what changed from there on again. Nothing is lost or doubled by that."
        )
    else:
        effect = (
            f"The watermark goes on by {age(to - now)}, from {moment(now)} to {moment(to)}. What "
            "changed between the two is never looked at unless by `sync --full` or "
            f"`sync --since {_typed(now)} --until {_typed(to)}`."
        )
    return [effect, *_given_up(state, keeps_cursor=False)]


def of_rebuilding(state: SyncState | None, line: RunRecord) -> list[str]:
    """The effect of making the state row again from that line of the log."""
    where = moment(line.watermark) if line.watermark else "none, as no window had been read whole"
    effect = (
        f"The state row is made again from run {line.run_id}, which closed at "
        f"{moment(line.closed_at)}. Watermark: {where}. What a later run has read is read again, "
        "and nothing is lost."
    )
    return [effect, *_given_up(state, keeps_cursor=True)]


def _given_up(state: SyncState | None, *, keeps_cursor: bool) -> list[str]:
    said = []
    if state and state.cursor and not keeps_cursor:
        said.append("The helpdesk's own cursor is dropped: the next run asks by time.")
    if state and (begun := state.unfinished):
        said.append(
            f"The unfinished reading, {begun.rows:,} tickets stored at {moment(begun.saved_at)}, "
            "is given up."
        )
    said.append("A run that is under way now will fail when it closes; the next one will not.")
    return said


def _typed(when: datetime) -> str:
    """As an option of `sync` takes it, to the microsecond: rounded, a range would leave a gap."""
    return when.isoformat().replace("+00:00", "Z")
