"""A batch that was stored in parts holds what nobody has noted, and loses nothing of what is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpdesk_assets.errors import BatchGone, EndpointFailed
from helpdesk_assets.extract.checkpoint import GOES_ON_WITHIN
from helpdesk_assets.extract.plan import Options
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.tickets import BadTicket, Page
from helpdesk_assets.operations.sync import Policy, SyncReport, run_sync
from helpdesk_assets.providers.parsing.tickets import tombstone
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse.bigquery.client import Warehouse
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.stores.checkpoints import LoadStore
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets_tests.extract.fake_helpdesk import NOON, PaperHelpdesk, page, ticket

BROKEN = EndpointFailed("GET /x answered 500.")


@dataclass
class Desk:
    """Runs on paper, each of which saves after every page."""

    warehouse: Warehouse
    settings: Settings

    def run(self, *script: Page | Exception, desk: PaperHelpdesk | None = None) -> SyncReport:
        return run_sync(
            desk or PaperHelpdesk(script),
            self.tables(),
            Options(),
            replace(Policy.from_settings(self.settings), save_every=timedelta(0)),
            run_id=uuid.uuid4().hex,
        )

    def interrupted(self, *script: Page) -> None:
        with pytest.raises(EndpointFailed, match="the next run goes on from there"):
            self.run(*script, BROKEN)

    def killed_before_the_note(self, last: Page, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(LoadStore, "note", _killed)
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
def desk(warehouse: Warehouse, warehouse_settings: Settings) -> Desk:
    return Desk(warehouse, warehouse_settings)


def test_a_first_load_may_be_stored_before_there_is_a_dataset(warehouse_settings: Settings) -> None:
    with closing(connect(warehouse_settings)) as warehouse:
        desk = Desk(warehouse, warehouse_settings)
        desk.run(page(ticket("1"), resume="1"), page(ticket("2"), resume="2"))
        assert desk.tickets().keys() == {"1", "2"}


@dataclass
class Losing(PaperHelpdesk):
    """Between its pages the warehouse loses what was stored."""

    loser: Desk | None = None

    def _play(self, script: Any) -> Iterator[Page]:
        for given in super()._play(script):
            yield given
            unfinished = self.loser.state().unfinished if self.loser else None
            if self.loser and unfinished:
                self.loser.warehouse.drop_table(unfinished.staging)


@pytest.mark.parametrize("resume", ["2", None], ids=["at the next save", "at the end"])
def test_a_reading_whose_rows_are_gone_ends_and_moves_nothing(
    desk: Desk, resume: str | None
) -> None:
    script = [page(ticket("1"), resume="1"), page(ticket("2"), resume=resume)]
    with pytest.raises(BatchGone, match="begins anew"):
        desk.run(desk=Losing(script, loser=desk))
    assert desk.state().watermark is None
    again = PaperHelpdesk([page(ticket("1"), ticket("2"))])
    desk.run(desk=again)
    assert again.resumed == [None]
    assert desk.tickets().keys() == {"1", "2"}


def test_of_two_readings_after_the_note_the_later_one_is_believed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the same ticket, changed twice in one tick."""
    desk.interrupted(page(ticket("1"), resume="1"))
    early = page(ticket("8"), ticket("9"), ticket("2", body="early"), resume="2")
    desk.killed_before_the_note(early, monkeypatch)
    desk.run(page(ticket("2", body="late")))
    assert "late" in str(desk.tickets()["2"]["raw_json"])


def test_an_end_that_was_stored_and_not_noted_is_only_an_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run(page(ticket("2", 600), until=NOON - timedelta(hours=5)))
    desk.interrupted(page(ticket("1"), resume="1"))
    end = tombstone("2", NOON, {"id": "2"})
    desk.killed_before_the_note(page(end, resume="2"), monkeypatch)
    desk.run(page(ticket("3")))
    row = desk.tickets()["2"]
    assert (row["subject"], row["deletedTime"]) == ("Subject 2", NOON)


def test_a_reading_that_is_too_old_is_begun_anew(desk: Desk) -> None:
    """Some helpdesks tell of what has ended only for some time."""
    desk.interrupted(page(ticket("1"), resume="1"))
    begun = desk.state().unfinished
    assert begun is not None
    old = replace(begun, saved_at=datetime.now(UTC) - GOES_ON_WITHIN)
    desk.tables().load_store("run-1").note(old, 0)
    again = PaperHelpdesk([page(ticket("1"), ticket("2"))])
    desk.run(desk=again)
    assert again.resumed == [None]


def test_tickets_that_could_not_be_read_are_still_named(desk: Desk) -> None:
    bad = (BadTicket("7", "modifiedTime", "is absent"),)
    desk.interrupted(replace(page(ticket("1"), resume="1"), bad=bad))
    manifest = desk.run(page(ticket("2"))).manifest
    assert (manifest.bad, manifest.bad_count) == (bad, 1)
