"""A ticket of which only its end is told keeps its row and all that was known of it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.extract.plan import Options
from helpdesk_assets.model.tickets import Ticket
from helpdesk_assets.operations.sync import Policy, SyncReport, run_sync
from helpdesk_assets.providers.parsing.tickets import tombstone
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import Warehouse
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, PaperHelpdesk, page, ticket

LATER = NOON + timedelta(hours=2)
GONE_AT = NOON + timedelta(hours=1)


@pytest.fixture(params=[1_000_000, 1], ids=["inline", "staged"])
def small_bytes(request: pytest.FixtureRequest) -> int:
    size: int = request.param
    return size


class Desk:
    """Runs on paper, each at a later time."""

    def __init__(self, warehouse: Warehouse, settings: Settings, small_bytes: int) -> None:
        self._warehouse = warehouse
        self._policy = Policy.from_settings(settings)
        self._tables = SyncTables(warehouse, sync_name="paper", small_batch_bytes=small_bytes)

    def run(self, *tickets: Ticket, at: datetime = LATER) -> SyncReport:
        desk = PaperHelpdesk([page(*tickets, until=at, served_at=at)])
        run_id = uuid.uuid4().hex
        return run_sync(desk, self._tables, Options(), self._policy, run_id=run_id)

    def row(self, ticket_id: str) -> dict[str, Any]:
        rows = [row for row in self.rows("tickets") if row["ticket_id"] == ticket_id]
        assert len(rows) == 1
        return rows[0]

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self._warehouse.list_rows(table))


@pytest.fixture
def desk(warehouse: Warehouse, warehouse_settings: Settings, small_bytes: int) -> Desk:
    made = Desk(warehouse, warehouse_settings, small_bytes)
    made.run(ticket("1", 60), ticket("2", 50), at=NOON)
    return made


def gone(ticket_id: str, at: datetime = GONE_AT) -> Ticket:
    return tombstone(ticket_id, at, {"id": ticket_id, "deletedTime": at.isoformat()})


KEPT = ("subject", "status", "priority", "assignee", "createdTime", "raw_json")


def test_what_was_known_is_kept(desk: Desk) -> None:
    before = desk.row("1")
    report = desk.run(gone("1"), ticket("3", -30))
    after = desk.row("1")
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    assert (after["deletedTime"], after["modifiedTime"]) == (GONE_AT, GONE_AT)
    assert desk.row("3")["status"] == "open"
    assert desk.row("2")["deletedTime"] is None
    assert (report.facts.inserted, report.facts.updated) == (1, 1)
    notices = [row for row in desk.rows("raw_ticket_changes") if row["_tombstone"]]
    assert [row["ticket_id"] for row in notices] == ["1"]


def test_a_version_of_the_same_batch_is_not_lost_with_it(desk: Desk) -> None:
    newer = replace(ticket("1", -10), status="closed", created_time=NOON - timedelta(days=1))
    desk.run(gone("1"), newer)
    row = desk.row("1")
    assert row["status"] == "closed"
    assert row["createdTime"] == newer.created_time
    assert row["deletedTime"] == row["modifiedTime"] == GONE_AT


def test_a_ticket_that_was_never_seen_has_a_row_of_what_is_known(desk: Desk) -> None:
    desk.run(gone("9"))
    row = desk.row("9")
    assert row["subject"] is None
    assert row["deletedTime"] == GONE_AT


def test_one_that_is_told_again_changes_nothing(desk: Desk) -> None:
    desk.run(gone("1"))
    first = desk.row("1")
    report = desk.run(gone("1"), at=LATER + timedelta(hours=1))
    assert desk.row("1") == first
    assert (report.facts.updated, report.facts.unchanged) == (0, 1)
    assert report.facts.missed_total == 0


def test_a_ticket_that_is_restored_lives_again(desk: Desk) -> None:
    desk.run(gone("1"))
    desk.run(replace(ticket("1", -90), status="reopened"), at=LATER + timedelta(hours=1))
    row = desk.row("1")
    assert row["deletedTime"] is None
    assert row["status"] == "reopened"


def test_an_end_before_the_newest_version_is_no_end(desk: Desk) -> None:
    desk.run(replace(ticket("1", -90), status="open again"))
    report = desk.run(gone("1"), at=LATER + timedelta(hours=1))
    assert desk.row("1")["deletedTime"] is None
    assert report.facts.rejected == 1


def test_a_deletion_that_no_webhook_told_of_is_missed_once(desk: Desk) -> None:
    report = desk.run(gone("1"))
    assert [missed.ticket_id for missed in report.facts.missed] == ["1"]
    # Another notice of the same end, dated otherwise, as some helpdesks give.
    again = desk.run(gone("1", GONE_AT + timedelta(minutes=5)), at=LATER + timedelta(hours=1))
    assert again.facts.missed_total == 0
