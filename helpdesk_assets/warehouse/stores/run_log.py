"""The run log `sync_runs`: one row per advance of a watermark.

A row is written by a statement after the one that moves the state row, and a run may die between
the two. So each write offers all runs that the state row remembers, and an insert-only MERGE adds
what the log lacks. A load job would be free, but it only appends, so it cannot tell whether the
previous run's row is there; and BigQuery allows 1,500 loads a day into one table.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from helpdesk_assets.errors import HelpdeskAssetsError
from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import ReadCounts, RunRecord, SyncState
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import JudgedBy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.statement import rows_source
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.stores.cells import Cells
from helpdesk_assets.warehouse.table_spec import ColumnType, MergeReport

log = logging.getLogger(__name__)


class RunLog:
    """The rows of sync_runs that belong to `sync_name`."""

    def __init__(self, client: BigQueryClient, sync_name: str) -> None:
        self._client = client
        self._sync_name = sync_name

    def write(self, state: SyncState, *, attempt: int = 0) -> MergeReport | None:
        """Add the runs that the state row remembers and the log lacks; safe to repeat."""
        runs = known_runs(state)
        if not runs:
            return None
        return TableWriter(self._client).merge(
            tables.SYNC_RUNS,
            runs_source(self._sync_name, runs),
            run_id=runs[0].run_id,
            step=tables.SYNC_RUNS.name,
            attempt=attempt,
            partition_bounds=_bounds(runs),
        )

    def statement(self, state: SyncState) -> Query | None:
        """Return the statement that `write` would send, None if it would send none."""
        runs = known_runs(state)
        if not runs:
            return None
        return TableWriter(self._client).statement(
            tables.SYNC_RUNS,
            runs_source(self._sync_name, runs),
            run_id=runs[0].run_id,
            partition_bounds=_bounds(runs),
        )

    def write_or_warn(self, state: SyncState, *, attempt: int = 0) -> None:
        """Add them as `write` does; a failure only warns, since the run has committed already."""
        try:
            self.write(state, attempt=attempt)
        except HelpdeskAssetsError as error:
            log.warning("The run log lacks run %s; a later run adds it. %s", state.run_id, error)

    def newest(self, limit: int) -> tuple[RunRecord, ...]:
        """Return the last advances, newest first; none without a log."""
        if not Schema(self._client).exists(tables.SYNC_RUNS):
            return ()
        outcome = self._client.run(
            newest_runs(self._client.dataset, self._sync_name, limit),
            run_id="log",
            step=tables.SYNC_RUNS.name,
        )
        runs = [_record_from(row) for row in outcome.rows]
        readable = tuple(run for run in runs if run is not None)
        if len(readable) < len(runs):
            log.warning(
                "The run log sync_runs of sync %r has %d rows without a mode or time that can be "
                "read; they are left out.",
                self._sync_name,
                len(runs) - len(readable),
            )
        return readable


def _bounds(runs: Sequence[RunRecord]) -> PartitionBounds:
    return PartitionBounds.around("closed_at", [run.closed_at for run in runs])


def runs_source(sync_name: str, runs: Sequence[RunRecord]) -> Query:
    """Build the source of runs as rows of the log."""
    rows = [_run_to_row(sync_name, run) for run in runs]
    batch = Parameter("batch", ColumnType.STRING, json.dumps(rows))
    return Query(rows_source(tables.SYNC_RUNS.columns), (batch,))


def newest_runs(dataset: Dataset, sync_name: str, limit: int) -> Query:
    """Build the query for the last rows of one sync.

    By time first, since versions restart at 1 after a state row was lost.
    """
    sql = f"""\
SELECT *
FROM {dataset.table(tables.SYNC_RUNS.name)}
WHERE sync_name = @sync_name
ORDER BY closed_at DESC, version DESC
LIMIT @limit"""
    return Query(
        sql,
        (
            Parameter("sync_name", ColumnType.STRING, sync_name),
            Parameter("limit", ColumnType.INT64, limit),
        ),
    )


def _run_to_row(sync_name: str, run: RunRecord) -> dict[str, Any]:
    window = run.window
    return {
        "sync_name": sync_name,
        "version": run.version,
        "run_id": run.run_id,
        "mode": run.mode.value,
        "reason": run.reason,
        "window_since": window.since.isoformat() if window and window.since else None,
        "window_until": window.until.isoformat() if window else None,
        "watermark": run.watermark.isoformat() if run.watermark else None,
        "cursor": run.cursor,
        "closed_at": run.closed_at.isoformat(),
        **run.counts,
        "judged_by": run.judged_by.value,
    }


def _record_from(row: Mapping[str, Any]) -> RunRecord | None:
    """Return a row of the log; None if it does not say which run closed when, or how."""
    cells = Cells(row)
    run_id, closed_at = cells.text("run_id"), cells.time("closed_at")
    mode = cells.parse("mode", Mode, None)
    if run_id is None or closed_at is None or mode is None:
        return None
    until = cells.time("window_until")
    return RunRecord(
        run_id=run_id,
        closed_at=closed_at,
        mode=mode,
        reason=cells.text("reason") or "",
        window=Window(cells.time("window_since"), until) if until else None,
        tickets=cells.number("tickets"),
        missed=cells.number("missed"),
        version=cells.number("version"),
        watermark=cells.time("watermark"),
        cursor=cells.text("cursor"),
        read_counts=ReadCounts(
            cells.number("rows_read"), cells.number("pages"), cells.number("api_calls")
        ),
        inserted=cells.number("inserted"),
        updated=cells.number("updated"),
        unchanged=cells.number("unchanged"),
        rejected=cells.number("rejected"),
        judged_by=JudgedBy(cells.text("judged_by") or JudgedBy.NOTHING),
    )
