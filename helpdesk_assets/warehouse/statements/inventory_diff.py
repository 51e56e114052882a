"""What is asked of the tables about a sweep, as pure text with parameters.

One query compares: the sweep's lines beside the rows of tickets. What it finds is a table of its
own, so that no list of differences is ever in memory, and what was repaired can be looked up.

A ticket that changed while the sweep ran is no difference. By the helpdesk's clock a row counts up
to `begun`, which lies before the sweep by as much as the helpdesk may be late in listing a change.
What the helpdesk has and the table lacks counts up to `synced`, the watermark where that is
earlier: the changes after it are the next sync's to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from helpdesk_assets.model.reconciliation import (
    REPAIRED_BY_FETCH,
    DifferenceKind,
    DifferenceOutcome,
    InventorySnapshot,
)
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

# Two servers of one helpdesk may differ a little; what is dated later than this was not changed
# while the sweep ran, but is wrong.
FUTURE_TOLERANCE = timedelta(minutes=15)
NAMED_TICKETS = 20


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Up to when things count, by the helpdesk's clock: `begun` and `synced`, see above."""

    begun: datetime
    synced: datetime


def row_counts(dataset: Dataset, snapshot: InventorySnapshot) -> Query:
    """One row: `listed` tickets of the sweep, and `alive` rows of tickets."""
    sql = f"""\
SELECT
  (
    SELECT COUNT(*)
    FROM {dataset.table(tables.TICKET_INVENTORY.name)}
    WHERE listed_at = @listed_at
      AND sweep_id = @sweep_id
  ) AS listed,
  (
    SELECT COUNTIF(deletedTime IS NULL)
    FROM {dataset.table(tables.TICKETS.name)}
  ) AS alive"""
    return Query(sql, _snapshot_parameters(snapshot))


def compare(dataset: Dataset, snapshot: InventorySnapshot, cutoffs: Cutoffs) -> Query:
    """Every difference, as rows of inventory_differences."""
    sql = f"""\
SELECT
  @sweep_id AS sweep_id,
  D.ticket_id,
  D.kind,
  D.helpdesk_modifiedTime,
  D.stored_modifiedTime,
  @listed_at AS found_at,
  '{DifferenceOutcome.FOUND}' AS outcome,
  @run_id AS _run_id
FROM (
  SELECT
    IFNULL(I.ticket_id, T.ticket_id) AS ticket_id,
    I.modifiedTime AS helpdesk_modifiedTime,
    T.modifiedTime AS stored_modifiedTime,
    CASE
      WHEN T.ticket_id IS NULL
        THEN IF(NOT I.gone AND I.modifiedTime <= @synced, '{DifferenceKind.ABSENT}', NULL)
      WHEN T.modifiedTime > @begun
        THEN IF(I.modifiedTime < T.modifiedTime AND T.modifiedTime > @future_after,
          '{DifferenceKind.AHEAD}', NULL)
      WHEN I.ticket_id IS NULL
        THEN IF(T.deletedTime IS NULL, '{DifferenceKind.DELETED}', NULL)
      WHEN I.gone
        THEN IF(
          T.deletedTime IS NULL AND I.modifiedTime <= @synced, '{DifferenceKind.DELETED}', NULL
        )
      WHEN T.modifiedTime IS NULL OR T.modifiedTime < I.modifiedTime
        THEN IF(I.modifiedTime <= @synced, '{DifferenceKind.STALE}', NULL)
      WHEN T.modifiedTime > I.modifiedTime
        THEN '{DifferenceKind.AHEAD}'
    END AS kind
  FROM (
    SELECT ticket_id, modifiedTime, gone
    FROM {dataset.table(tables.TICKET_INVENTORY.name)}
    WHERE listed_at = @listed_at
      AND sweep_id = @sweep_id
  ) AS I
  FULL OUTER JOIN {dataset.table(tables.TICKETS.name)} AS T
  ON T.ticket_id = I.ticket_id
) AS D
WHERE D.kind IS NOT NULL"""
    return Query(
        sql,
        (
            *_snapshot_parameters(snapshot),
            Parameter("run_id", ColumnType.STRING, snapshot.run_id),
            Parameter("begun", ColumnType.TIMESTAMP, cutoffs.begun),
            Parameter("synced", ColumnType.TIMESTAMP, cutoffs.synced),
            Parameter("future_after", ColumnType.TIMESTAMP, snapshot.ended_at + FUTURE_TOLERANCE),
        ),
    )


def found(
    dataset: Dataset, snapshot: InventorySnapshot, kinds: tuple[DifferenceKind, ...]
) -> Query:
    """The tickets of these kinds, as `ticket_id`."""
    sql = f"""\
SELECT ticket_id
FROM {dataset.table(tables.INVENTORY_DIFFERENCES.name)}
WHERE found_at = @listed_at
  AND sweep_id = @sweep_id
  AND kind IN UNNEST(@kinds)"""
    return Query(
        sql, (*_snapshot_parameters(snapshot), Parameter("kinds", ColumnType.STRING, kinds))
    )


def outcomes(dataset: Dataset, snapshot: InventorySnapshot, *, deletions_verified: bool) -> Query:
    """What became of each difference, by what tickets holds now, as rows of
    inventory_differences."""
    sql = f"""\
SELECT
  D.sweep_id,
  D.ticket_id,
  D.kind,
  D.helpdesk_modifiedTime,
  D.stored_modifiedTime,
  D.found_at,
  CASE
    WHEN D.kind IN UNNEST(@fetched) AND T.modifiedTime >= D.helpdesk_modifiedTime
      THEN '{DifferenceOutcome.REPAIRED}'
    WHEN D.kind = '{DifferenceKind.DELETED}' AND T.deletedTime IS NOT NULL
      THEN '{DifferenceOutcome.DELETED}'
    WHEN D.kind = '{DifferenceKind.DELETED}' AND @deletions_verified
      THEN '{DifferenceOutcome.STILL_EXISTS}'
    ELSE '{DifferenceOutcome.UNRESOLVED}'
  END AS outcome,
  D._run_id
FROM {dataset.table(tables.INVENTORY_DIFFERENCES.name)} AS D
LEFT JOIN {dataset.table(tables.TICKETS.name)} AS T
ON T.ticket_id = D.ticket_id
WHERE D.found_at = @listed_at
  AND D.sweep_id = @sweep_id"""
    return Query(
        sql,
        (
            *_snapshot_parameters(snapshot),
            Parameter("fetched", ColumnType.STRING, REPAIRED_BY_FETCH),
            Parameter("deletions_verified", ColumnType.BOOL, deletions_verified),
        ),
    )


def difference_counts(dataset: Dataset, snapshot: InventorySnapshot) -> Query:
    """The differences by `kind` and `outcome`: a `count`, and some `ticket_ids`."""
    sql = f"""\
SELECT
  kind,
  outcome,
  COUNT(*) AS count,
  ARRAY_AGG(ticket_id ORDER BY ticket_id LIMIT {NAMED_TICKETS}) AS ticket_ids
FROM {dataset.table(tables.INVENTORY_DIFFERENCES.name)}
WHERE found_at = @listed_at
  AND sweep_id = @sweep_id
GROUP BY kind, outcome
ORDER BY kind, outcome"""
    return Query(sql, _snapshot_parameters(snapshot))


def purge(dataset: Dataset, before: datetime) -> Query:
    """Remove the sweeps that began before then. What they found stays."""
    sql = f"""\
DELETE FROM {dataset.table(tables.TICKET_INVENTORY.name)}
WHERE listed_at < @before"""
    return Query(sql, (Parameter("before", ColumnType.TIMESTAMP, before),))


def _snapshot_parameters(snapshot: InventorySnapshot) -> tuple[Parameter, ...]:
    return (
        Parameter("sweep_id", ColumnType.STRING, snapshot.sweep_id),
        # The partition, so that no other sweep is read.
        Parameter("listed_at", ColumnType.TIMESTAMP, snapshot.listed_at),
    )
