"""A simulated helpdesk, a warehouse, and runs between them as the command line makes them.

Each run has its own adapter and client, as two runs hours apart have.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY
from helpdesk_assets.extract.plan import RequestedMode, SyncRequest
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.local.simulator.admin_answers import TrueTicket
from helpdesk_assets.local.simulator.server import SimulatedHelpdesk
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.webhook_events import WebhookEvent
from helpdesk_assets.operations.drain import DrainPolicy, DrainReport, drain
from helpdesk_assets.operations.preview import SyncPreview, preview_sync
from helpdesk_assets.operations.reconcile import ReconcilePolicy, ReconcileReport, reconcile
from helpdesk_assets.operations.repair import CHUNK_SIZE, RepairReport, repair_tickets
from helpdesk_assets.operations.sync import SyncPolicy, SyncReport, run_sync
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.providers.client.connection import Runtime
from helpdesk_assets.providers.parsing.field_map import FieldMap
from helpdesk_assets.providers.parsing.tickets import TicketReader
from helpdesk_assets.providers.registry import make_helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState, Warehouse
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets_tests import webhook_events, webhook_function
from helpdesk_assets_tests.backends import Backend, BigQueryBackend, InMemoryBackend
from helpdesk_assets_tests.conformance.vendors import REST, DeletionVisibility, Vendor
from helpdesk_assets_tests.datasets import fresh_dataset

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
        backend: Backend,
        vendor: Vendor = REST,
    ) -> None:
        self.simulator = simulator
        self.backend = backend
        self.vendor = vendor
        # Webhooks are expected from the start: a function writes the table, or a receiver events.
        expected = settings.webhooks_enabled == "auto" or settings.webhooks_enabled
        self.settings = settings.model_copy(update={"webhooks_enabled": expected})
        self.log_in()
        self.columns: tuple[str, ...] = COLUMNS
        # By how much this machine's clock differs from the helpdesk's.
        self.clock_off = timedelta(0)
        self._runtime = runtime_of(simulator, lambda: self.clock_off)
        # The table when it was last found equal: what a ticket was before it went.
        self._last_verified: dict[str, Row] = {}

    @property
    def warehouse(self) -> BigQueryClient:
        """The stand-in, where the tables are there."""
        assert isinstance(self.backend, BigQueryBackend)
        return self.backend.client

    def connected(self, settings: Settings | None = None) -> AbstractContextManager[Warehouse]:
        """Open the warehouse as a run does."""
        return self.backend.connected(settings or self.settings)

    def capabilities(self) -> Capabilities:
        """What the helpdesk's adapter says of it."""
        with closing(make_helpdesk(self.settings, self._runtime)) as helpdesk:
            return helpdesk.capabilities

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
        is_repair: bool = False,
        run_id: str | None = None,
        on_page: Callable[[Progress], None] = lambda _: None,
        on_phase: Callable[[str], None] = lambda _: None,
        checkpoint_every: timedelta = CHECKPOINT_EVERY,
        **changed: Any,
    ) -> SyncReport:
        """One run; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with self.connected(settings) as warehouse:
            helpdesk = make_helpdesk(settings, self._runtime)
            try:
                return run_sync(
                    helpdesk,
                    warehouse,
                    SyncRequest(requested_mode, since, until, is_repair=is_repair),
                    replace(SyncPolicy.from_settings(settings), checkpoint_every=checkpoint_every),
                    run_id=run_id or uuid.uuid4().hex,
                    on_page=on_page,
                    on_phase=on_phase,
                )
            finally:
                helpdesk.close()

    def drain(self, *, everything: bool = True, **changed: Any) -> DrainReport:
        """One drain; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with (
            self.connected(settings) as warehouse,
            closing(make_helpdesk(settings, self._runtime)) as helpdesk,
        ):
            return drain(
                helpdesk,
                warehouse,
                run_id=uuid.uuid4().hex,
                everything=everything,
                policy=DrainPolicy.from_settings(settings),
                now=self._runtime.now,
            )

    def append(self, *events: WebhookEvent) -> None:
        """What our receiver does with these events."""
        with spooled_events(*events) as spool:
            self.backend.append(tables.WEBHOOK_EVENTS, spool)

    def preview(
        self, requested_mode: RequestedMode = RequestedMode.AUTO, **changed: Any
    ) -> SyncPreview:
        """What one run would do; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with (
            self.connected(settings) as warehouse,
            closing(make_helpdesk(settings, self._runtime)) as helpdesk,
        ):
            return preview_sync(
                helpdesk,
                warehouse,
                SyncRequest(requested_mode),
                SyncPolicy.from_settings(settings),
                run_id=uuid.uuid4().hex,
            )

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
            self.connected(settings) as warehouse,
            closing(make_helpdesk(settings, self._runtime)) as helpdesk,
        ):
            return repair_tickets(
                helpdesk,
                warehouse,
                ids,
                run_id=run_id or uuid.uuid4().hex,
                webhooks=settings.webhooks,
                mark_deleted=mark_deleted,
                listing_delay=settings.listing_delay,
                chunk=chunk,
            )

    def reconcile(
        self,
        *,
        dry_run: bool = False,
        run_id: str | None = None,
        attempt: int = 0,
        save_every: timedelta = CHECKPOINT_EVERY,
        longest_archive: timedelta | None = None,
        **changed: Any,
    ) -> ReconcileReport:
        """One reconciliation; `changed` overrides settings for it."""
        settings = self.settings.model_copy(update=changed)
        with (
            self.connected(settings) as warehouse,
            closing(make_helpdesk(settings, self._runtime)) as helpdesk,
        ):
            return reconcile(
                helpdesk,
                warehouse,
                replace(
                    ReconcilePolicy.from_settings(settings, dry_run=dry_run),
                    save_every=save_every,
                    longest_archive=longest_archive,
                ),
                run_id=run_id or uuid.uuid4().hex,
                attempt=attempt,
            )

    def delete_rows(self, ids: Iterable[str] | None = None) -> None:
        """Somebody deletes these rows by hand, or all of them."""
        self.backend.delete_tickets(ids)

    def make_stale(self, ids: Iterable[str]) -> None:
        """Somebody puts yesterday's rows back."""
        self.backend.alter_tickets(ids, -timedelta(days=1), "yesterday")

    def make_ahead(self, ids: Iterable[str]) -> None:
        """Somebody writes rows that are ahead of the helpdesk."""
        self.backend.alter_tickets(ids, timedelta(hours=1), "ahead")

    def set_watermark(self, to: datetime) -> SyncState:
        """A person sets the watermark."""
        with self.connected() as warehouse:
            seen = warehouse.read_state()
            version = (seen.version if seen else 0) + 1
            manual_state = ManualState(to, None, version, uuid.uuid4().hex, "set")
            with warehouse.lease("watermark", run_id=manual_state.run_id):
                return warehouse.set_manually(manual_state, seen)

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
        with self.connected() as warehouse:
            return warehouse.read_state()

    def prepare_tables(self) -> None:
        """Make the tables, as a run does that dies right afterwards."""
        with self.connected() as warehouse:
            warehouse.prepare()

    def table_fields(self, table: str) -> list[Any]:
        found = self.warehouse.get_table(table, fresh=True)
        assert found is not None
        return list(found.schema)

    def rows(self, table: str = "tickets") -> list[dict[str, Any]]:
        return self.backend.rows(table)

    def tickets(self) -> dict[str, Row]:
        """The tickets table by id; fails where an id has two rows."""
        rows = self.rows()
        found = {row["ticket_id"]: _as_values(row) for row in rows}
        assert len(found) == len(rows), "a ticket has two rows"
        return found

    def truth(self) -> dict[str, Row]:
        """What the tickets table must hold, by id."""
        removals = self.vendor.removals_with(self.simulator.friendly())
        rows = {
            ticket.ticket_id: self._expected_row(ticket, removals)
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
        with webhook_function.spooled(tickets, uuid.uuid4().hex) as spool:
            self.backend.merge(tables.TICKETS, spool)

    def deliver_to_receiver(self, changed: Iterable[TrueTicket], *, delay: float = 1.0) -> None:
        """What our receiver does with the webhooks of these changes: it appends the events, each so
        many seconds after its change. Heard again it is another event."""
        with webhook_events.spooled(changed, delay=delay) as spool:
            self.backend.append(tables.WEBHOOK_EVENTS, spool)

    def reasons(self) -> dict[tuple[str, datetime], str]:
        """The ledger by version; fails where one is recorded twice."""
        self.missed()
        return {
            (row["ticket_id"], row["modifiedTime"]): row["reason"]
            for row in self.rows("missed_updates")
        }

    def _expected_row(
        self, ticket: TrueTicket, removals: Mapping[str, DeletionVisibility]
    ) -> Row | None:
        """None for a ticket that nobody could have stored."""
        assert ticket.raw_ticket is not None
        gone = (
            DeletionVisibility.STAYS_LIVE
            if ticket.removal_kind is None
            else removals[ticket.removal_kind]
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
        return {**before, "deletedTime": ticket.removed_at}


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
        settings = settings.model_copy(update=changed)
        yield Harness(simulator, settings, BigQueryBackend(warehouse), vendor)


@contextmanager
def open_in_memory(
    tickets: int,
    vendor: Vendor = REST,
    *,
    start: datetime | None = None,
    cap: int | None = None,
    **changed: Any,
) -> Iterator[Harness]:
    """A helpdesk and an empty dataset in memory; `changed` are settings."""
    settings = Settings(  # type: ignore[call-arg,unused-ignore]  # pydantic-settings' own
        _env_file=None
    )
    with SimulatedHelpdesk(tickets=tickets, start=start, dialect=vendor.name, cap=cap) as simulator:
        yield Harness(simulator, settings.model_copy(update=changed), InMemoryBackend(), vendor)


def spooled_events(*events: WebhookEvent) -> Spool:
    """Return these events as rows."""
    spool = Spool(1_000_000)
    for event in events:
        spool.append(orjson.dumps(event.row(), option=orjson.OPT_UTC_Z))
    return spool


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


def runtime_of(
    simulator: SimulatedHelpdesk, clock_off: Callable[[], timedelta] = timedelta
) -> Runtime:
    """Waiting takes no time of ours: it moves the clocks instead, the helpdesk's and the run's.

    Waits of several threads add up, so that none of them calls sooner than it would. Our clock
    differs from the helpdesk's by `clock_off`.
    """
    moved = 0.0
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        nonlocal moved
        with lock:
            simulator.advance(seconds)
            moved += seconds

    return Runtime(
        now=lambda: simulator.clock().now + clock_off(),
        monotonic=lambda: time.monotonic() + moved,
        sleep=sleep,
        rng=lambda: 0.5,
    )
