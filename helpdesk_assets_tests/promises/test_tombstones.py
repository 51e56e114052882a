"""A ticket of which only the deletion is reported keeps its row and all known fields."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.settings import Settings
from helpdesk_assets_tests.backends import Backend
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, FakeHelpdesk, page, ticket
from helpdesk_assets_tests.harness import Harness

LATER = NOON + timedelta(hours=2)
DELETED_AT = NOON + timedelta(hours=1)


@pytest.fixture(params=[1_000_000, 1], ids=["inline", "staged"])
def small_batch_bytes(request: pytest.FixtureRequest) -> int:
    size: int = request.param
    return size


class FakeSyncs:
    """Runs with a scripted helpdesk, each at a later time."""

    def __init__(self, backend: Backend, settings: Settings) -> None:
        self._backend = backend
        self._settings = settings

    def run(self, *tickets: Ticket, at: datetime = LATER) -> SyncReport:
        helpdesk = FakeHelpdesk([page(*tickets, until=at, served_at=at)])
        policy = SyncPolicy.from_settings(self._settings)
        with self._backend.connected(self._settings) as warehouse:
            return run_sync(helpdesk, warehouse, SyncRequest(), policy, run_id=uuid.uuid4().hex)

    def row(self, ticket_id: str) -> dict[str, Any]:
        rows = [row for row in self.rows("tickets") if row["ticket_id"] == ticket_id]
        assert len(rows) == 1
        return rows[0]

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self._backend.rows(table)


@pytest.fixture
def fake_syncs(harness: Harness, small_batch_bytes: int) -> FakeSyncs:
    settings = {"bigquery_small_batch_bytes": small_batch_bytes}
    made = FakeSyncs(harness.backend, harness.settings.model_copy(update=settings))
    made.run(ticket("1", 60), ticket("2", 50), at=NOON)
    return made


def deleted(ticket_id: str, at: datetime = DELETED_AT) -> Ticket:
    return tombstone(ticket_id, at, {"id": ticket_id, "deletedTime": at.isoformat()})


KEPT_COLUMNS = (
    "subject", "status", "priority", "assignee", "createdTime", "modifiedTime", "raw_json",
)  # fmt: skip


def test_known_values_are_kept(fake_syncs: FakeSyncs) -> None:
    before = fake_syncs.row("1")
    report = fake_syncs.run(deleted("1"), ticket("3", -30))
    after = fake_syncs.row("1")
    assert {name: after[name] for name in KEPT_COLUMNS} == {
        name: before[name] for name in KEPT_COLUMNS
    }
    assert after["deletedTime"] == DELETED_AT
    assert fake_syncs.row("3")["status"] == "open"
    assert fake_syncs.row("2")["deletedTime"] is None
    assert (report.facts.inserted, report.facts.updated) == (1, 1)
    notices = [row for row in fake_syncs.rows("raw_ticket_changes") if row["_tombstone"]]
    assert [row["ticket_id"] for row in notices] == ["1"]


def test_version_in_the_same_batch_is_kept(fake_syncs: FakeSyncs) -> None:
    newer = replace(ticket("1", -10), status="closed", created_time=NOON - timedelta(days=1))
    fake_syncs.run(deleted("1"), newer)
    row = fake_syncs.row("1")
    assert row["status"] == "closed"
    assert row["createdTime"] == newer.created_time
    assert (row["modifiedTime"], row["deletedTime"]) == (newer.modified_time, DELETED_AT)


def test_never_seen_ticket_gets_a_row_of_known_values(fake_syncs: FakeSyncs) -> None:
    fake_syncs.run(deleted("9"))
    row = fake_syncs.row("9")
    assert row["subject"] is None
    assert row["deletedTime"] == DELETED_AT


def test_repeated_tombstone_changes_nothing(fake_syncs: FakeSyncs) -> None:
    fake_syncs.run(deleted("1"))
    first = fake_syncs.row("1")
    report = fake_syncs.run(deleted("1"), at=LATER + timedelta(hours=1))
    assert fake_syncs.row("1") == first
    assert (report.facts.updated, report.facts.unchanged) == (0, 1)
    assert report.facts.missed_total == 0


def test_restored_ticket_is_live_again(fake_syncs: FakeSyncs) -> None:
    fake_syncs.run(deleted("1"))
    fake_syncs.run(replace(ticket("1", -90), status="reopened"), at=LATER + timedelta(hours=1))
    row = fake_syncs.row("1")
    assert row["deletedTime"] is None
    assert row["status"] == "reopened"


def test_deletion_before_the_newest_version_is_ignored(fake_syncs: FakeSyncs) -> None:
    fake_syncs.run(replace(ticket("1", -90), status="open again"))
    report = fake_syncs.run(deleted("1"), at=LATER + timedelta(hours=1))
    assert fake_syncs.row("1")["deletedTime"] is None
    assert report.facts.rejected == 1


def test_deletion_without_a_webhook_is_missed_once(fake_syncs: FakeSyncs) -> None:
    report = fake_syncs.run(deleted("1"))
    assert [missed.ticket_id for missed in report.facts.missed] == ["1"]
    # Another notice of the same deletion with another time, as some helpdesks send.
    again = fake_syncs.run(
        deleted("1", DELETED_AT + timedelta(minutes=5)), at=LATER + timedelta(hours=1)
    )
    assert again.facts.missed_total == 0
