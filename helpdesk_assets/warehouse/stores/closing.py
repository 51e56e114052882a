"""Closes a run: moves the watermark, writes the run log when due, and tidies staging tables."""

from __future__ import annotations

from helpdesk_assets.model.batch import BATCH_TTL, Manifest, Mode
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ClosedRun
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.statements.batch_counts import batch_counts_query
from helpdesk_assets.warehouse.stores.merge_requests import MergeRequests
from helpdesk_assets.warehouse.stores.run_log import RunLog
from helpdesk_assets.warehouse.stores.state import StateTable, rows_gone
from helpdesk_assets.warehouse.table_spec import MergeReport

# Each write to the run log costs a query job. Until the next one the state row remembers the runs;
# if the row is lost meanwhile, rebuilding it starts a few windows further back.
RUNS_PER_LOG_WRITE = 10


class RunCloser:
    """Closes the runs of one sync."""

    def __init__(
        self,
        client: BigQueryClient,
        state: StateTable,
        runs: RunLog,
        requests: MergeRequests,
        writer: TableWriter,
    ) -> None:
        self._schema = Schema(client)
        self._staging = Staging(client)
        self._state = state
        self._runs = runs
        self._requests = requests
        self._writer = writer

    def commit(
        self, manifest: Manifest, webhooks: WebhookPolicy, *, attempt: int = 0
    ) -> tuple[RunCounts, SyncState | None]:
        """Move the watermark if the run may, count what it did, and drop its staging table."""
        self._requests.expect_batch(manifest)
        judging = self._requests.judging_of_run(manifest, webhooks)
        if manifest.is_range:
            facts = self._state.count_run(manifest, judging, attempt=attempt)
            closed = facts, self._state.read()
        else:
            # A retried run may have fetched its batch before an upgrade that added a column.
            for spec in (tables.SYNC_STATE, tables.SYNC_RUNS):
                self._schema.ensure(spec)
            state = self._state.commit_run(manifest, judging, attempt=attempt)
            self._log_if_due(manifest, state, attempt)
            closed = state.facts, state
        if manifest.staging is not None:
            self._staging.drop(manifest.staging)
        self._drop_orphans()
        return closed

    def close_if_stored(self, manifest: Manifest, webhooks: WebhookPolicy) -> ClosedRun | None:
        """Close a run all of whose versions the last run to close had stored.

        One statement that writes nothing unless the tables hold the batch: whether they do cannot
        be known before, since somebody may have deleted rows.
        """
        state = self._state.read() if manifest.may_repeat else None
        if state is None or not state.has_stored(manifest):
            return None
        judging = self._requests.judging_of_run(manifest, webhooks)
        missed = self._merge_late_events(manifest, webhooks, judging)
        closed = self._state.commit_repeated(manifest, judging)
        if closed is None:
            return None
        self._log_if_due(manifest, closed, attempt=0)
        self._drop_orphans()
        stored, merged = (
            MergeReport(each.name, 0, 0, 0) for each in (tables.RAW_TICKET_CHANGES, tables.TICKETS)
        )
        return ClosedRun(stored, missed, merged, closed.facts, closed)

    def _merge_late_events(
        self, manifest: Manifest, webhooks: WebhookPolicy, judging: Judging
    ) -> MergeReport:
        """Record what events tell of a repeated batch; the table alone has nothing to tell."""
        spec = tables.MISSED_UPDATES
        if not judging.is_by_events:
            return MergeReport(spec.name, 0, 0, 0)
        request = self._requests.missed(manifest, webhooks)
        # A step of its own: if the run does not close, the same statement has more rows to judge,
        # and a job of the same name would answer for it.
        step = f"{spec.name}_repeated"
        return request.write(self._writer, spec, run_id=manifest.run_id, step=step)

    def _drop_orphans(self) -> None:
        self._staging.drop_orphans(
            BATCH_TTL, of_tables=tables.STAGED_BY_SYNCS, retained=self._state.stagings_in_use()
        )

    def _log_if_due(self, manifest: Manifest, state: SyncState, attempt: int) -> None:
        if log_is_due(manifest.mode, state.version):
            self._runs.write_or_warn(state, attempt=attempt)


def log_is_due(mode: Mode, version: int) -> bool:
    """Return whether a run that closes as this version of the state row writes the run log."""
    return mode is Mode.FULL or version % RUNS_PER_LOG_WRITE == 0


def count_batch(client: BigQueryClient, manifest: Manifest) -> RunCounts:
    """Count the batch's tickets: inserted, updated, unchanged and rejected, nothing else."""
    counted = batch_counts_query(client.dataset, manifest)
    outcome = client.run(counted, run_id=manifest.run_id, step="count")
    row = next(outcome.rows)
    if row["absent"] or row["batch_rows"] < manifest.rows:
        raise rows_gone(manifest)
    return RunCounts(
        inserted=int(row["inserted"]),
        updated=int(row["updated"]),
        unchanged=int(row["unchanged"]),
        rejected=int(row["rejected"]),
    )
