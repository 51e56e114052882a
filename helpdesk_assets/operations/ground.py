"""Ask whether the tables are still those that a watermark speaks of.

Rows are never deleted here and tables never made anew, so a table that is absent, smaller or newer
than when the last run closed was changed by somebody else, and so was a watermark that is later
than runs have read: changes before it may be missing, and no window reaches back to them. Pure:
state and metadata in, a reason out.
"""

from __future__ import annotations

from datetime import datetime

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.run_history import MAX_RECENT_RUNS, known_runs
from helpdesk_assets.model.state import RunRecord, SyncState
from helpdesk_assets.warehouse.base import Ground

TICKETS, HISTORY = "the table tickets", "the table raw_ticket_changes"


def full_load_reason(state: SyncState | None, ground: Ground) -> str | None:
    """Return why the watermark is not to be relied on, None if the tables are as they were left.

    Args:
        state: the state row.
        ground: the tables' metadata, read now.
    """
    if state is None or state.version == 0 or state.watermark is None:
        return None
    if (state.reason or "").startswith(f"{Mode.MANUAL}: "):
        # A person has just said where to read from; what is still missing then, the close counts.
        return _of_other_tables(state, ground) if _has_closed(state) else None
    return (
        _of_rows(state, ground)
        or _of_other_tables(state, ground)
        or _of_versions(state, ground)
        or _of_last_close(state)
        or _of_watermark(state)
    )


def _has_closed(state: SyncState) -> bool:
    """Whether a run has closed: each version that no person has made is one of a run."""
    return state.version > sum(run.mode is Mode.MANUAL for run in known_runs(state))


def _of_rows(state: SyncState, ground: Ground) -> str | None:
    found, expected = ground.tickets, state.facts.distinct_rows
    if found is None or found.rows is None or found.rows >= expected:
        return None
    return (
        f"{TICKETS} had {found.rows:,} rows, {expected - found.rows:,} fewer than when the last "
        "run closed"
    )


def _of_other_tables(state: SyncState, ground: Ground) -> str | None:
    """Return which table is not the one of the last run at all: no time to read from helps."""
    found = ground.tickets
    if found is None:
        return f"{TICKETS} was not there"
    if state.tickets_created and found.created and found.created != state.tickets_created:
        return f"{TICKETS} was made anew since the last run"
    if ground.missing_columns:
        return f"{TICKETS} had no column {', '.join(ground.missing_columns)}"
    return f"{HISTORY} was not there" if ground.history is None else None


def _of_versions(state: SyncState, ground: Ground) -> str | None:
    found = ground.history
    if found is None:
        return None
    # Both times are BigQuery's. A repair or another sync may have made it again and written rows.
    if found.created and state.closed_at and found.created > state.closed_at:
        return f"{HISTORY} was made anew since the last run"
    # Where versions expire, a helpdesk that has been quiet for so long leaves none.
    if found.rows == 0 and state.facts.history_rows and not found.rows_expire:
        return f"{HISTORY} was emptied"
    return None


def _of_last_close(state: SyncState) -> str | None:
    """Return what the last run found only when it closed, unless it has read everything since."""
    facts = state.facts
    if state.ended_with_full_load:
        return None
    if state.read_counts.unmet_reason:
        return state.read_counts.unmet_reason
    if facts.behind:
        return f"{TICKETS} had older versions of {facts.behind:,} tickets than it had before"
    if facts.rows_lost:
        return f"{TICKETS} lost {facts.rows_lost:,} rows while the last run was in progress"
    return None


def _of_watermark(state: SyncState) -> str | None:
    """Return that somebody moved the watermark past what runs have read.

    What a person set by `watermark set` is believed. A run that may have skipped tickets leaves the
    watermark as it is, a forged one too, so it proves nothing.
    """
    if state.damaged or state.window is None or state.watermark is None:
        return None
    proven = [proof for run in known_runs(state) if (proof := _proof(run))]
    if len(state.recent_runs) >= MAX_RECENT_RUNS and (oldest := state.recent_runs[-1].watermark):
        # The run that moved it may be longer ago than the row remembers.
        proven.append(oldest)
    if proven and state.watermark <= max(proven):
        return None
    return "the watermark is later than any run has read"


def _proof(run: RunRecord) -> datetime | None:
    return run.watermark if run.mode is Mode.MANUAL else run.read_counts.read_until
