"""The statements of a reconciliation as whole texts, and each case of the comparison on rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from textwrap import dedent

from helpdesk_assets.model.reconciliation import (
    REPAIRED_BY_FETCH,
    InventorySnapshot,
)
from helpdesk_assets.warehouse.inventory_store import Cutoffs
from helpdesk_assets.warehouse.query import Dataset, Query
from helpdesk_assets.warehouse.statements import inventory_diff

DATASET = Dataset("acme", "desk")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SWEEP = InventorySnapshot("sweep-1", "run-1", NOON, NOON + timedelta(hours=1), entries=9, pages=1)
CUTS = Cutoffs(stable_until=NOON - timedelta(minutes=15), synced_until=NOON - timedelta(hours=2))
OF_SWEEP = {"sweep_id": "sweep-1", "listed_at": NOON}


def sql(text: str) -> str:
    return dedent(text).strip()


def values(query: Query) -> dict[str, object]:
    names = [parameter.name for parameter in query.parameters]
    assert len(set(names)) == len(names), "a parameter is given twice"
    return {parameter.name: parameter.value for parameter in query.parameters}


def test_row_counts_statement() -> None:
    query = inventory_diff.row_counts(DATASET, SWEEP)
    assert query.sql == sql(
        """
        SELECT
          (
            SELECT COUNT(*)
            FROM `acme.desk.ticket_inventory`
            WHERE listed_at = @listed_at
              AND sweep_id = @sweep_id
          ) AS listed,
          (
            SELECT COUNTIF(deletedTime IS NULL)
            FROM `acme.desk.tickets`
          ) AS alive,
          (
            SELECT IFNULL(MAX(SAFE_CAST(ticket_id AS INT64)), 0)
            FROM `acme.desk.tickets`
          ) AS highest
        """
    )
    assert values(query) == OF_SWEEP


def test_comparison_statement() -> None:
    query = inventory_diff.compare(DATASET, SWEEP, CUTS)
    assert query.sql == sql(
        """
        SELECT
          @sweep_id AS sweep_id,
          D.ticket_id,
          D.kind,
          D.helpdesk_modifiedTime,
          D.stored_modifiedTime,
          @listed_at AS found_at,
          'found' AS outcome,
          @run_id AS _run_id
        FROM (
          SELECT
            IFNULL(I.ticket_id, T.ticket_id) AS ticket_id,
            I.modifiedTime AS helpdesk_modifiedTime,
            T.modifiedTime AS stored_modifiedTime,
            CASE
              WHEN T.ticket_id IS NULL
                THEN IF(NOT I.gone AND I.modifiedTime <= @synced_until, 'absent', NULL)
              WHEN T.modifiedTime > @stable_until
                THEN IF(I.modifiedTime < T.modifiedTime AND T.modifiedTime > @future_after,
                  'newer_here', NULL)
              WHEN I.ticket_id IS NULL
                THEN IF(T.deletedTime IS NULL AND IFNULL(T.modifiedTime > @listed_after, TRUE),
                  'gone', NULL)
              WHEN I.gone
                THEN IF(T.deletedTime IS NULL AND I.modifiedTime <= @synced_until,
                  'gone', NULL)
              WHEN T.deletedTime IS NOT NULL
                THEN IF(I.modifiedTime <= @synced_until
                  AND IFNULL(T._read_at, T.deletedTime) <= @stable_until,
                  'dead_here', NULL)
              WHEN T.modifiedTime IS NULL OR T.modifiedTime < I.modifiedTime
                THEN IF(I.modifiedTime <= @synced_until, 'stale', NULL)
              WHEN T.modifiedTime > I.modifiedTime
                THEN 'newer_here'
            END AS kind
          FROM (
            SELECT ticket_id, modifiedTime, gone
            FROM `acme.desk.ticket_inventory`
            WHERE listed_at = @listed_at
              AND sweep_id = @sweep_id
          ) AS I
          FULL OUTER JOIN `acme.desk.tickets` AS T
          ON T.ticket_id = I.ticket_id
        ) AS D
        WHERE D.kind IS NOT NULL
        """
    )
    assert values(query) == {
        **OF_SWEEP,
        "run_id": "run-1",
        "stable_until": CUTS.stable_until,
        "synced_until": CUTS.synced_until,
        "listed_after": None,
        "future_after": NOON + timedelta(hours=1, minutes=15),
    }


def test_differences_statement() -> None:
    query = inventory_diff.differing_tickets(DATASET, SWEEP, REPAIRED_BY_FETCH)
    assert query.sql == sql(
        """
        SELECT ticket_id
        FROM `acme.desk.inventory_differences`
        WHERE found_at = @listed_at
          AND sweep_id = @sweep_id
          AND kind IN UNNEST(@kinds)
        """
    )
    assert values(query) == {**OF_SWEEP, "kinds": ("absent", "stale", "dead_here")}


def test_outcomes_statement() -> None:
    query = inventory_diff.outcomes(DATASET, SWEEP, deletions_verified=True)
    assert query.sql == sql(
        """
        SELECT
          D.sweep_id,
          D.ticket_id,
          D.kind,
          D.helpdesk_modifiedTime,
          D.stored_modifiedTime,
          D.found_at,
          CASE
            WHEN D.kind IN UNNEST(@fetched) AND T.modifiedTime >= D.helpdesk_modifiedTime
              AND (D.kind != 'dead_here' OR T.deletedTime IS NULL)
              THEN 'repaired'
            WHEN D.kind = 'gone' AND T.deletedTime IS NOT NULL
              THEN 'deleted'
            WHEN D.kind = 'gone' AND @deletions_verified
              THEN 'exists'
            ELSE 'left'
          END AS outcome,
          D._run_id
        FROM `acme.desk.inventory_differences` AS D
        LEFT JOIN `acme.desk.tickets` AS T
        ON T.ticket_id = D.ticket_id
        WHERE D.found_at = @listed_at
          AND D.sweep_id = @sweep_id
        """
    )
    assert values(query) == {
        **OF_SWEEP,
        "fetched": ("absent", "stale", "dead_here"),
        "deletions_verified": True,
    }


def test_counts_statement() -> None:
    query = inventory_diff.difference_counts(DATASET, SWEEP)
    assert query.sql == sql(
        """
        SELECT
          kind,
          outcome,
          COUNT(*) AS count,
          ARRAY_AGG(ticket_id ORDER BY ticket_id LIMIT 20) AS ticket_ids
        FROM `acme.desk.inventory_differences`
        WHERE found_at = @listed_at
          AND sweep_id = @sweep_id
        GROUP BY kind, outcome
        ORDER BY kind, outcome
        """
    )
    assert values(query) == OF_SWEEP
