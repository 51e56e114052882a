"""What a watermark that is set by hand would do, said before it is done.

Pure: the state row and a time in, sentences out.
"""

from __future__ import annotations

from datetime import datetime

from helpdesk_assets.formatting import format_duration, format_time
from helpdesk_assets.model.state import RunRecord, SyncState


def describe_set(state: SyncState | None, to: datetime) -> list[str]:
    """The effect of setting the watermark to that time, a sentence each."""
    current = state.watermark if state else None
    if current is None:
        effect = (
            f"There is no watermark yet. With {format_time(to)} the next run reads what changed "
            "from there on, and what is older is never looked at unless by `sync --full` or "
            f"`sync --until {_as_option(to)}`."
        )
    elif to < current:
        effect = (
            f"The watermark goes back by {format_duration(current - to)}, from "
            f"{format_time(current)} to {format_time(to)}. The next run reads what changed from "
            "there on again. Nothing is lost or doubled by that."
        )
    else:
        effect = (
            f"The watermark goes on by {format_duration(to - current)}, from "
            f"{format_time(current)} to {format_time(to)}. What changed between the two is never "
            f"looked at unless by `sync --full` or `sync --since {_as_option(current)} --until "
            f"{_as_option(to)}`."
        )
    return [effect, *_discarded(state, keeps_cursor=False)]


def describe_rebuild(state: SyncState | None, record: RunRecord) -> list[str]:
    """The effect of making the state row again from that line of the log."""
    where = (
        format_time(record.watermark)
        if record.watermark
        else "none, as no window had been read whole"
    )
    effect = (
        f"The state row is made again from run {record.run_id}, which closed at "
        f"{format_time(record.closed_at)}. Watermark: {where}. What a later run has read is read "
        "again, and nothing is lost."
    )
    return [effect, *_discarded(state, keeps_cursor=True)]


def _discarded(state: SyncState | None, *, keeps_cursor: bool) -> list[str]:
    sentences = []
    if state and state.cursor and not keeps_cursor:
        sentences.append("The helpdesk's own cursor is dropped: the next run asks by time.")
    if state and (checkpoint := state.checkpoint):
        sentences.append(
            f"The unfinished reading, {checkpoint.rows:,} tickets stored at "
            f"{format_time(checkpoint.saved_at)}, is given up."
        )
    sentences.append("A run that is under way now will fail when it closes; the next one will not.")
    return sentences


def _as_option(when: datetime) -> str:
    """As an option of `sync` takes it, to the microsecond: rounded, a range would leave a gap."""
    return when.isoformat().replace("+00:00", "Z")
