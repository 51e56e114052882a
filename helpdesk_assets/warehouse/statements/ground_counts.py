"""Counts what a watermark stands on, as SQL: whether tables still hold what closed runs wrote.

Part of the statement that moves the watermark. Rows are never deleted here, and a run closes only
with its whole batch in tickets, so fewer tickets or older versions are somebody else's doing.
"""

from __future__ import annotations

from datetime import timedelta

from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.run_history import known_runs
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

# A table can be put back by time travel to any moment of the last seven days.
TIME_TRAVEL = timedelta(days=7)


def behind(dataset: Dataset, manifest: Manifest, seen: SyncState | None) -> Query:
    """Count tickets that are older in the table than what closed runs stored, as `behind`.

    Only versions that a closed run stored count: those of a run that died, or of a backfill still
    in progress, may not have been merged. Versions from before the last full load do not: rows that
    the helpdesk no longer has may have been erased since, and a full load has just said so.

    Args:
        dataset: where the tables are.
        manifest: the run. A full load is behind nothing.
        seen: the state row that the run began with.
    """
    if seen is None or manifest.is_range or manifest.mode is Mode.FULL:
        return Query("SELECT 0 AS behind")
    oldest = manifest.served_at - TIME_TRAVEL
    after = max(oldest, seen.full_load_at) if seen.full_load_at else oldest
    closed = tuple(run.run_id for run in known_runs(seen))
    sql = f"""\
SELECT COUNT(*) AS behind
FROM (
  SELECT R.ticket_id
  FROM (
    SELECT
      ticket_id,
      MAX(IF(IFNULL({tables.TOMBSTONE.name}, FALSE), NULL, modifiedTime)) AS modifiedTime
    FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)}
    WHERE _fetched_at >= @behind_after
      AND (
        _run_id IN UNNEST(@closed_runs)
        OR _run_id IN (
          SELECT run_id
          FROM {dataset.table(tables.SYNC_RUNS.name)}
          WHERE sync_name = @closed_sync
        )
      )
    GROUP BY ticket_id
  ) AS R
  LEFT JOIN {dataset.table(tables.TICKETS.name)} AS T
  ON T.ticket_id = R.ticket_id
  GROUP BY R.ticket_id, R.modifiedTime
  HAVING COUNT(T.ticket_id) = 0
    OR (R.modifiedTime IS NOT NULL AND MAX(T.modifiedTime) IS NULL)
    OR MAX(T.modifiedTime) < R.modifiedTime
)"""
    return Query(
        sql,
        (
            Parameter("behind_after", ColumnType.TIMESTAMP, after),
            Parameter("closed_runs", ColumnType.STRING, closed),
            Parameter("closed_sync", ColumnType.STRING, seen.sync_name),
        ),
    )
