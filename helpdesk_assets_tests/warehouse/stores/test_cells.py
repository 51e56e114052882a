"""A state row that a person or a newer version has written: read as far as it can be."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from helpdesk_assets.cli.status import Status
from helpdesk_assets.cli.status import to_json_object as status_json
from helpdesk_assets.cli.watermark import to_json_object as watermark_json
from helpdesk_assets.cli.watermark_effects import describe_set
from helpdesk_assets.extract.plan import SyncRequest, plan_run
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.codec import to_text
from helpdesk_assets.model.run_history import (
    known_runs,
    read_counts_to_json,
    recent_runs_to_json,
    runs_from_json,
)
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.run_log import _record_from, runs_source
from helpdesk_assets.warehouse.stores.state import _state_from
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.extract.test_plan import capabilities
from helpdesk_assets_tests.model.test_run_history import STATE
from helpdesk_assets_tests.warehouse.stores.test_checkpoints import BEGUN
from helpdesk_assets_tests.warehouse.stores.test_run_log import LINE

FACTS = {
    "row_count": 5, "repeated_keys": 0, "null_keys": 0, "null_times": 0, "future_times": 0,
    "inserted": 1, "updated": 2, "unchanged": 3, "rejected": 4, "missed_total": 2,
    "missed_since": 1_700_000_000_000_000, "missed": [], "index_lag_p99": 1.5,
}  # fmt: skip
ROW: dict[str, Any] = {
    "sync_name": "tickets",
    "watermark": NOON,
    "cursor": None,
    "version": 7,
    "window_since": NOON - timedelta(hours=2),
    "window_until": NOON,
    "run_id": "run-7",
    "reason": "incremental: changes since the watermark",
    "closed_at": NOON,
    "facts": json.dumps(FACTS),
    "reading": read_counts_to_json(LINE.read_counts),
    "recent_runs": recent_runs_to_json(STATE),
    "unfinished": to_text(BEGUN),
}
MISSED = {"ticket_id": 5, "modified_time": 1, "reason": "missed", "lag_seconds": 1}
GARBAGE: dict[ColumnType, tuple[Any, ...]] = {
    ColumnType.STRING: (
        None, "", "{}", "[]", "null", "5", '"text"', "{", "[[", "[" * 100_000, "set back by Bob",
        "catch_up: newer", "\ud800", "9" * 5000, '{"rows": "many"}', '{"rows": 1e999}', "[null]",
        '[{"run_id": "x"}]', 7,
        json.dumps({**FACTS, "row_count": "many"}), json.dumps({**FACTS, "row_count": 1e400}),
        json.dumps({**FACTS, "missed": [MISSED]}), json.dumps({**FACTS, "missed": 5}),
        json.dumps({**FACTS, "missed_since": 10**30}), json.dumps({**FACTS, "webhooks": [1]}),
        json.dumps({**FACTS, "missed_since": -(10**17)}),
        recent_runs_to_json(STATE).replace("incremental", "catch_up"),
        recent_runs_to_json(STATE).replace("Z", ""),
        recent_runs_to_json(STATE).replace("2026", "0001"),
        to_text(BEGUN).replace("Z", ""), to_text(replace(BEGUN, staging="../else")),
        to_text(BEGUN).replace("2026", "9999"),
    ),
    ColumnType.TIMESTAMP: (
        None, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        datetime(2026, 1, 1), datetime(2099, 1, 1, tzinfo=UTC), "2026-01-01", 5,  # noqa: DTZ001
    ),
    ColumnType.INT64: (None, -5, 2**63 - 1, "7", 1.5, True),
}  # fmt: skip
CASES = [
    (column.name, value) for column in tables.SYNC_STATE.columns for value in GARBAGE[column.type]
]


def use(state: SyncState) -> None:
    """Do with a state row what commands and runs do."""
    now = NOON + timedelta(hours=1)
    json.dumps(status_json(Status("tickets", state, 0, now)))
    json.dumps(watermark_json("tickets", state, known_runs(state)))
    runs_from_json(recent_runs_to_json(state))
    runs_source("tickets", known_runs(state))
    describe_set(state, NOON)
    plan_run(
        state,
        SyncRequest(),
        adopted=None,
        overlap=timedelta(days=30),
        capabilities=capabilities(),
    )


def test_sound_row_is_read_whole() -> None:
    state = _state_from(ROW)
    assert state.damaged == ()
    assert (state.facts.rows, state.checkpoint, len(state.recent_runs)) == (5, BEGUN, 1)


@pytest.mark.parametrize(("column", "value"), CASES)
def test_no_cell_stops_a_command(column: str, value: Any) -> None:
    state = _state_from({**ROW, column: value})
    use(state)
    assert set(state.damaged) <= {column}
    kept = replace(state, damaged=())
    assert kept == _state_from(ROW) or column in state.damaged or _is_readable(column, value)


def _is_readable(column: str, value: Any) -> bool:
    """Whether the value is one that this version itself could have written there."""
    free_text = {"sync_name", "cursor", "run_id", "provider", "account"}
    if column in free_text:
        return value is None or isinstance(value, str)
    if column in {"facts", "reading", "recent_runs", "unfinished"}:
        # Of `reading` every name may be absent.
        is_object = str(value).startswith("{") and column == "reading"
        return value in (None, "", "[]", "null") or is_object
    if column in {"version", "mapping", "fence"}:
        return isinstance(value, int)
    return value is None or (isinstance(value, datetime) and 1970 <= value.year < 9000)


@pytest.mark.parametrize(
    ("column", "value", "damaged"),
    [
        ("reason", "set back by Bob", True),
        ("reason", None, True),
        ("version", None, True),
        ("facts", "{}", True),
        ("facts", json.dumps({**FACTS, "of_a_newer_version": {"x": 1}}), False),
        ("reading", '{"rows": 1, "of_a_newer_version": 2}', False),
        ("reading", "{", True),
        ("recent_runs", recent_runs_to_json(STATE).replace('"mode"', '"newer": 1, "mode"'), False),
        ("recent_runs", recent_runs_to_json(STATE).replace("incremental", "catch_up"), True),
        ("unfinished", to_text(BEGUN).replace('"rows"', '"newer": 1, "rows"'), False),
        ("unfinished", '{"provider": "rest"}', True),
        ("watermark", datetime(1, 1, 1, tzinfo=UTC), True),
    ],
)
def test_damaged_columns_are_named_and_new_names_ignored(
    column: str, value: Any, damaged: bool
) -> None:
    assert _state_from({**ROW, column: value}).damaged == ((column,) if damaged else ())


def test_readable_runs_stay_beside_an_unreadable_one() -> None:
    runs = json.loads(recent_runs_to_json(STATE))
    state = _state_from({**ROW, "recent_runs": json.dumps([{**runs[0], "mode": "new"}, *runs])})
    assert (len(state.recent_runs), state.damaged) == (1, ("recent_runs",))


LOG_ROW: dict[str, Any] = {
    "version": 7, "run_id": "run-7", "mode": "incremental", "reason": "x", "window_since": None,
    "window_until": NOON, "watermark": NOON, "cursor": None, "closed_at": NOON, "rows_read": 1,
    "pages": 1, "api_calls": 1, "tickets": 1, "inserted": 1, "updated": 0, "unchanged": 0,
    "rejected": 0, "missed": 0,
}  # fmt: skip


@pytest.mark.parametrize("column", LOG_ROW)
def test_no_cell_of_the_run_log_stops_a_command(column: str) -> None:
    for value, kind in product((None, "of a newer version", -1, NOON, 2**63 - 1, ""), (str, None)):
        record = _record_from({**LOG_ROW, column: kind(value) if kind else value})
        if record is not None:
            json.dumps(watermark_json("tickets", None, (record,)))
            assert record.mode in Mode
