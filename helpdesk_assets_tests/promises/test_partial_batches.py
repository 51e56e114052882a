"""A batch stored in parts may contain rows after its checkpoint, and loses none before it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import BatchExpired, EndpointFailed
from helpdesk_assets.extract.checkpoint import RESUME_WITHIN
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.tickets import BadTicket, Page
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.parsing.tickets import tombstone
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.checkpoints import CheckpointTable
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, FakeHelpdesk, page, ticket

BROKEN = EndpointFailed("GET /x answered 500.")


@dataclass
class FakeSyncHarness:
    """Runs with a scripted helpdesk that save after every page."""

    warehouse: BigQueryClient
    settings: Settings

    def run(self, *script: Page | Exception, harness: FakeHelpdesk | None = None) -> SyncReport:
        return run_sync(
            harness or FakeHelpdesk(script),
            self.tables(),
            SyncRequest(),
            replace(SyncPolicy.from_settings(self.settings), checkpoint_every=timedelta(0)),
            run_id=uuid.uuid4().hex,
        )

    def interrupted(self, *script: Page) -> None:
        with pytest.raises(EndpointFailed, match="the next run goes on from there"):
            self.run(*script, BROKEN)

    def killed_before_saving(self, last: Page, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(CheckpointTable, "save", _killed)
            with pytest.raises(KeyboardInterrupt):
                self.run(last)

    def state(self) -> SyncState:
        state = self.tables().read_state()
        assert state is not None
        return state

    def tickets(self) -> dict[str, dict[str, Any]]:
        return {row["ticket_id"]: row for row in self.warehouse.list_rows("tickets")}

    def tables(self) -> SyncTables:
        return SyncTables(self.warehouse, sync_name="paper", small_batch_bytes=1_000_000)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def harness(warehouse: BigQueryClient, warehouse_settings: Settings) -> FakeSyncHarness:
    return FakeSyncHarness(warehouse, warehouse_settings)


def test_first_load_checkpoint_creates_the_dataset(warehouse_settings: Settings) -> None:
    with closing(connect(warehouse_settings)) as warehouse:
        harness = FakeSyncHarness(warehouse, warehouse_settings)
        harness.run(page(ticket("1"), resume="1"), page(ticket("2"), resume="2"))
        assert harness.tickets().keys() == {"1", "2"}


@dataclass
class HelpdeskDroppingTables(FakeHelpdesk):
    """A helpdesk between whose pages the warehouse loses the stored rows."""

    harness_to_drop: FakeSyncHarness | None = None

    def _play(self, script: Any) -> Iterator[Page]:
        for given in super()._play(script):
            yield given
            checkpoint = self.harness_to_drop.state().checkpoint if self.harness_to_drop else None
            if self.harness_to_drop and checkpoint:
                self.harness_to_drop.warehouse.drop_table(checkpoint.staging)


@pytest.mark.parametrize("resume", ["2", None], ids=["at the next save", "at the end"])
def test_checkpoint_without_its_rows_fails_and_advances_nothing(
    harness: FakeSyncHarness, resume: str | None
) -> None:
    script = [page(ticket("1"), resume="1"), page(ticket("2"), resume=resume)]
    with pytest.raises(BatchExpired, match="starts over"):
        harness.run(harness=HelpdeskDroppingTables(script, harness_to_drop=harness))
    assert harness.state().watermark is None
    again = FakeHelpdesk([page(ticket("1"), ticket("2"))])
    harness.run(harness=again)
    assert again.resumed == [None]
    assert harness.tickets().keys() == {"1", "2"}


def test_later_of_two_reads_after_the_checkpoint_wins(
    harness: FakeSyncHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the same ticket, changed twice in one tick."""
    harness.interrupted(page(ticket("1"), resume="1"))
    early = page(ticket("8"), ticket("9"), ticket("2", body="early"), resume="2")
    harness.killed_before_saving(early, monkeypatch)
    harness.run(page(ticket("2", body="late")))
    assert "late" in str(harness.tickets()["2"]["raw_json"])


def test_tombstone_stored_after_the_checkpoint_stays_a_tombstone(
    harness: FakeSyncHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.run(page(ticket("2", 600), until=NOON - timedelta(hours=5)))
    harness.interrupted(page(ticket("1"), resume="1"))
    end = tombstone("2", NOON, {"id": "2"})
    harness.killed_before_saving(page(end, resume="2"), monkeypatch)
    harness.run(page(ticket("3")))
    row = harness.tickets()["2"]
    assert (row["subject"], row["deletedTime"]) == ("Subject 2", NOON)


def test_outdated_checkpoint_starts_over(harness: FakeSyncHarness) -> None:
    """Some helpdesks report removals only for a limited time."""
    harness.interrupted(page(ticket("1"), resume="1"))
    begun = harness.state().checkpoint
    assert begun is not None
    old = replace(begun, saved_at=datetime.now(UTC) - RESUME_WITHIN)
    harness.tables().checkpoint_store("run-1").save(old, 0)
    again = FakeHelpdesk([page(ticket("1"), ticket("2"))])
    harness.run(harness=again)
    assert again.resumed == [None]


def test_unreadable_tickets_are_named_after_resuming(harness: FakeSyncHarness) -> None:
    bad = (BadTicket("7", "modifiedTime", "is absent"),)
    harness.interrupted(replace(page(ticket("1"), resume="1"), bad=bad))
    manifest = harness.run(page(ticket("2"))).manifest
    assert (manifest.bad, manifest.bad_count) == (bad, 1)
