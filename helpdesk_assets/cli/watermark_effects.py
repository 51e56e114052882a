"""The effects of a manual change of the watermark, as sentences to show before it is made.

Pure: takes the state row and a time, returns sentences.
"""

from __future__ import annotations

from datetime import datetime

from helpdesk_assets.formatting import format_duration, format_time
from helpdesk_assets.model.state import RunRecord, SyncState


def describe_set(state: SyncState | None, to: datetime) -> list[str]:
    """The effects of setting the watermark to that time, one sentence each."""
    current = state.watermark if state else None
    if current is None:
        effect = (
            f"There is no watermark yet. From {format_time(to)}, the next run reads what changed "
            "after that time. To read older changes as well, run `helpdesk-assets sync --full` or "
            f"`helpdesk-assets repair --until {_as_option(to)}`."
        )
    elif to < current:
        effect = (
            f"The watermark moves back by {format_duration(current - to)}, from "
            f"{format_time(current)} to {format_time(to)}. The next run reads the changes after "
            "that time again; nothing is lost or doubled."
        )
    else:
        effect = (
            f"The watermark moves forward by {format_duration(to - current)}, from "
            f"{format_time(current)} to {format_time(to)}, and no sync reads what changed between "
            "the two. To read it, run `helpdesk-assets repair --since "
            f"{_as_option(current)} --until {_as_option(to)}` or `helpdesk-assets sync --full`."
        )
    return [effect, *_discarded(state, keeps_cursor=False)]


def describe_rebuild(state: SyncState | None, record: RunRecord) -> list[str]:
    """The effects of rebuilding the state row from that row of the run log."""
    where = (
        format_time(record.watermark)
        if record.watermark
        else "none, because no window had been read whole"
    )
    effect = (
        f"The state row is rebuilt from run {record.run_id}, which closed at "
        f"{format_time(record.closed_at)}. Watermark: {where}. The next run reads again what later "
        "runs read; nothing is lost."
    )
    # The counts that the row had are not in the log.
    tables = (
        "If rows of tickets may be gone as well, run `helpdesk-assets sync --full` instead: the "
        "log does not say how many there were."
    )
    return [effect, tables, *_discarded(state, keeps_cursor=True)]


def _discarded(state: SyncState | None, *, keeps_cursor: bool) -> list[str]:
    sentences = []
    if state and state.cursor and not keeps_cursor:
        sentences.append("The helpdesk's own cursor is discarded: the next run asks by time.")
    if state and (checkpoint := state.checkpoint):
        sentences.append(
            f"The checkpoint of an interrupted run ({checkpoint.rows:,} tickets, saved at "
            f"{format_time(checkpoint.saved_at)}) is discarded."
        )
    sentences.append("A run in progress fails when it closes; the next one succeeds.")
    return sentences


def _as_option(when: datetime) -> str:
    """As `repair` takes it, to the microsecond: rounding would leave a gap in the range."""
    return when.isoformat().replace("+00:00", "Z")
