"""The seam between operations and a warehouse: what sync, repair, reconcile and backfill need.

`stores.sync_tables.SyncTables` keeps it in BigQuery; the tests have one in memory. No signature
here knows SQL, a client or a table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from helpdesk_assets.extract.checkpoint import CheckpointStore
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.model.state import (
    Checkpoint,
    RepeatedRows,
    RunCounts,
    RunRecord,
    SyncState,
)
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.event_inbox import EventInbox
from helpdesk_assets.warehouse.inventory_store import InventoryStore
from helpdesk_assets.warehouse.table_spec import JobUsage, MergeReport, TableFacts
from helpdesk_assets.warehouse.write_access import WriteAccess


@dataclass(frozen=True, slots=True)
class ManualState:
    """The state row as a person sets it. `version` is the row's next version."""

    watermark: datetime | None
    cursor: str | None
    version: int
    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ground:
    """The tables that a watermark stands on; None for one that is not there.

    `missing_columns`: what the tickets table lacks of a ticket's content; added again, they are
    empty.
    """

    tickets: TableFacts | None
    history: TableFacts | None
    missing_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosedRun:
    """A run that has closed without its batch being written again; see `close_if_stored`."""

    stored: MergeReport
    missed: MergeReport
    merged: MergeReport
    counts: RunCounts
    state: SyncState


class Warehouse(EventInbox, Protocol):
    """Where one sync keeps tickets, their versions, the ledger of missed updates and its state.

    Every method that writes is safe to repeat. The guards are the warehouse's: a version is stored
    once, an older version never replaces a newer one, the watermark goes back only where
    `Manifest.resets_watermark` says so.
    """

    @property
    def small_batch_bytes(self) -> int:
        """Batches up to this size are handed over in memory."""
        ...

    @property
    def use(self) -> JobUsage:
        """Jobs run so far."""
        ...

    def read_state(self) -> SyncState | None:
        """Return the state row; None before the first run or checkpoint."""
        ...

    def ground(self) -> Ground:
        """Return what the tables' metadata says now; costs no query."""
        ...

    def write_access(self) -> WriteAccess:
        """Return what says whether the dataset takes what a run writes."""
        ...

    def check_columns(self) -> None:
        """Fail if a table has a column that no statement can use; costs no query.

        Raises:
            SchemaMismatch: a column has another type, or the key is missing.
        """
        ...

    def adopted_until(self) -> datetime | None:
        """Return where an older sync's tickets table ends; None if there is no such table."""
        ...

    @property
    def dataset_name(self) -> str:
        """Where the tables are, for people."""
        ...

    def claims(self) -> Collection[Account]:
        """Return the accounts that the dataset's tables name; costs no query."""
        ...

    def adopt(self, account: Account, *, run_id: str) -> None:
        """Give the dataset to an account.

        The syncs of others lose their watermarks, so that each reads everything again.
        """
        ...

    def lease(
        self, purpose: str, *, run_id: str, wait: timedelta | None = None
    ) -> AbstractContextManager[None]:
        """Be the only one inside the block who writes tickets, versions and missed updates.

        Each method that writes them, or moves the state row, must be called inside. A block within
        a block changes nothing.

        Args:
            purpose: what is written, for those who wait: `sync`, `repair` and so on.
            run_id: on whose behalf.
            wait: how long another writer is waited for; None: half an hour.

        Raises:
            WriterBusy: another one had not finished when the wait was over.
            LeaseLost: raised by those methods, if another one has taken over meanwhile.
        """
        ...

    def prepare(self, account: str = "") -> None:
        """Create what is missing, and note whose tickets these are by the account's digest."""
        ...

    def can_resume(self, checkpoint: Checkpoint) -> bool:
        """Return whether the rows of an interrupted run are still stored."""
        ...

    def checkpoint_store(self, run_id: str) -> CheckpointStore:
        """Return where that run saves its checkpoints."""
        ...

    def estimate(
        self, manifest: Manifest, spool: Spool, webhooks: WebhookPolicy
    ) -> tuple[StatementEstimate, ...]:
        """Return what the statements of a run would read, in their order; writes nothing.

        Args:
            manifest: the batch, of which nothing is stored yet.
            spool: its rows, as far as they are known.
            webhooks: what is expected of webhooks.
        """
        ...

    def merge_changes(self, manifest: Manifest, spool: Spool) -> MergeReport:
        """Store the batch's versions: those in the spool, or those that are staged already."""
        ...

    def merge_missed(self, manifest: Manifest, webhooks: WebhookPolicy) -> MergeReport:
        """Record the changes that no webhook delivered.

        Raises:
            BatchGone: the batch was staged, and its staging table is gone.
        """
        ...

    def merge_tickets(self, manifest: Manifest) -> MergeReport:
        """Bring the tickets table up to date with the batch.

        Raises:
            BatchGone: the batch was staged, and its staging table is gone.
        """
        ...

    def count_batch(self, manifest: Manifest) -> RunCounts:
        """Count the batch's tickets: inserted, updated, unchanged and rejected, nothing else.

        Raises:
            BatchGone: the batch, or what was merged of it, is gone.
        """
        ...

    def commit_run(
        self, manifest: Manifest, webhooks: WebhookPolicy
    ) -> tuple[RunCounts, SyncState | None]:
        """Move the watermark if the run may, count what it did, and drop its staging table.

        A run over a range leaves the state row alone and only counts.

        Raises:
            ConcurrentUpdate: the state row is no longer the one that the run began with.
            BatchGone: the batch, or what was merged of it, is gone; nothing was written.
        """
        ...

    def close_if_stored(self, manifest: Manifest, webhooks: WebhookPolicy) -> ClosedRun | None:
        """Close a run all of whose versions the last run to close had stored.

        It closes only over tables that hold the batch as writing it again would leave them. None:
        the run has not closed, and nothing but missed updates was written; the caller writes the
        batch and commits.
        """
        ...

    def remove_repeated_rows(
        self, manifest: Manifest, counts: RunCounts
    ) -> tuple[RepeatedRows, ...]:
        """Keep one row of each key in every table of which the run counted repeated keys.

        Of a ticket's rows the newest version stays, of all others the row that was stored first.
        A table that refuses keeps its rows, and its result says why.
        """
        ...

    def drop_staging(self, manifest: Manifest) -> None:
        """Remove what the batch has staged."""
        ...

    def find_live_tickets(
        self, ids: Sequence[str], *, created_by: datetime, run_id: str
    ) -> list[str]:
        """Return the tickets that have a live row, in the order of `ids`.

        Args:
            ids: the tickets.
            created_by: tickets created later are left out.
            run_id: the run on whose behalf they are read.
        """
        ...

    def has_closed(self) -> bool:
        """Return whether a run of any sync of the dataset has closed; costs no query."""
        ...

    def inventories(self) -> InventoryStore:
        """Return the snapshots of reconciliations."""
        ...

    def last_advances(self, limit: int) -> tuple[RunRecord, ...]:
        """Return the last moves of the watermark, newest first."""
        ...

    def set_manually(self, manual_state: ManualState, expected: SyncState | None) -> SyncState:
        """Write the state row as a person wants it.

        Raises:
            ConcurrentUpdate: the row is no longer the `expected` one.
        """
        ...
