from __future__ import annotations

import json
from dataclasses import replace

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.run_history import (
    REMEMBERED_RUNS,
    history,
    last_run,
    records_from,
    remembered,
)
from helpdesk_assets.model.state import Reading, RunFacts, SyncState
from helpdesk_assets_tests.batches import NOON
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
    facts=RunFacts(inserted=1, updated=2, unchanged=3, rejected=4, missed_total=2),
    reading=LINE.reading,
)


def test_the_state_row_tells_of_the_last_run_all_that_the_log_wants() -> None:
    assert last_run(STATE) == LINE


def test_what_is_remembered_is_read_as_it_was_written() -> None:
    by_hand = replace(LINE, mode=Mode.BY_HAND, window=None, reading=Reading())
    state = replace(STATE, recent_runs=(by_hand,))
    assert records_from(history(state)) == (LINE, by_hand) == remembered(state)


def test_by_hand_nothing_was_counted() -> None:
    last = last_run(replace(STATE, reason="by_hand: set", window=None, reading=Reading()))
    assert last is not None
    assert (last.mode, last.tickets, last.missed, last.inserted) == (Mode.BY_HAND, 0, 0, 0)


def test_what_an_older_version_remembered_is_read() -> None:
    old = {
        "run_id": "r",
        "closed_at": NOON.isoformat(),
        "mode": "full",
        "reason": "first load",
        "since": None,
        "until": NOON.isoformat(),
        "tickets": 5,
        "missed": 0,
    }
    (run,) = records_from(json.dumps([old]))
    assert (run.version, run.watermark, run.reading) == (0, None, Reading())


def test_it_stays_small() -> None:
    state = replace(STATE, recent_runs=(LINE,) * (REMEMBERED_RUNS + 5))
    assert len(records_from(history(state))) == REMEMBERED_RUNS
    assert history(None) == "[]"


def test_before_the_first_run_there_is_nothing() -> None:
    assert remembered(SyncState("tickets", None, 0)) == ()
