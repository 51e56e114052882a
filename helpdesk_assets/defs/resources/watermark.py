"""How far the sync has come. Reading is a table read and costs no query job; moving is a
compare-and-set. Losing the state row costs one full load and loses no ticket.
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.errors import ConcurrentUpdate
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.warehouse.table_spec import JobUsage


@dataclass(frozen=True, slots=True)
class CommittedRun:
    """What the warehouse counted, the state row as it is now, and what closing cost."""

    facts: RunCounts
    state: SyncState | None
    use: JobUsage


class WatermarkResource(dg.ConfigurableResource[SyncState]):
    """The state row of the sync named by `SYNC_NAME`."""

    bigquery: HelpdeskBigQuery

    def read(self) -> SyncState | None:
        """The state row; None before the first run has closed."""
        with self.bigquery.sync_tables() as sync_tables:
            return sync_tables.read_state()

    def commit_run(self, manifest: Manifest, *, attempt: int = 0) -> CommittedRun:
        """Move the watermark to where the batch reaches, if it may. Call it only once the batch is
        durable in tickets. Doing it again for a run that has closed changes nothing.

        Raises:
            AnotherWriter: the state row is not the one that the run began with.
        """
        webhooks = self.bigquery.settings().webhooks
        with self.bigquery.sync_tables() as sync_tables:
            try:
                facts, state = sync_tables.commit_run(manifest, webhooks, attempt=attempt)
            except ConcurrentUpdate:
                state = sync_tables.read_state()
                if state is None or not _was_committed(state, manifest):
                    raise
                facts = _known_counts(state, manifest)
            return CommittedRun(facts, state, sync_tables.use)


def _was_committed(state: SyncState, manifest: Manifest) -> bool:
    """Whether the run had closed and another one after it, such as one from the command line."""
    return any(run.run_id == manifest.run_id for run in state.recent_runs)


def _known_counts(state: SyncState, manifest: Manifest) -> RunCounts:
    """An earlier run's facts were replaced by its successor's; two counts are remembered."""
    record = next(run for run in state.recent_runs if run.run_id == manifest.run_id)
    return RunCounts(rows=state.facts.rows, unchanged=record.tickets, missed_total=record.missed)
