"""A simulated helpdesk, a warehouse, and runs between them as the command line makes them.

Each run has its own adapter and client, as two runs hours apart have.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.local.simulator.admin_client import TrueTicket
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.operations.reconcile import ReconcilePolicy, ReconcileReport, reconcile
from helpdesk_assets.operations.repair import CHUNK_SIZE, RepairReport, repair_tickets
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.parsing.tickets import FieldMap, TicketReader
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests import webhook_function as webhooks
from helpdesk_assets_tests.conformance.vendors import REST, DeletionVisibility, Vendor
from helpdesk_assets_tests.datasets import fresh_dataset
from helpdesk_assets_tests.webhook_events import store_events

# More than the grace, so that a change is ripe to be called missed.
SECONDS_PAST_GRACE = 700.0
# Wrong values in the text of a failure; one is a whole ticket.
MAX_SHOWN = 3
COLUMNS = (
    "subject", "status", "priority", "assignee",
    "createdTime", "modifiedTime", "deletedTime", "raw_json",
)  # fmt: skip

# By column. What a tickets row must have in common with the helpdesk.
Row = Mapping[str, Any]


class Harness:
    """`columns`: those of the tickets table that must be right."""

    def __init__(
        self,
        simulator: SimulatedHelpdesk,
        settings: Settings,
        warehouse: BigQueryClient,
        vendor: Vendor = REST,
    ) -> None:
        self.simulator = simulator
        self.warehouse = warehouse
        self.vendor = vendor
        self.settings = settings
        self.log_in()
        self.columns: tuple[str, ...] = COLUMNS
        self._runtime = runtime_of(simulator)
        # The table when it was last found equal: what a ticket was before it went.
        self._last_verified: dict[str, Row] = {}

    def log_in(self) -> None:
        """Set what it takes now: the helpdesk's token may be another one than it was."""
        login = self.vendor.settings(self.simulator)
        self.settings = self.settings.model_copy(
            update={
                "helpdesk_provider": self.vendor.name,
                "helpdesk_base_url": self.simulator.base_url,
                **login,
            }
        )

    def sync(
        self,
        requested_mode: RequestedMode = RequestedMode.AUTO,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        run_id: str | None = None,
        on_phase: Callable[[str], None] = lambda _: None,
        checkpoint_every: timedelta = CHECKPOINT_EVERY,
        **changed: Any,
    ) -> SyncReport:
        """One run; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with connected(settings) as sync_tables:
            helpdesk = make_helpdesk(settings, self._runtime)
            try:
                return run_sync(
                    helpdesk,
                    sync_tables,
                    SyncRequest(requested_mode, since, until),
                    replace(SyncPolicy.from_settings(settings), checkpoint_every=checkpoint_every),
                    run_id=run_id or uuid.uuid4().hex,
                    on_phase=on_phase,
                )
            finally:
                helpdesk.close()

    def repair(
        self,
        ids: Iterable[str],
        *,
        mark_deleted: bool = False,
        run_id: str | None = None,
        chunk: int = CHUNK_SIZE,
        **changed: Any,
    ) -> RepairReport:
        """One repair by id; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with (
            connected(settings) as sync_tables,
            closing(make_helpdesk(settings, self._runtime)) as helpdesk,
        ):
            return repair_tickets(
                helpdesk,
                sync_tables,
                ids,
                run_id=run_id or uuid.uuid4().hex,
                webhooks=settings.webhooks,
                mark_deleted=mark_deleted,
                chunk=chunk,
            )

    def reconcile(
        self,
        *,
        dry_run: bool = False,
        run_id: str | None = None,
        attempt: int = 0,
        **changed: Any,
    ) -> ReconcileReport:
        """One reconciliation; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with (
            connected(settings) as sync_tables,
            closing(make_helpdesk(settings, self._runtime)) as helpdesk,
        ):
            return reconcile(
                helpdesk,
                sync_tables,
                ReconcilePolicy.from_settings(settings, dry_run=dry_run),
                run_id=run_id or uuid.uuid4().hex,
                attempt=attempt,
            )

    def delete_rows(self, ids: Iterable[str]) -> None:
        """Somebody deletes these rows by hand."""
        self._tamper("DELETE FROM {table} WHERE ticket_id IN UNNEST(@ids)", ids)

    def make_stale(self, ids: Iterable[str]) -> None:
        """Somebody puts yesterday's rows back."""
        self._tamper(
            "UPDATE {table} SET modifiedTime = TIMESTAMP_SUB(modifiedTime, INTERVAL 1 DAY), "
            "subject = 'yesterday', _content_hash = 'yesterday' WHERE ticket_id IN UNNEST(@ids)",
            ids,
        )

    def make_ahead(self, ids: Iterable[str]) -> None:
        """Somebody writes rows that are ahead of the helpdesk."""
        self._tamper(
            "UPDATE {table} SET modifiedTime = TIMESTAMP_ADD(modifiedTime, INTERVAL 1 HOUR), "
            "subject = 'ahead', _content_hash = 'ahead' WHERE ticket_id IN UNNEST(@ids)",
            ids,
        )

    def _tamper(self, sql: str, ids: Iterable[str]) -> None:
        table = self.warehouse.dataset.table(tables.TICKETS.name)
        which = Parameter("ids", ColumnType.STRING, tuple(ids))
        query = Query(sql.format(table=table), (which,))
        self.warehouse.run(query, run_id=uuid.uuid4().hex, step="tamper")

    def sync_and_verify(self) -> SyncReport:
        """Faults have stopped, the helpdesk is quiet, and one ordinary run makes all equal.

        It comes so much later that it does not read again what an earlier run believes to have
        read: only what that run did not believe can be put right.
        """
        self.simulator.clear_faults()
        self.simulator.advance(SECONDS_PAST_GRACE)
        report = self.sync()
        self.assert_equal()
        return report

    def state(self) -> SyncState | None:
        with connected(self.settings) as sync_tables:
            return sync_tables.read_state()

    def prepare_tables(self) -> None:
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
        found = {row["ticket_id"]: _as_values(row) for row in rows}
        assert len(found) == len(rows), "a ticket has two rows"
        return found

    def truth(self) -> dict[str, Row]:
        """What the tickets table must hold, by id."""
        rows = {
            ticket.ticket_id: self._expected_row(ticket)
            for ticket in self.simulator.truth(raw_ticket=True, include_removed=True)
        }
        return {ticket_id: row for ticket_id, row in rows.items() if row is not None}

    def assert_equal(self) -> None:
        """The tickets table and the helpdesk hold the same tickets in the same versions."""
        stored, true = self.tickets(), self.truth()
        absent = true.keys() - stored.keys()
        surplus = stored.keys() - true.keys()
        wrong = {
            (ticket_id, column): (stored[ticket_id][column], true[ticket_id][column])
            for ticket_id in true.keys() & stored.keys()
            for column in self.columns
            if stored[ticket_id][column] != true[ticket_id][column]
        }
        assert (absent, surplus) == (set(), set())
        assert not wrong, f"{len(wrong)} wrong: {dict(islice(wrong.items(), MAX_SHOWN))}"
        self._last_verified = stored

    def missed(self) -> set[tuple[str, datetime]]:
        """The ledger; fails where a missed update is recorded twice."""
        rows = [(row["ticket_id"], row["modifiedTime"]) for row in self.rows("missed_updates")]
        assert len(set(rows)) == len(rows), "a missed update is recorded twice"
        return set(rows)

    def deliver(self, changed: Iterable[TrueTicket]) -> None:
        """What a webhook function does: write these versions into tickets, never older ones."""
        reader = TicketReader(FieldMap(), skip_bad=False)
        tickets = reader.page([change.raw_ticket for change in changed]).tickets
        webhooks.store(self.warehouse, tickets, run_id=uuid.uuid4().hex)

    def deliver_to_receiver(self, changed: Iterable[TrueTicket], *, delay: float = 1.0) -> None:
        """What our receiver does with the webhooks of these changes: it stores the tickets, then
        the events, each so many seconds after its change. Heard again it is another event."""
        changes = list(changed)
        self.deliver(changes)
        store_events(self.warehouse, changes, delay=delay)

    def reasons(self) -> dict[tuple[str, datetime], str]:
        """The ledger by version; fails where one is recorded twice."""
        self.missed()
        return {
            (row["ticket_id"], row["modifiedTime"]): row["reason"]
            for row in self.rows("missed_updates")
        }

    def _expected_row(self, ticket: TrueTicket) -> Row | None:
        """None for a ticket that nobody could have stored."""
        assert ticket.raw_ticket is not None
        gone = (
            DeletionVisibility.STAYS_LIVE
            if ticket.removal_kind is None
            else self.vendor.removals[ticket.removal_kind]
        )
        before = self._last_verified.get(ticket.ticket_id)
        if gone is DeletionVisibility.INVISIBLE:
            return before
        newest = {
            **self.vendor.columns(ticket.raw_ticket),
            "deletedTime": None if gone is DeletionVisibility.STAYS_LIVE else ticket.removed_at,
            "raw_json": as_stored(ticket.raw_ticket),
        }
        if gone is not DeletionVisibility.TOMBSTONE or before is None:
            return newest
        kept = {"modifiedTime": ticket.removed_at, "deletedTime": ticket.removed_at}
        return {**before, **kept}


@contextmanager
def open_harness(
    endpoint: str,
    tickets: int,
    vendor: Vendor = REST,
    *,
    start: datetime | None = None,
    cap: int | None = None,
    **changed: Any,
) -> Iterator[Harness]:
    """A helpdesk and an empty dataset of the warehouse at `endpoint`; `changed` are settings."""
    with (
        fresh_dataset(endpoint) as settings,
        SimulatedHelpdesk(tickets=tickets, start=start, dialect=vendor.name, cap=cap) as simulator,
        closing(connect(settings)) as warehouse,
    ):
        warehouse.ensure_dataset()
        yield Harness(simulator, settings.model_copy(update=changed), warehouse, vendor)


@contextmanager
def connected(settings: Settings) -> Iterator[SyncTables]:
    warehouse = connect(settings)
    try:
        yield SyncTables.from_settings(warehouse, settings)
    finally:
        warehouse.close()


def as_stored(value: Any) -> Any:
    """The vendor's object with those numbers as text that BigQuery's JSON cannot hold exactly."""
    if isinstance(value, dict):
        return {key: as_stored(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_stored(each) for each in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def as_versions(changed: Iterable[TrueTicket]) -> set[tuple[str, datetime]]:
    return {(change.ticket_id, change.modified_time) for change in changed}


def _as_values(row: Mapping[str, Any]) -> Row:
    """One stand-in answers JSON columns as text, the other and the service as values."""
    values = {column: row.get(column) for column in COLUMNS}
    raw = values["raw_json"]
    return {**values, "raw_json": json.loads(raw) if isinstance(raw, str) else raw}


def runtime_of(simulator: SimulatedHelpdesk) -> Runtime:
    """Waiting takes no time of ours: it moves the clocks instead, the helpdesk's and the run's.

    Waits of several threads add up, so that none of them calls sooner than it would.
    """
    moved = 0.0
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        nonlocal moved
        with lock:
            simulator.advance(seconds)
            moved += seconds

    return Runtime(
        now=lambda: datetime.now(UTC) + timedelta(seconds=moved),
        monotonic=lambda: time.monotonic() + moved,
        sleep=sleep,
        rng=lambda: 0.5,
    )
