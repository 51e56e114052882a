from __future__ import annotations

from dataclasses import replace

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.run_history import (
    MAX_RECENT_RUNS,
    known_runs,
    last_run,
    recent_runs_to_json,
    runs_from_json,
)
from helpdesk_assets.model.state import ReadCounts, RunCounts, SyncState
from helpdesk_assets_tests.warehouse.stores.test_run_log import LINE

STATE = SyncState(
    sync_name="tickets",
    watermark=LINE.watermark,
    version=LINE.version,
    cursor=LINE.cursor,
    window=LINE.window,
    run_id=LINE.run_id,
    reason=f"{LINE.mode}: {LINE.reason}",
    closed_at=LINE.closed_at,
    facts=RunCounts(inserted=1, updated=2, unchanged=3, rejected=4, missed_total=2),
    read_counts=LINE.read_counts,
)


def test_state_row_holds_all_the_log_needs() -> None:
    assert last_run(STATE) == LINE


def test_run_records_round_trip() -> None:
    by_hand = replace(LINE, mode=Mode.MANUAL, window=None, read_counts=ReadCounts())
    state = replace(STATE, recent_runs=(by_hand,))
    runs, is_whole = runs_from_json(recent_runs_to_json(state))
    assert is_whole
    assert runs == (LINE, by_hand) == known_runs(state)


def test_manual_change_counts_nothing() -> None:
    last = last_run(replace(STATE, reason="by_hand: set", window=None, read_counts=ReadCounts()))
    assert last is not None
    assert (last.mode, last.tickets, last.missed, last.inserted) == (Mode.MANUAL, 0, 0, 0)


def test_run_history_stays_small() -> None:
    state = replace(STATE, recent_runs=(LINE,) * (MAX_RECENT_RUNS + 5))
    assert len(runs_from_json(recent_runs_to_json(state))[0]) == MAX_RECENT_RUNS
    assert recent_runs_to_json(None) == "[]"


def test_no_records_before_the_first_run() -> None:
    assert known_runs(SyncState("tickets", None, 0)) == ()
