"""The tables of one sync in BigQuery: the `warehouse.base.Warehouse` of the product.

Each step's merge is a `MergeRequest`, so that the command line and Dagster's IO manager write by
the same writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from helpdesk_assets.model.account import Account
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.model.lease import LeaseRecord, Predecessor
from helpdesk_assets.model.state import Checkpoint, RepeatedRows, RunCounts, SyncState
from helpdesk_assets.model.webhook_events import ReadTicket
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.settings import MIN_LISTING_DELAY, Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ClosedRun, Ground, ManualState
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import open_appender
from helpdesk_assets.warehouse.bigquery.jobs_of_others import end_jobs_of
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.stores.adopted_table import adopted_until
from helpdesk_assets.warehouse.stores.checkpoints import CheckpointTable
from helpdesk_assets.warehouse.stores.closing import RunCloser, count_batch
from helpdesk_assets.warehouse.stores.estimates import RunEstimator
from helpdesk_assets.warehouse.stores.inventories import InventoryTables
from helpdesk_assets.warehouse.stores.lease_table import LeaseTable
from helpdesk_assets.warehouse.stores.lease_waiting import Clocks, Sightings
from helpdesk_assets.warehouse.stores.manual_state import write_manual_state
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest, MergeRequests
from helpdesk_assets.warehouse.stores.repeated_rows import remove_repeated_rows
from helpdesk_assets.warehouse.stores.run_log import RunLog
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.sync_reports import SyncReports
from helpdesk_assets.warehouse.stores.views import ensure_views
from helpdesk_assets.warehouse.stores.webhook_inbox import WebhookInbox
from helpdesk_assets.warehouse.stores.write_access import DatasetWriteAccess
from helpdesk_assets.warehouse.stores.writer_lease import WriterLease
from helpdesk_assets.warehouse.table_spec import JobUsage, MergeReport, TableSpec

if TYPE_CHECKING:
    from helpdesk_assets.warehouse.bigquery.appender import RowAppender

# Nobody waits for an outcome as a vendor waits for an answer.
APPEND_SECONDS = 60.0


class SyncTables(WebhookInbox, SyncReports):
    """The dataset of one sync. Making one sends no request."""

    def __init__(
        self,
        client: BigQueryClient,
        *,
        sync_name: str,
        small_batch_bytes: int,
        history_days: int | None = None,
        listing_delay: timedelta = MIN_LISTING_DELAY,
        clocks: Clocks | None = None,
        sightings: Sightings | None = None,
        open_appender: Callable[[], RowAppender] | None = None,
    ) -> None:
        """Bind the tables to a dataset.

        Args:
            client: the dataset.
            sync_name: which row of sync_state.
            small_batch_bytes: batches up to this size are sent as parameters.
            history_days: how long ticket versions are kept; 0: for ever, None: as the table has it.
            listing_delay: how long the helpdesk's lists may show a deleted ticket.
            clocks: time and chance, for the lease.
            sightings: what was seen of other writers; None: nothing yet.
            open_appender: opens what appends rows; None: no outcome of an event can be recorded.
        """
        WebhookInbox.__init__(self, client, open_appender)
        self._dataset = client.dataset
        self._staging = Staging(client)
        self._writer = TableWriter(client, small_batch_bytes=small_batch_bytes)
        self._sync_name = sync_name
        self._state = StateTable(client, sync_name)
        self._runs = RunLog(client, sync_name)
        self._history_days = history_days
        self.requests = MergeRequests(client, self._state, listing_delay)
        SyncReports.__init__(self, client, self._state, self._runs, self.requests)
        self._lease = WriterLease(
            LeaseTable(client),
            sync_name=sync_name,
            fence_off=self._fence_off,
            clocks=clocks,
            sightings=sightings,
        )
        self._closer = RunCloser(client, self._state, self._runs, self.requests, self._writer)
        self._estimator = RunEstimator(
            client, self._state, self._runs, self.requests, self._writer, sync_name=sync_name
        )
        self.small_batch_bytes = small_batch_bytes

    @classmethod
    def from_settings(
        cls,
        client: BigQueryClient,
        settings: Settings,
        *,
        clocks: Clocks | None = None,
        sightings: Sightings | None = None,
    ) -> SyncTables:
        """Bind the tables as the settings say; the others as of `__init__`."""
        return cls(
            client,
            sync_name=settings.sync_name,
            small_batch_bytes=settings.bigquery_small_batch_bytes,
            history_days=settings.history_days,
            listing_delay=settings.listing_delay,
            clocks=clocks,
            sightings=sightings,
            open_appender=partial(open_appender, settings, client, deadline=APPEND_SECONDS),
        )

    @property
    def use(self) -> JobUsage:
        """Jobs run by this client so far."""
        return self._client.use

    def read_state(self) -> SyncState | None:
        """Return the state row; None before the first run or checkpoint."""
        return self._state.read()

    @contextmanager
    def lease(self, purpose: str, *, run_id: str, wait: timedelta | None = None) -> Iterator[None]:
        """Be the only one inside the block who writes tickets, versions and missed updates."""
        hold = self._lease.hold(purpose, run_id=run_id, wait=wait)
        with hold, self._client.before_each_write(self._lease.check), self._client.remembering():
            yield

    def writer(self) -> LeaseRecord | None:
        """Return who writes now, None if nobody does; no query job."""
        return self._lease.writer()

    def _fence_off(self, gone: tuple[Predecessor, ...], run_id: str) -> None:
        """Let no earlier holder close, and end what it has left running."""
        self._schema.ensure(tables.SYNC_STATE)
        self._state.fence_off(gone, run_id)
        end_jobs_of(self._client, {each.run_id for each in gone})

    def has_closed(self) -> bool:
        """Return whether a run of any sync of the dataset has closed; no query job."""
        return self._state.has_closed()

    def can_resume(self, checkpoint: Checkpoint) -> bool:
        """Return whether the rows of an interrupted run are still stored."""
        return self._staging.exists(checkpoint.staging)

    def checkpoint_store(self, run_id: str) -> CheckpointTable:
        """Return where that run saves its checkpoints."""
        return CheckpointTable(self._client, self._lease, sync_name=self._sync_name, run_id=run_id)

    def inventories(self) -> InventoryTables:
        """Return the tables of reconciliations."""
        return InventoryTables(self._client, self._writer)

    def ground(self) -> Ground:
        """Return what the tables' metadata says now; costs no query job."""
        facts = self._client.table_facts
        tickets, history = facts(tables.TICKETS.name), facts(tables.RAW_TICKET_CHANGES.name)
        return Ground(tickets, history, self._schema.absent(tables.TICKETS, tables.TICKET_COLUMNS))

    def write_access(self) -> DatasetWriteAccess:
        """Return what says whether the dataset takes what a run writes."""
        return DatasetWriteAccess(self._client)

    def check_columns(self) -> None:
        """Fail if a table has a column of another type; no query job."""
        for spec in tables.SYNC_TABLES:
            self._schema.check(spec)

    def adopted_until(self) -> datetime | None:
        """Return where an older sync's tickets table ends; None if there is no such table."""
        return adopted_until(self._client, self._schema)

    @property
    def dataset_name(self) -> str:
        """Project and dataset, for people."""
        return f"{self._dataset.project}.{self._dataset.name}"

    def claims(self) -> set[Account]:
        """Return the accounts that state rows, tickets and events name; no query job."""
        held = (tables.TICKETS, tables.WEBHOOK_EVENTS)
        labels = (self._schema.label(spec, tables.ACCOUNT_LABEL) for spec in held)
        return {*self._state.accounts(), *(Account("", digest) for digest in labels if digest)}

    def adopt(self, account: Account, *, run_id: str) -> None:
        """Give the dataset to an account; the syncs of others lose their watermarks."""
        self._lease.check()
        self._schema.ensure(tables.SYNC_STATE)
        self._state.adopt(account, run_id=run_id)
        self.claim(account.digest)

    def claim(self, account: str) -> None:
        """Create the table tickets if there is none, and note whose tickets it holds."""
        self._schema.ensure(tables.TICKETS)
        if account:
            for spec in (tables.TICKETS, tables.WEBHOOK_EVENTS):
                self._schema.ensure_label(spec, tables.ACCOUNT_LABEL, account)

    def claim_events(self, account: str) -> None:
        """Create the table webhook_events if there is none, and note whose events it holds."""
        self._schema.ensure(tables.WEBHOOK_EVENTS)
        if account:
            self._schema.ensure_label(tables.WEBHOOK_EVENTS, tables.ACCOUNT_LABEL, account)

    def prepare(self, account: str = "") -> None:
        """Create missing tables and columns, the view, and the expiry of ticket versions."""
        with self._client.remembering():
            for spec in tables.SYNC_TABLES:
                self._schema.ensure(spec)
            self.claim(account)
            if self._history_days is not None:
                self._schema.set_partition_expiry(tables.RAW_TICKET_CHANGES, self._history_days)
            ensure_views(self._schema, self._dataset)

    def merge_changes(self, manifest: Manifest, spool: Spool) -> MergeReport:
        """Store the batch's versions."""
        request = self.requests.changes(manifest, spool)
        return self._write(tables.RAW_TICKET_CHANGES, request, manifest)

    def merge_missed(self, manifest: Manifest, webhooks: WebhookPolicy) -> MergeReport:
        """Record the changes that no webhook delivered."""
        request = self.requests.missed(manifest, webhooks)
        return self._write(tables.MISSED_UPDATES, request, manifest)

    def merge_tickets(self, manifest: Manifest) -> MergeReport:
        """Bring the tickets table up to date with the batch."""
        return self._write(tables.TICKETS, self.requests.tickets(manifest), manifest)

    def merge_webhooks(self, read: Sequence[ReadTicket], *, run_id: str) -> MergeReport:
        """Bring the tickets table up to date with what webhooks brought."""
        self._lease.check()
        return super().merge_webhooks(read, run_id=run_id)

    def _write(self, spec: TableSpec, request: MergeRequest, manifest: Manifest) -> MergeReport:
        self._lease.check()
        return request.write(self._writer, spec, run_id=manifest.run_id)

    def estimate(
        self, manifest: Manifest, spool: Spool, webhooks: WebhookPolicy
    ) -> tuple[StatementEstimate, ...]:
        """Return what the statements of a run would read; sends none of them."""
        return self._estimator.estimate(manifest, spool, webhooks)

    def commit_run(
        self, manifest: Manifest, webhooks: WebhookPolicy, *, attempt: int = 0
    ) -> tuple[RunCounts, SyncState | None]:
        """Move the watermark if the run may, count what it did, and drop its staging table.

        A run over a range leaves the state row alone and only counts.
        """
        self._lease.check()
        return self._closer.commit(manifest, webhooks, attempt=attempt)

    def close_if_stored(self, manifest: Manifest, webhooks: WebhookPolicy) -> ClosedRun | None:
        """Close a run all of whose versions the last run to close had stored."""
        self._lease.check()
        return self._closer.close_if_stored(manifest, webhooks)

    def remove_repeated_rows(
        self, manifest: Manifest, counts: RunCounts
    ) -> tuple[RepeatedRows, ...]:
        """Keep one row of each key in every table of which the run counted repeated keys."""
        self._lease.check()
        return remove_repeated_rows(self._client, manifest, counts)

    def count_batch(self, manifest: Manifest) -> RunCounts:
        """Count the batch's tickets: inserted, updated, unchanged and rejected, nothing else."""
        return count_batch(self._client, manifest)

    def drop_staging(self, manifest: Manifest) -> None:
        """Remove what the batch has staged."""
        if manifest.staging is not None:
            self._staging.drop(manifest.staging)

    def set_manually(self, manual_state: ManualState, expected: SyncState | None) -> SyncState:
        """Write the state row as a person wants it, and a row of the log.

        Raises:
            ConcurrentUpdate: the row is no longer the `expected` one.
        """
        self._lease.check()
        self._schema.ensure(tables.SYNC_STATE)
        state = write_manual_state(self._client, self._sync_name, manual_state, expected)
        self._runs.write_or_warn(state)
        return state
