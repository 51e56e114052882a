"""Compares an inventory snapshot with `tickets`, as pure text with parameters.

One query compares the snapshot's entries with the rows of tickets. The differences go into a table
of their own, so that they are never all in memory and repairs can be looked up later.

A ticket that changed while the inventory was read is not a difference. By the helpdesk's clock, a
row counts up to `stable_until`: the start of the inventory less the time by which the helpdesk may
list a change late. A ticket that the table lacks counts up to `synced_until`: the watermark if that
is earlier, since later changes are left to the next sync. A row that has not changed after
`listed_after` need not be listed: the helpdesk may have archived its ticket.
"""

from __future__ import annotations

from datetime import timedelta

from helpdesk_assets.model.reconciliation import (
    REPAIRED_BY_FETCH,
    DifferenceKind,
    DifferenceOutcome,
    InventorySnapshot,
)
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.inventory_store import Cutoffs
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

# The clocks of a helpdesk's servers may differ a little. A later time did not come about while the
# inventory was read: it is wrong.
FUTURE_TOLERANCE = timedelta(minutes=15)
NAMED_TICKETS = 20


def row_counts(dataset: Dataset, snapshot: InventorySnapshot) -> Query:
    """Select `listed` tickets of the snapshot, `alive` rows of tickets, and their `highest` id."""
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
  ) AS alive,
  (
    SELECT IFNULL(MAX(SAFE_CAST(ticket_id AS INT64)), 0)
    FROM {dataset.table(tables.TICKETS.name)}
  ) AS highest"""
    return Query(sql, _snapshot_parameters(snapshot))


def compare(dataset: Dataset, snapshot: InventorySnapshot, cutoffs: Cutoffs) -> Query:
    """Select every difference, as rows of inventory_differences.

    Args:
        dataset: where the tables are.
        snapshot: the inventory.
        cutoffs: up to when things count.
    """
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
        THEN IF(NOT I.gone AND I.modifiedTime <= @synced_until, '{DifferenceKind.ABSENT}', NULL)
      WHEN T.modifiedTime > @stable_until
        THEN IF(I.modifiedTime < T.modifiedTime AND T.modifiedTime > @future_after,
          '{DifferenceKind.AHEAD}', NULL)
      WHEN I.ticket_id IS NULL
        THEN IF(T.deletedTime IS NULL AND IFNULL(T.modifiedTime > @listed_after, TRUE),
          '{DifferenceKind.DELETED}', NULL)
      WHEN I.gone
        THEN IF(T.deletedTime IS NULL AND I.modifiedTime <= @synced_until,
          '{DifferenceKind.DELETED}', NULL)
      WHEN T.deletedTime IS NOT NULL
        THEN IF(I.modifiedTime <= @synced_until
          AND IFNULL(T._read_at, T.deletedTime) <= @stable_until,
          '{DifferenceKind.DEAD}', NULL)
      WHEN T.modifiedTime IS NULL OR T.modifiedTime < I.modifiedTime
        THEN IF(I.modifiedTime <= @synced_until, '{DifferenceKind.STALE}', NULL)
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
            Parameter("stable_until", ColumnType.TIMESTAMP, cutoffs.stable_until),
            Parameter("synced_until", ColumnType.TIMESTAMP, cutoffs.synced_until),
            # NULL: every ticket is listed, however old.
            Parameter("listed_after", ColumnType.TIMESTAMP, cutoffs.listed_after),
            Parameter("future_after", ColumnType.TIMESTAMP, snapshot.ended_at + FUTURE_TOLERANCE),
        ),
    )


def differing_tickets(
    dataset: Dataset, snapshot: InventorySnapshot, kinds: tuple[DifferenceKind, ...]
) -> Query:
    """Select the tickets that differ in one of these ways, as `ticket_id`.

    Args:
        dataset: where the tables are.
        snapshot: the inventory.
        kinds: the ways.
    """
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
    """Select what became of each difference, as rows of inventory_differences.

    Decided by the current rows of tickets.

    Args:
        dataset: where the tables are.
        snapshot: the inventory.
        deletions_verified: the helpdesk was asked for each ticket that it no longer lists.
    """
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
      AND (D.kind != '{DifferenceKind.DEAD}' OR T.deletedTime IS NULL)
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
    """Count the differences by `kind` and `outcome`: `count`, and up to 20 `ticket_ids`."""
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


def _snapshot_parameters(snapshot: InventorySnapshot) -> tuple[Parameter, ...]:
    return (
        Parameter("sweep_id", ColumnType.STRING, snapshot.sweep_id),
        # The partition, so that no other snapshot is read.
        Parameter("listed_at", ColumnType.TIMESTAMP, snapshot.listed_at),
    )
