"""A simulated helpdesk that is started again has what was changed before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend, RemovalKind
from helpdesk_assets.local.simulator.journal import Journal

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
ORIGIN = {"tickets": 50, "seed": 1, "history_until": UNTIL.isoformat()}


def started(path: Path) -> HelpdeskBackend:
    """Start a helpdesk anew, with the journal of the one before."""
    return HelpdeskBackend(50, 1, history_until=UNTIL, journal=Journal(path, ORIGIN))


def everything(backend: HelpdeskBackend) -> list[object]:
    """Return all that a helpdesk shows."""
    versions = [backend.find(each) for each in (*backend.store.ids(), *backend.removed.ids())]
    return [
        [(version, backend.raw_ticket(version)) for version in versions if version],
        backend.removals,
        backend.archived,
        backend.store.newest_first(0, 1000),
    ]


def test_restart_has_every_change(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "changes.jsonl"
    first = started(path)
    first.change(first.choose(5), {"status": "Closed"}, spread_seconds=7200)
    first.change(first.choose(2), silent=True)
    first.create(3, {"subject": "Neu: ü"})
    first.create(0, ids=["77"])
    first.remove(first.choose(2))
    first.remove(first.choose(1), RemovalKind.MERGED, into=first.choose(1)[0])
    gone = first.choose(1)
    first.remove(gone)
    first.restore(gone)
    first.archive(first.choose(2))
    again = started(path)
    assert everything(again) == everything(first)
    assert again.clock.now() >= first.clock.now() - timedelta(seconds=2)
    assert again.choose(5) == first.choose(5)
    again.create(1)
    assert everything(started(path)) == everything(again)


def test_replay_sends_no_webhook_and_records_nothing(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    first = started(path)
    first.change(first.choose(5))
    before = path.read_bytes()
    started(path)
    assert path.read_bytes() == before


def test_line_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    first = started(path)
    first.create(1)
    kept = path.read_bytes()
    path.write_bytes(kept + b'{"kind": "cre')
    assert everything(started(path)) == everything(first)
    assert path.read_bytes() == kept


def test_other_tickets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    started(path)
    with pytest.raises(SettingsError, match="began with other tickets"):
        Journal(path, {**ORIGIN, "tickets": 51})
