"""A simulated helpdesk, a warehouse, and runs between them as the command line makes them.

Each run has its own adapter and client, as two runs hours apart have.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from helpdesk_assets.demo import webhooks
from helpdesk_assets.model import SyncState
from helpdesk_assets.pipeline import Policy, SyncReport, run_sync
from helpdesk_assets.providers.reading import Shape, TicketReader
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.simulator.control import TrueTicket
from helpdesk_assets.simulator.server import SimulatedHelpdesk
from helpdesk_assets.sync.plan import Ask, Options
from helpdesk_assets.warehouse.client import Warehouse
from helpdesk_assets.warehouse.connection import connect
from helpdesk_assets.warehouse.sync_tables import SyncTables

# More than the grace, so that a change is ripe to be called missed.
RIPE_SECONDS = 700.0


@dataclass(frozen=True, slots=True)
class Row:
    """What a tickets row must have in common with the helpdesk."""

    modified_time: datetime
    content: Any


class Rig:
    def __init__(self, desk: SimulatedHelpdesk, settings: Settings, warehouse: Warehouse) -> None:
        self.desk = desk
        self.settings = settings
        self.warehouse = warehouse

    def sync(
        self,
        ask: Ask = Ask.AUTO,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        run_id: str | None = None,
        on_phase: Callable[[str], None] = lambda _: None,
        **changed: Any,
    ) -> SyncReport:
        """One run; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with connected(settings) as sync_tables:
            helpdesk = make_helpdesk(settings)
            try:
                return run_sync(
                    helpdesk,
                    sync_tables,
                    Options(ask, since, until),
                    Policy.from_settings(settings),
                    run_id=run_id or uuid.uuid4().hex,
                    on_phase=on_phase,
                )
            finally:
                helpdesk.close()

    def state(self) -> SyncState | None:
        with connected(self.settings) as sync_tables:
            return sync_tables.read_state()

    def sync_tables_exist(self) -> None:
        """Make the tables, as a run does that dies right afterwards."""
        with connected(self.settings) as sync_tables:
            sync_tables.prepare()

    def table_fields(self, table: str) -> list[Any]:
        found = self.warehouse.get_table(table, fresh=True)
        assert found is not None
        return list(found.schema)

    def rows(self, table: str = "tickets") -> list[dict[str, Any]]:
        return list(self.warehouse.list_rows(table))

    def tickets(self) -> dict[str, Row]:
        """The tickets table by id; fails where an id has two rows."""
        rows = self.rows()
        found = {
            row["ticket_id"]: Row(row["modifiedTime"], as_value(row["raw_json"])) for row in rows
        }
        assert len(found) == len(rows), "a ticket has two rows"
        return found

    def truth(self) -> dict[str, Row]:
        return {
            ticket.ticket_id: Row(ticket.modified_time, ticket.whole)
            for ticket in self.desk.truth(whole=True)
        }

    def assert_equal(self) -> None:
        """The tickets table and the helpdesk hold the same tickets in the same versions."""
        stored, true = self.tickets(), self.truth()
        absent = true.keys() - stored.keys()
        surplus = stored.keys() - true.keys()
        stale = {key for key in true.keys() & stored.keys() if stored[key] != true[key]}
        assert (absent, surplus, stale) == (set(), set(), set())

    def missed(self) -> set[tuple[str, datetime]]:
        """The ledger; fails where a missed update is recorded twice."""
        rows = [(row["ticket_id"], row["modifiedTime"]) for row in self.rows("missed_updates")]
        assert len(set(rows)) == len(rows), "a missed update is recorded twice"
        return set(rows)

    def deliver(self, changed: Iterable[TrueTicket]) -> None:
        """What a webhook function does: write these versions into tickets, never older ones."""
        reader = TicketReader(Shape(), skip_bad=False)
        tickets = reader.page([change.whole for change in changed]).tickets
        webhooks.store(self.warehouse, tickets, run_id=uuid.uuid4().hex)


@contextmanager
def connected(settings: Settings) -> Iterator[SyncTables]:
    warehouse = connect(settings)
    try:
        yield SyncTables(
            warehouse,
            sync_name=settings.sync_name,
            small_batch_bytes=settings.bigquery_small_batch_bytes,
        )
    finally:
        warehouse.close()


def as_value(stored: Any) -> Any:
    """One stand-in answers JSON columns as text, the other and the service as values."""
    return json.loads(stored) if isinstance(stored, str) else stored


def as_versions(changed: Iterable[TrueTicket]) -> set[tuple[str, datetime]]:
    return {(change.ticket_id, change.modified_time) for change in changed}
