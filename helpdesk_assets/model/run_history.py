"""Runs that closed, as the state row keeps the last of them: JSON text, newest first.

It bridges a crash between the state row and the run log: what the log lacks of them, the next run
that closes writes there. Must not know how either is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.state import ReadCounts, RunCounts, RunRecord, SyncState
from helpdesk_assets.model.tickets import Window

MAX_RECENT_RUNS = 20
_COUNTS = ("inserted", "updated", "unchanged", "rejected")


def recent_runs_to_json(state: SyncState | None) -> str:
    """All that a state row remembers, the run among it that closed last."""
    if state is None:
        return "[]"
    return json.dumps([_record_to(run) for run in known_runs(state)[:MAX_RECENT_RUNS]])


def known_runs(state: SyncState) -> tuple[RunRecord, ...]:
    """The runs that a state row tells of, newest first."""
    last = last_run(state)
    return (*((last,) if last else ()), *state.recent_runs)


def last_run(state: SyncState) -> RunRecord | None:
    """The run that closed last, told from the state row itself."""
    if state.run_id is None or state.closed_at is None:
        return None
    mode, _, reason = (state.reason or "").partition(": ")
    # By hand nothing was counted, and the facts are still those of the run before.
    counted = RunCounts() if mode == Mode.MANUAL else state.facts
    return RunRecord(
        run_id=state.run_id,
        closed_at=state.closed_at,
        mode=Mode(mode),
        reason=reason,
        window=state.window,
        tickets=counted.tickets,
        missed=counted.missed_total,
        version=state.version,
        watermark=state.watermark,
        cursor=state.cursor,
        read_counts=state.read_counts,
        **{name: getattr(counted, name) for name in _COUNTS},
    )


def runs_from_json(text: str | None) -> tuple[RunRecord, ...]:
    """Lines that an older version of this program wrote have fewer fields."""
    return tuple(_record_from(run) for run in json.loads(text or "[]"))


def read_counts_to_json(read_counts: ReadCounts) -> str:
    return json.dumps(asdict(read_counts))


def read_counts_from_json(text: str | None) -> ReadCounts:
    return ReadCounts(**json.loads(text or "{}"))


def _record_to(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "closed_at": run.closed_at.isoformat(),
        "mode": run.mode.value,
        "reason": run.reason,
        "since": _text(run.window.since if run.window else None),
        "until": _text(run.window.until if run.window else None),
        "tickets": run.tickets,
        "missed": run.missed,
        "version": run.version,
        "watermark": _text(run.watermark),
        "cursor": run.cursor,
        "reading": asdict(run.read_counts),
        **{name: getattr(run, name) for name in _COUNTS},
    }


def _record_from(row: Mapping[str, Any]) -> RunRecord:
    until = _time(row["until"])
    return RunRecord(
        run_id=row["run_id"],
        closed_at=datetime.fromisoformat(row["closed_at"]),
        mode=Mode(row["mode"]),
        reason=row["reason"],
        window=Window(_time(row["since"]), until) if until else None,
        tickets=row["tickets"],
        missed=row["missed"],
        version=row.get("version", 0),
        watermark=_time(row.get("watermark")),
        cursor=row.get("cursor"),
        read_counts=ReadCounts(**row.get("reading", {})),
        **{name: row.get(name, 0) for name in _COUNTS},
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
