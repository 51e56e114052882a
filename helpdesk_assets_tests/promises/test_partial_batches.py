"""A batch stored in parts may contain rows after its checkpoint, and loses none before it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import BatchGone, EndpointFailed
from helpdesk_assets.extract.checkpoint import RESUME_WITHIN
from helpdesk_assets.extract.plan import SyncRequest
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.tickets import BadTicket, Page
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.parsing.tombstones import tombstone
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets_tests.backends import Backend, BigQueryBackend
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, FakeHelpdesk, page, ticket
from helpdesk_assets_tests.harness import Harness

BROKEN = EndpointFailed("GET /x answered 500.")


@dataclass
class FakeSync:
    """Runs with a scripted helpdesk that save after every page."""

    backend: Backend
    settings: Settings

    def run(self, *script: Page | Exception, helpdesk: FakeHelpdesk | None = None) -> SyncReport:
        with self.backend.connected(self.settings) as warehouse:
            return run_sync(
                helpdesk or FakeHelpdesk(script),
                warehouse,
                SyncRequest(),
                replace(SyncPolicy.from_settings(self.settings), checkpoint_every=timedelta(0)),
                run_id=uuid.uuid4().hex,
            )

    def interrupted(self, *script: Page) -> None:
        with pytest.raises(EndpointFailed, match="the next run goes on from there"):
            self.run(*script, BROKEN)

    def killed_before_saving(self, last: Page, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.backend.connected(self.settings) as warehouse:
            store = type(warehouse.checkpoint_store("run"))
        with monkeypatch.context() as patch:
            patch.setattr(store, "save", _killed)
            with pytest.raises(KeyboardInterrupt):
                self.run(last)

    def state(self) -> SyncState:
        with self.backend.connected(self.settings) as warehouse:
            state = warehouse.read_state()
        assert state is not None
        return state

    def tickets(self) -> dict[str, dict[str, Any]]:
        return {row["ticket_id"]: row for row in self.backend.rows("tickets")}


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def fake_sync(harness: Harness) -> FakeSync:
    return FakeSync(harness.backend, harness.settings)


def test_first_load_checkpoint_creates_the_dataset(warehouse_settings: Settings) -> None:
    with closing(connect(warehouse_settings)) as client:
        fake_sync = FakeSync(BigQueryBackend(client), warehouse_settings)
        fake_sync.run(page(ticket("1"), resume="1"), page(ticket("2"), resume="2"))
        assert fake_sync.tickets().keys() == {"1", "2"}


@dataclass
class HelpdeskDroppingTables(FakeHelpdesk):
    """A helpdesk between whose pages the warehouse loses the stored rows."""

    fake_sync: FakeSync | None = None

    def _play(self, script: Any) -> Iterator[Page]:
        for given in super()._play(script):
            yield given
            checkpoint = self.fake_sync.state().checkpoint if self.fake_sync else None
            if self.fake_sync and checkpoint:
                self.fake_sync.backend.drop_staging(checkpoint.staging)


@pytest.mark.parametrize("resume", ["2", None], ids=["at the next save", "at the end"])
def test_checkpoint_without_its_rows_fails_and_advances_nothing(
    fake_sync: FakeSync, resume: str | None
) -> None:
    script = [page(ticket("1"), resume="1"), page(ticket("2"), resume=resume)]
    with pytest.raises(BatchGone, match="starts over"):
        fake_sync.run(helpdesk=HelpdeskDroppingTables(script, fake_sync=fake_sync))
    assert fake_sync.state().watermark is None
    again = FakeHelpdesk([page(ticket("1"), ticket("2"))])
    fake_sync.run(helpdesk=again)
    assert again.resumed == [None]
    assert fake_sync.tickets().keys() == {"1", "2"}


def test_later_of_two_reads_after_the_checkpoint_wins(
    fake_sync: FakeSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the same ticket, changed twice in one tick."""
    fake_sync.interrupted(page(ticket("1"), resume="1"))
    early = page(ticket("8"), ticket("9"), ticket("2", body="early"), resume="2")
    fake_sync.killed_before_saving(early, monkeypatch)
    fake_sync.run(page(ticket("2", body="late")))
    assert "late" in str(fake_sync.tickets()["2"]["raw_json"])


def test_tombstone_stored_after_the_checkpoint_stays_a_tombstone(
    fake_sync: FakeSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_sync.run(page(ticket("2", 600), until=NOON - timedelta(hours=5)))
    fake_sync.interrupted(page(ticket("1"), resume="1"))
    end = tombstone("2", NOON, {"id": "2"})
    fake_sync.killed_before_saving(page(end, resume="2"), monkeypatch)
    fake_sync.run(page(ticket("3")))
    row = fake_sync.tickets()["2"]
    assert (row["subject"], row["deletedTime"]) == ("Subject 2", NOON)


def test_outdated_checkpoint_starts_over(fake_sync: FakeSync) -> None:
    """Some helpdesks report removals only for a limited time."""
    fake_sync.interrupted(page(ticket("1"), resume="1"))
    begun = fake_sync.state().checkpoint
    assert begun is not None
    old = replace(begun, saved_at=datetime.now(UTC) - RESUME_WITHIN)
    with fake_sync.backend.connected(fake_sync.settings) as warehouse:
        warehouse.checkpoint_store("run-1").save(old, 0)
    again = FakeHelpdesk([page(ticket("1"), ticket("2"))])
    fake_sync.run(helpdesk=again)
    assert again.resumed == [None]


def test_unreadable_tickets_are_named_after_resuming(fake_sync: FakeSync) -> None:
    bad = (BadTicket("7", "modifiedTime", "is absent"),)
    fake_sync.interrupted(replace(page(ticket("1"), resume="1"), bad=bad))
    manifest = fake_sync.run(page(ticket("2"))).manifest
    assert (manifest.bad, manifest.bad_count) == (bad, 1)
