"""The watermark resource: reads and moves the state row of the sync.

Reading is a table read and costs no query job. Moving is a compare-and-set. A lost state row costs
one full load and loses no ticket.
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.operations.repeated_rows import heal_repeated_rows
from helpdesk_assets.warehouse.table_spec import JobUsage


@dataclass(frozen=True, slots=True)
class CommittedRun:
    """Result of committing a run.

    Attributes:
        facts: What the warehouse counted.
        state: The state row after the commit.
        use: Query jobs, load jobs and bytes billed by the commit.
    """

    facts: RunCounts
    state: SyncState | None
    use: JobUsage


class WatermarkResource(dg.ConfigurableResource[SyncState]):
    """The state row of the sync named by `SYNC_NAME`."""

    bigquery: HelpdeskBigQuery

    def read(self) -> SyncState | None:
        """Returns the state row; None before the first run is committed."""
        with self.bigquery.sync_tables() as sync_tables:
            return sync_tables.read_state()

    def commit_run(self, manifest: Manifest, *, attempt: int = 0) -> CommittedRun:
        """Moves the watermark to the end of the batch's window, if the batch advances it.

        Call this only after the batch is durable in tickets. Committing a run again changes
        nothing. Rows that the run counted as repeated are removed afterwards.

        Raises:
            ConcurrentUpdate: another run has changed the state row since this run began.
            WriterBusy: somebody else wrote tickets for longer than one waits.
        """
        webhooks = self.bigquery.settings().webhooks
        with (
            self.bigquery.sync_tables() as sync_tables,
            sync_tables.lease("sync", run_id=manifest.run_id),
        ):
            try:
                facts, state = sync_tables.commit_run(manifest, webhooks, attempt=attempt)
            except ConcurrentUpdate:
                state = sync_tables.read_state()
                if state is None or not _was_committed(state, manifest):
                    raise
                facts = _known_counts(state, manifest)
            facts = heal_repeated_rows(sync_tables, manifest, facts)
            return CommittedRun(facts, state, sync_tables.use)


def _was_committed(state: SyncState, manifest: Manifest) -> bool:
    """Whether the run was committed before, and another run after it, such as one from the CLI."""
    return any(run.run_id == manifest.run_id for run in state.recent_runs)


def _known_counts(state: SyncState, manifest: Manifest) -> RunCounts:
    """Counts of an earlier run. Its successor's replaced them; the run history keeps two."""
    record = next(run for run in state.recent_runs if run.run_id == manifest.run_id)
    return RunCounts(rows=state.facts.rows, unchanged=record.tickets, missed_total=record.missed)
