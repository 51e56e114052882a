"""What each step of a sync merges, as requests that the command line and Dagster carry out alike.

The order of the steps is `operations.write_batch`'s. Must not know helpdesks or Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.model.batch import BATCH_TTL, Manifest
from helpdesk_assets.model.judging import (
    Judging,
    depends_on_events,
    judging,
    judging_of_run,
)
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.webhooks import JudgedBy, WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.statement import table_source
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import batch
from helpdesk_assets.warehouse.statements.missed_by_table import missed_by_table
from helpdesk_assets.warehouse.statements.missed_updates import missed_by_events
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets.warehouse.stores.webhook_history import has_delivered_event
from helpdesk_assets.warehouse.stores.webhook_inbox import ensure_event_tables
from helpdesk_assets.warehouse.table_spec import MergeReport, TableSpec


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """Rows or a query to merge into one table.

    Attributes:
        source: None if there is nothing to write.
        partition_bounds: see `PartitionBounds`.
        keys: the tickets that the source has; empty if not known.
        has_rows: the source is known to have rows.
        staging: the table that a large or forced batch is loaded into. It outlives this merge,
            because later steps read the batch there.
        has_tombstones: some rows know only that their ticket was deleted.
        forced: see `Manifest.forced`.
        dataset: the only dataset that it may be merged in; empty for any.
    """

    source: Spool | Query | None
    partition_bounds: PartitionBounds | None = None
    keys: tuple[str, ...] = ()
    has_rows: bool = False
    staging: str | None = None
    has_tombstones: bool = False
    forced: bool = False
    dataset: str = ""

    def write(
        self,
        writer: TableWriter,
        spec: TableSpec,
        *,
        run_id: str,
        attempt: int = 0,
        step: str | None = None,
    ) -> MergeReport:
        """Merge the request into the table of `spec`. Doing it again changes nothing.

        Args:
            writer: the dataset.
            spec: the table.
            run_id: the run on whose behalf it is written.
            attempt: counts the retries of the step.
            step: the step's name; the table's if None.
        """
        if self.source is None:
            with Spool(0) as nothing:  # the table is created all the same
                return writer.merge(spec, nothing, run_id=run_id, step=spec.name)
        return writer.merge(
            spec,
            self.source,
            run_id=run_id,
            step=step or spec.name,
            attempt=attempt,
            staging=self.staging,
            keep_staging=self.staging is not None,
            partition_bounds=self.partition_bounds,
            keys=self.keys,
            has_rows=self.has_rows,
            has_tombstones=self.has_tombstones,
            forced=self.forced,
        )

    def statement(self, writer: TableWriter, spec: TableSpec, *, run_id: str) -> Query | None:
        """Return the statement that `write` would send first, None if it would send none."""
        if self.source is None:
            return None
        return writer.statement(
            spec,
            self.source,
            run_id=run_id,
            staging=self.staging,
            partition_bounds=self.partition_bounds,
            keys=self.keys,
            has_rows=self.has_rows,
            has_tombstones=self.has_tombstones,
            forced=self.forced,
        )


class MergeRequests:
    """The requests of one sync, by what its tables hold now."""

    def __init__(self, client: BigQueryClient, state: StateTable, listing_delay: timedelta) -> None:
        self._client = client
        self._listing_delay = listing_delay
        self._dataset = client.dataset
        self._schema = Schema(client)
        self._staging = Staging(client)
        self._state = state

    def changes(self, manifest: Manifest, spool: Spool) -> MergeRequest:
        """Take the spool's rows or, if all that was read is staged already, the staging table's.

        Raises:
            BatchGone: another run has resumed from the staging table meanwhile, and closed.
        """
        since = batch.stored_since(manifest)
        bounds = PartitionBounds.since("_fetched_at", since) if since else None
        keys = manifest.listed_tickets
        if spool.rows:
            return MergeRequest(spool, bounds, keys, staging=manifest.staging)
        if manifest.staging is None:
            return MergeRequest(None)
        if not self._staging.exists(manifest.staging):
            raise batch_gone(manifest)
        staged = self._dataset.table(manifest.staging)
        source = Query(table_source(staged, tables.RAW_TICKET_CHANGES.columns))
        return MergeRequest(source, bounds, keys, has_rows=True, staging=manifest.staging)

    def missed(self, manifest: Manifest, webhooks: WebhookPolicy) -> MergeRequest:
        """Take the changes that no webhook delivered; none in a run that judges nothing.

        By events there may be something to write without a batch as well: what came late.
        """
        judging = self.judging_of_run(manifest, webhooks)
        if judging.by is JudgedBy.NOTHING:
            return MergeRequest(None)
        return self._missed(manifest, judging, has_rows=self._has_rows(manifest))

    def _missed(self, manifest: Manifest, judging: Judging, *, has_rows: bool) -> MergeRequest:
        if judging.is_by_events and (has_rows or manifest.rows == 0):
            return MergeRequest(missed_by_events(self._dataset, manifest, judging))
        if not has_rows or judging.by is JudgedBy.NOTHING:
            return MergeRequest(None)
        return MergeRequest(missed_by_table(self._dataset, manifest, judging))

    def tickets(self, manifest: Manifest) -> MergeRequest:
        """Take the batch as rows of tickets."""
        return self._tickets(manifest, has_rows=self._has_rows(manifest))

    def _tickets(self, manifest: Manifest, *, has_rows: bool) -> MergeRequest:
        if not has_rows:
            return MergeRequest(None)
        bounds = None
        if manifest.created_months:
            bounds = PartitionBounds.around("createdTime", manifest.created_months)
        return MergeRequest(
            batch.tickets_source(self._dataset, manifest, self._listing_delay),
            bounds,
            manifest.listed_tickets,
            has_rows=True,
            has_tombstones=manifest.may_have_tombstones,
            forced=manifest.forced,
        )

    def judging_of_run(self, manifest: Manifest, webhooks: WebhookPolicy) -> Judging:
        """Return what a run judges of webhooks. Reads tables, which costs no query job."""
        found = self.expected_judging(manifest, webhooks)
        if found.is_by_events:
            ensure_event_tables(self._schema)
        return found

    def expected_judging(self, manifest: Manifest, webhooks: WebhookPolicy) -> Judging:
        """Return what a run would judge of webhooks, and leave the tables as they are."""
        return judging_of_run(
            webhooks, manifest, self._state.read(), has_events=self._has_events(webhooks)
        )

    def planned(
        self, manifest: Manifest, spool: Spool, judging: Judging
    ) -> tuple[tuple[TableSpec, MergeRequest], ...]:
        """Return the requests of a batch of which nothing is stored yet, in their order."""
        has_rows = manifest.rows > 0
        return (
            (tables.RAW_TICKET_CHANGES, self.changes(manifest, spool)),
            (tables.MISSED_UPDATES, self._missed(manifest, judging, has_rows=has_rows)),
            (tables.TICKETS, self._tickets(manifest, has_rows=has_rows)),
        )

    def judging(self, webhooks: WebhookPolicy) -> Judging:
        """Return what a run would judge now. Reads tables, which costs no query job."""
        return judging(webhooks, has_events=self._has_events(webhooks))

    def _has_events(self, webhooks: WebhookPolicy) -> bool:
        return depends_on_events(webhooks) and has_delivered_event(self._client, self._schema)

    def expect_batch(self, manifest: Manifest) -> None:
        """Fail if the batch's staging table is gone and its run has not committed."""
        self._has_rows(manifest)

    def _has_rows(self, manifest: Manifest) -> bool:
        """Return whether the batch has any rows; fail if they have expired and were not merged."""
        if manifest.rows == 0:
            return False
        if manifest.staging is None or self._staging.exists(manifest.staging):
            return True
        if has_committed(manifest, self._state.read()):
            return False
        raise batch_gone(manifest)


def has_committed(manifest: Manifest, state: SyncState | None) -> bool:
    """Return whether the batch is durable in tickets, as far as the state row remembers."""
    return state is not None and any(
        run_id == manifest.run_id
        for run_id in (state.run_id, *(run.run_id for run in state.recent_runs))
    )


def batch_gone(manifest: Manifest) -> BatchGone:
    """Return the error for a batch whose staging table is gone before the run has committed."""
    return BatchGone(
        f"The batch of run {manifest.run_id} was staged in {manifest.staging}, which is gone "
        f"(staging tables live {BATCH_TTL}). Materialise raw_ticket_changes and what "
        "follows it again; nothing is lost."
    )
