"""The tables of one sync in BigQuery: `warehouse.base.Warehouse` as the product has it.

Each step's merge is a `MergeRequest`, so that the command line and Dagster's IO manager write by
the same writer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.model.batch import BATCH_TTL, Manifest, Mode
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import Checkpoint, RunCounts, RunRecord, SyncState
from helpdesk_assets.model.webhooks import WebhookDay, WebhookPolicy
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema, is_json_as_text
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.statements import batch, history_view, webhook_days
from helpdesk_assets.warehouse.statements.run_counts import batch_counts_query
from helpdesk_assets.warehouse.stores.checkpoints import CheckpointTable
from helpdesk_assets.warehouse.stores.inventories import InventoryTables
from helpdesk_assets.warehouse.stores.manual_state import write_manual_state
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequest, MergeRequests
from helpdesk_assets.warehouse.stores.run_log import RunLog
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.table_spec import JobUsage, MergeReport, TableSpec

log = logging.getLogger(__name__)

# A line of the run log costs a query job, which every run would have one more of. Until then the
# state row remembers the runs; where it is lost meanwhile, rebuilding it begins a few windows back.
RUNS_PER_LOG_WRITE = 10


class SyncTables:
    """The dataset of one sync. No method but those called asks the warehouse for anything."""

    def __init__(
        self,
        client: BigQueryClient,
        *,
        sync_name: str,
        small_batch_bytes: int,
        history_days: int | None = None,
    ) -> None:
        """Bind the tables to a dataset.

        Args:
            client: the dataset.
            sync_name: which row of sync_state.
            small_batch_bytes: batches up to this size are sent as parameters.
            history_days: how long ticket versions are kept; 0: for ever, None: as the table has it.
        """
        self._client = client
        self._dataset = client.dataset
        self._schema = Schema(client)
        self._staging = Staging(client)
        self._writer = TableWriter(client, small_batch_bytes=small_batch_bytes)
        self._sync_name = sync_name
        self._state = StateTable(client, sync_name)
        self._runs = RunLog(client, sync_name)
        self._history_days = history_days
        self.requests = MergeRequests(client, self._state)
        self.small_batch_bytes = small_batch_bytes

    @classmethod
    def from_settings(cls, client: BigQueryClient, settings: Settings) -> SyncTables:
        """Bind the tables as the settings say."""
        return cls(
            client,
            sync_name=settings.sync_name,
            small_batch_bytes=settings.bigquery_small_batch_bytes,
            history_days=settings.history_days,
        )

    @property
    def use(self) -> JobUsage:
        """Jobs run by this client so far."""
        return self._client.use

    def read_state(self) -> SyncState | None:
        """Return the state row; None before the first run or checkpoint."""
        return self._state.read()

    def can_resume(self, checkpoint: Checkpoint) -> bool:
        """Whether what was stored of an interrupted reading is still there."""
        return self._staging.exists(checkpoint.staging)

    def checkpoint_store(self, run_id: str) -> CheckpointTable:
        """Where a long reading of that run is kept while it goes on."""
        return CheckpointTable(self._client, sync_name=self._sync_name, run_id=run_id)

    def inventories(self) -> InventoryTables:
        """The tables of a reconciliation."""
        return InventoryTables(self._client, self._writer)

    def adopted_until(self) -> datetime | None:
        """Where the tickets table of an older sync ends; None where there is no such table.

        A table with our own columns is not adopted: a first load that died left it, and its newest
        row says nothing about what came before.
        """
        if not self._schema.exists(tables.TICKETS):
            return None
        if tables.CONTENT_HASH.name in self._schema.columns(tables.TICKETS):
            return None
        outcome = self._client.run(
            batch.newest_stored(self._dataset), run_id="adopt", step="tickets"
        )
        return next((row["watermark"] for row in outcome.rows), None)

    def prepare(self) -> None:
        """Make the tables that are not there, and add the columns that an adopted one lacks; then
        see to it that versions are kept as long as they should be, and to the view of them."""
        for spec in tables.SYNC_TABLES:
            self._schema.ensure(spec)
        if self._history_days is not None:
            self._schema.set_partition_expiry(tables.RAW_TICKET_CHANGES, self._history_days)
        self._schema.ensure_view(history_view.NAME, self._history_view(), history_view.DESCRIPTION)

    def _history_view(self) -> str:
        held = self._schema.columns(tables.TICKETS)
        raw_json = next(each for each in tables.TICKETS.columns if each.name == "raw_json")
        return history_view.view_query(self._dataset, json_as_text=is_json_as_text(raw_json, held))

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

    def _write(self, spec: TableSpec, request: MergeRequest, manifest: Manifest) -> MergeReport:
        return request.write(self._writer, spec, run_id=manifest.run_id)

    def commit_run(
        self, manifest: Manifest, webhooks: WebhookPolicy, *, attempt: int = 0
    ) -> tuple[RunCounts, SyncState | None]:
        """Move the watermark where the run may, count the facts, and remove the run's staging.

        A run over a range leaves the state row alone and only counts.
        """
        events = self.requests.by_events(webhooks)
        if manifest.is_range:
            facts = self._state.count_run(manifest, events=events, attempt=attempt)
            closed = facts, self.read_state()
        else:
            # The batch may have been fetched before an upgrade that added a column.
            self._schema.ensure(tables.SYNC_STATE)
            state = self._state.commit_run(manifest, events=events, attempt=attempt)
            if manifest.mode is Mode.FULL or state.version % RUNS_PER_LOG_WRITE == 0:
                self._log_run(state, attempt)
            closed = state.facts, state
        self.drop_staging(manifest)
        self._staging.drop_orphans(
            BATCH_TTL, of_tables=tables.STAGED_TABLES, retained=self._state.stagings_in_use()
        )
        return closed

    def find_live_tickets(self, ids: Sequence[str], *, run_id: str) -> list[str]:
        """Those of the tickets that the table has and that have not gone, in the order of `ids`."""
        asked = batch.find_live_tickets(self._dataset, ids)
        outcome = self._client.run(asked, run_id=run_id, step="alive")
        alive = {row["ticket_id"] for row in outcome.rows}
        return [ticket_id for ticket_id in ids if ticket_id in alive]

    def count_batch(self, manifest: Manifest) -> RunCounts:
        """What became of a batch that is merged; of the facts only inserted, updated, unchanged
        and rejected are told."""
        counted = batch_counts_query(self._dataset, manifest)
        outcome = self._client.run(counted, run_id=manifest.run_id, step="count")
        row = next(outcome.rows)
        return RunCounts(
            inserted=int(row["inserted"]),
            updated=int(row["updated"]),
            unchanged=int(row["unchanged"]),
            rejected=int(row["rejected"]),
        )

    def drop_staging(self, manifest: Manifest) -> None:
        """Remove what the batch has staged."""
        if manifest.staging is not None:
            self._staging.drop(manifest.staging)

    def _log_run(self, state: SyncState, attempt: int) -> None:
        """The run has closed by now, and what the log lacks is written the next time."""
        try:
            self._runs.write(state, attempt=attempt)
        except HelpdeskAssetsError as error:
            log.warning("The run log lacks run %s; a later run adds it. %s", state.run_id, error)

    def last_advances(self, limit: int) -> tuple[RunRecord, ...]:
        """How the watermark came to be where it is, newest first: the log, and what it may lack of
        what the state row remembers."""
        state = self.read_state()
        known = {(run.version, run.run_id): run for run in known_runs(state)} if state else {}
        known |= {(run.version, run.run_id): run for run in self._runs.newest(limit)}
        newest = sorted(known.values(), key=lambda run: (run.closed_at, run.version), reverse=True)
        return tuple(newest[:limit])

    def set_manually(self, manual_state: ManualState, expected: SyncState | None) -> SyncState:
        """Write the state row as a person wants it, and a line of the log.

        Raises:
            AnotherWriter: the row is no longer the one that was seen.
        """
        self._schema.ensure(tables.SYNC_STATE)
        state = write_manual_state(self._client, self._sync_name, manual_state, expected)
        self._log_run(state, attempt=0)
        return state

    def missed_in_last_hours(self, hours: int) -> int:
        """How many missed updates were recorded in the last hours."""
        outcome = self._client.run(
            batch.missed_since(self._dataset, hours), run_id="status", step="missed"
        )
        return next(int(row["missed"]) for row in outcome.rows)

    def webhook_days(
        self, since: datetime, webhooks: WebhookPolicy, *, run_id: str
    ) -> tuple[WebhookDay, ...]:
        """How webhooks did on each day since then. Empty where there are none."""
        if not webhooks.enabled or not self._schema.exists(tables.MISSED_UPDATES):
            return ()
        by_events = self.requests.by_events(webhooks) is not None
        outcome = self._client.run(
            webhook_days.webhook_days_query(
                self._dataset, since, webhooks.grace, by_events=by_events
            ),
            run_id=run_id,
            step="webhook_health",
        )
        return tuple(webhook_days.webhook_day_from_row(row) for row in outcome.rows)
