"""The tables of a sync as one run uses them: what to merge at each step, and the state around it.

Each step is described by a `MergeRequest`, so that the command line and Dagster's IO manager write
by the same writer. The order raw_ticket_changes, missed_updates, tickets, sync_state is the
caller's to keep; `pipeline` says why.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.errors import BatchExpired, HelpdeskAssetsError
from helpdesk_assets.model.batch import BATCH_TTL, Manifest, Mode
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import Checkpoint, RunCounts, RunRecord, SyncState
from helpdesk_assets.model.webhooks import LedgerSource, WebhookDay, WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema, is_json_as_text
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.statement import table_source
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import batch, history_view, webhook_days
from helpdesk_assets.warehouse.statements.missed_by_table import missed_by_table
from helpdesk_assets.warehouse.statements.missed_updates import missed_by_events
from helpdesk_assets.warehouse.statements.run_counts import batch_counts_query
from helpdesk_assets.warehouse.statements.sync_state import ManualState
from helpdesk_assets.warehouse.stores.checkpoints import CheckpointTable
from helpdesk_assets.warehouse.stores.inventories import InventoryTables
from helpdesk_assets.warehouse.stores.manual_state import write_manual_state
from helpdesk_assets.warehouse.stores.run_log import RunLog
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.table_spec import JobUsage, MergeReport, TableSpec

log = logging.getLogger(__name__)

# A line of the run log costs a query job, which every run would have one more of. Until then the
# state row remembers the runs; where it is lost meanwhile, rebuilding it begins a few windows back.
RUNS_PER_LOG_WRITE = 10


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """Rows or a query for one table; `source` None: there is nothing to write.

    `staging` names the table that a large batch is loaded into; it outlives this merge, because
    later steps read the batch there. `has_tombstones`: some rows know only a part of a ticket.
    `strictly_newer`: see `TableSpec.strictly_newer`.
    """

    source: Spool | Query | None
    partition_bounds: PartitionBounds | None = None
    staging: str | None = None
    has_tombstones: bool = False
    strictly_newer: bool = False


class SyncTables:
    """The dataset of one sync. Nothing is asked of the warehouse until a method is called.

    `history_days`: how long ticket versions are kept; 0: for ever, None: as the table has it.
    """

    def __init__(
        self,
        warehouse: BigQueryClient,
        *,
        sync_name: str,
        small_batch_bytes: int,
        history_days: int | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._schema = Schema(warehouse)
        self._staging = Staging(warehouse)
        self._writer = TableWriter(warehouse, small_batch_bytes=small_batch_bytes)
        self._sync_name = sync_name
        self._state = StateTable(warehouse, sync_name)
        self._runs = RunLog(warehouse, sync_name)
        self._history_days = history_days
        self.small_batch_bytes = small_batch_bytes

    @property
    def use(self) -> JobUsage:
        return self._warehouse.use

    def read_state(self) -> SyncState | None:
        """The state row, None before the first run has closed or where there is no table yet."""
        return self._state.read() if self._schema.exists(tables.SYNC_STATE) else None

    def can_resume(self, checkpoint: Checkpoint) -> bool:
        """Whether what was stored of an interrupted reading is still there."""
        return self._staging.exists(checkpoint.staging)

    def checkpoint_store(self, run_id: str) -> CheckpointTable:
        """Where a long reading of that run is kept while it goes on."""
        return CheckpointTable(self._warehouse, sync_name=self._sync_name, run_id=run_id)

    def inventories(self) -> InventoryTables:
        """The tables of a reconciliation."""
        return InventoryTables(self._warehouse, self._writer)

    def adopted_until(self) -> datetime | None:
        """Where the tickets table of an older sync ends; None where there is no such table.

        A table with our own columns is not adopted: a first load that died left it, and its newest
        row says nothing about what came before.
        """
        if not self._schema.exists(tables.TICKETS):
            return None
        if tables.CONTENT_HASH.name in self._schema.columns(tables.TICKETS):
            return None
        outcome = self._warehouse.run(
            batch.newest_stored(self._warehouse.dataset), run_id="adopt", step="tickets"
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
        return history_view.view_query(
            self._warehouse.dataset, json_as_text=is_json_as_text(raw_json, held)
        )

    def changes_request(self, manifest: Manifest, spool: Spool) -> MergeRequest:
        """The spool's rows; where all that was read is staged already, the staging table's."""
        if spool.rows:
            return MergeRequest(spool, staging=manifest.staging)
        if manifest.staging is None:
            return MergeRequest(None)
        staged = self._warehouse.dataset.table(manifest.staging)
        source = Query(table_source(staged, tables.RAW_TICKET_CHANGES.columns))
        return MergeRequest(source, staging=manifest.staging)

    def missed_request(self, manifest: Manifest, webhooks: WebhookPolicy) -> MergeRequest:
        """By events there is something to write without a batch as well: what came late."""
        dataset = self._warehouse.dataset
        has_rows = webhooks.enabled and self._has_rows(manifest)
        events = self._by_events(webhooks)
        if events is not None and (has_rows or manifest.rows == 0):
            return MergeRequest(missed_by_events(dataset, manifest, events))
        if not has_rows:
            return MergeRequest(None)
        return MergeRequest(missed_by_table(dataset, manifest, webhooks))

    def tickets_request(self, manifest: Manifest) -> MergeRequest:
        if not self._has_rows(manifest):
            return MergeRequest(None)
        partition_bounds = None
        if manifest.created_from and manifest.created_to and not manifest.has_checkpoint:
            partition_bounds = PartitionBounds(
                "createdTime", manifest.created_from, manifest.created_to
            )
        source = batch.tickets_source(self._warehouse.dataset, manifest)
        return MergeRequest(
            source,
            partition_bounds,
            has_tombstones=manifest.may_have_tombstones,
            strictly_newer=self._is_overtaken(manifest),
        )

    def _is_overtaken(self, manifest: Manifest) -> bool:
        """Whether another run has closed since this one began. It may have read a later version
        of the same second, and moved the watermark on so far that no window reaches back to it:
        what this run read before must not replace that."""
        state = self.read_state()
        return state is not None and any(
            run.version > manifest.expected_version
            and run.run_id != manifest.run_id
            and run.mode is not Mode.MANUAL
            for run in known_runs(state)
        )

    def write(
        self, spec: TableSpec, request: MergeRequest, *, run_id: str, attempt: int = 0
    ) -> MergeReport:
        """Carry out one request. Doing it again changes nothing."""
        if request.source is None:
            self._schema.ensure(spec)
            return MergeReport(spec.name, changed=0, inserted=0, updated=0)
        return self._writer.merge(
            spec.strictly_newer() if request.strictly_newer else spec,
            request.source,
            run_id=run_id,
            step=spec.name,
            attempt=attempt,
            staging=request.staging,
            keep_staging=request.staging is not None,
            partition_bounds=request.partition_bounds,
            has_tombstones=request.has_tombstones,
        )

    def commit_run(
        self, manifest: Manifest, webhooks: WebhookPolicy, *, attempt: int = 0
    ) -> tuple[RunCounts, SyncState | None]:
        """Move the watermark where the run may, count the facts, and remove the run's staging.

        A run over a range leaves the state row alone and only counts.
        """
        events = self._by_events(webhooks)
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
        asked = batch.find_live_tickets(self._warehouse.dataset, ids)
        outcome = self._warehouse.run(asked, run_id=run_id, step="alive")
        alive = {row["ticket_id"] for row in outcome.rows}
        return [ticket_id for ticket_id in ids if ticket_id in alive]

    def count_batch(self, manifest: Manifest) -> RunCounts:
        """What became of a batch that is merged; of the facts only inserted, updated, unchanged
        and rejected are told."""
        counted = batch_counts_query(self._warehouse.dataset, manifest)
        outcome = self._warehouse.run(counted, run_id=manifest.run_id, step="count")
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
        state = write_manual_state(self._warehouse, self._sync_name, manual_state, expected)
        self._log_run(state, attempt=0)
        return state

    def missed_in_last_hours(self, hours: int) -> int:
        """How many missed updates were recorded in the last hours."""
        outcome = self._warehouse.run(
            batch.missed_since(self._warehouse.dataset, hours), run_id="status", step="missed"
        )
        return next(int(row["missed"]) for row in outcome.rows)

    def webhook_days(
        self, since: datetime, webhooks: WebhookPolicy, *, run_id: str
    ) -> tuple[WebhookDay, ...]:
        """How webhooks did on each day since then. Empty where there are none."""
        if not webhooks.enabled or not self._schema.exists(tables.MISSED_UPDATES):
            return ()
        by_events = self._by_events(webhooks) is not None
        outcome = self._warehouse.run(
            webhook_days.webhook_days_query(
                self._warehouse.dataset, since, webhooks.grace, by_events=by_events
            ),
            run_id=run_id,
            step="webhook_health",
        )
        return tuple(webhook_days.webhook_day_from_row(row) for row in outcome.rows)

    def _by_events(self, webhooks: WebhookPolicy) -> WebhookPolicy | None:
        """The policy where the ledger is kept by the events of our receiver, else None. Tables are
        asked, which costs no query job."""
        events = tables.WEBHOOK_EVENTS
        if not webhooks.enabled or webhooks.ledger_source is LedgerSource.TABLE:
            return None
        if webhooks.ledger_source is LedgerSource.EVENTS:
            self._schema.ensure(events)
            return webhooks
        if not self._schema.exists(events):
            return None
        rows = self._warehouse.list_rows(events.name, columns=["event_id"], max_results=1)
        return webhooks if next(rows, None) is not None else None

    def _has_rows(self, manifest: Manifest) -> bool:
        """Whether the batch has any, and can still be read.

        Raises:
            BatchGone: its staging table is no more and the run has not closed.
        """
        if manifest.rows == 0:
            return False
        if manifest.staging is None or self._staging.exists(manifest.staging):
            return True
        state = self.read_state()
        if state is not None and manifest.run_id in _closed_runs(state):
            return False
        raise BatchExpired(
            f"The batch of run {manifest.run_id} was staged in {manifest.staging}, which is gone "
            f"(staging tables live {BATCH_TTL}). Materialise raw_ticket_changes and what "
            "follows it again; nothing is lost."
        )


def _closed_runs(state: SyncState) -> set[str | None]:
    """The runs whose batch is durable in tickets, as far as the state row remembers."""
    return {state.run_id, *(run.run_id for run in state.recent_runs)}
