"""The statements of a reconciliation as whole texts, and each case of the comparison on rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import Any

import pytest

from helpdesk_assets.model.reconciliation import (
    REPAIRED_BY_FETCH,
    DifferenceCount,
    DifferenceKind,
    DifferenceOutcome,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import Cutoffs
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Dataset, Query
from helpdesk_assets.warehouse.statements import inventory_diff
from helpdesk_assets.warehouse.stores.inventories import InventoryTables
from helpdesk_assets.warehouse.table_spec import TableSpec

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
          ) AS alive
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
                THEN IF(T.deletedTime IS NULL, 'gone', NULL)
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


def test_purge_statement() -> None:
    query = inventory_diff.purge(DATASET, NOON)
    assert query.sql == sql(
        """
        DELETE FROM `acme.desk.ticket_inventory`
        WHERE listed_at < @before
        """
    )
    assert values(query) == {"before": NOON}


OLD = NOON - timedelta(days=9)
YOUNG = NOON - timedelta(minutes=30)
LATER = NOON + timedelta(minutes=20)
FAR = NOON + timedelta(days=900)

# Name -> the line (modified time, gone), the row (modified time, deleted time), what it is.
Line = tuple[datetime | None, bool] | None
Row = tuple[datetime | None, datetime | None] | None
CASES: dict[str, tuple[Line, Row, DifferenceKind | None]] = {
    "equal": ((OLD, False), (OLD, None), None),
    "absent": ((OLD, False), None, DifferenceKind.ABSENT),
    "absent at the watermark": ((CUTS.synced_until, False), None, DifferenceKind.ABSENT),
    "absent, the next sync's": ((YOUNG, False), None, None),
    "absent and gone": ((OLD, True), None, None),
    "absent and unreadable": ((None, False), None, None),
    "stale": ((OLD, False), (OLD - timedelta(seconds=1), None), DifferenceKind.STALE),
    "stale, the next sync's": ((YOUNG, False), (OLD, None), None),
    "stale by no time": ((OLD, False), (None, None), DifferenceKind.STALE),
    "unreadable": ((None, False), (OLD, None), None),
    "not listed": (None, (OLD, None), DifferenceKind.DELETED),
    "not listed, gone before": (None, (OLD, OLD), None),
    "not listed, changed meanwhile": (None, (LATER, None), None),
    "not listed, too young to be": (None, (NOON, None), None),
    "listed as gone": ((OLD, True), (OLD, None), DifferenceKind.DELETED),
    "listed as gone, the next sync's": ((YOUNG, True), (OLD, None), None),
    "listed as gone, gone before": ((OLD, True), (OLD, OLD), None),
    "dead here": ((OLD, False), (OLD, OLD), DifferenceKind.DEAD),
    "dead here, no version": ((OLD, False), (None, OLD), DifferenceKind.DEAD),
    "dead here, just known": ((OLD, False), (OLD, NOON), None),
    "dead here, the next sync's": ((YOUNG, False), (OLD, OLD), None),
    "newer here": ((OLD, False), (OLD + timedelta(seconds=1), None), DifferenceKind.AHEAD),
    "newer here, changed meanwhile": ((OLD, False), (LATER, None), None),
    "newer here, dated in the future": ((OLD, False), (FAR, None), DifferenceKind.AHEAD),
}


class InventoryCases:
    """The tables of a reconciliation on the local warehouse."""

    def __init__(self, warehouse: BigQueryClient) -> None:
        self.warehouse = warehouse
        self._writer = TableWriter(warehouse)
        self.inventories = InventoryTables(warehouse, self._writer)
        self.tickets({})

    def write(self, spec: TableSpec, rows: Iterable[dict[str, Any]]) -> None:
        with Spool(1_000_000) as spool:
            for row in rows:
                spool.append(json.dumps(row).encode())
            self._writer.merge(spec, spool, run_id="given", step=spec.name)

    def tickets(self, rows: dict[str, Row]) -> None:
        self.write(
            tables.TICKETS,
            (
                {"ticket_id": key, "modifiedTime": text(row[0]), "deletedTime": text(row[1])}
                for key, row in rows.items()
                if row
            ),
        )

    def differences(self) -> dict[str, tuple[str, str]]:
        return {
            row["ticket_id"]: (row["kind"], row["outcome"])
            for row in self.warehouse.list_rows(tables.INVENTORY_DIFFERENCES.name)
        }

    def list(self, entries: dict[str, Line], snapshot: InventorySnapshot = SWEEP) -> RowCounts:
        with Spool(1_000_000) as spool:
            for ticket_id, line in entries.items():
                if line is not None:
                    spool.append(json.dumps(as_line(snapshot, ticket_id, line)).encode())
            return self.inventories.store(snapshot, spool)


def as_line(
    snapshot: InventorySnapshot, ticket_id: str, line: tuple[datetime | None, bool]
) -> dict[str, Any]:
    return {
        "sweep_id": snapshot.sweep_id,
        "ticket_id": ticket_id,
        "modifiedTime": text(line[0]),
        "gone": line[1],
        "listed_at": text(snapshot.listed_at),
    }


def text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@pytest.fixture
def cases(warehouse: BigQueryClient) -> InventoryCases:
    return InventoryCases(warehouse)


def test_each_case_of_the_comparison(cases: InventoryCases) -> None:
    cases.tickets({name: row for name, (_, row, _) in CASES.items()})
    row_counts = cases.list({name: line for name, (line, _, _) in CASES.items()})
    rows = [row for _, row, _ in CASES.values() if row]
    assert row_counts == RowCounts(
        listed=sum(line is not None for line, _, _ in CASES.values()),
        alive=sum(deleted is None for _, deleted in rows),
    )
    cases.inventories.compare(SWEEP, CUTS)
    expected = {name: (kind.value, "found") for name, (_, _, kind) in CASES.items() if kind}
    assert cases.differences() == expected
    for kinds in (REPAIRED_BY_FETCH, (DifferenceKind.DELETED,)):
        names = {name for name, (_, _, kind) in CASES.items() if kind in kinds}
        assert set(cases.inventories.found(SWEEP, kinds)) == names


def test_ticket_listed_twice_counts_once_by_its_latest_entry(cases: InventoryCases) -> None:
    with Spool(1_000_000) as spool:
        for line in ((OLD, False), (OLD, True), (OLD - timedelta(days=1), False)):
            spool.append(json.dumps(as_line(SWEEP, "7", line)).encode())
        assert cases.inventories.store(SWEEP, spool).listed == 1
    (row,) = cases.warehouse.list_rows(tables.TICKET_INVENTORY.name)
    assert (row["modifiedTime"], row["gone"]) == (OLD, True)


def test_other_inventories_are_ignored(cases: InventoryCases) -> None:
    other = InventorySnapshot("sweep-2", "run-1", NOON, NOON, entries=1, pages=1)
    cases.tickets({"7": (OLD, None)})
    cases.list({"7": (OLD, False)}, other)
    cases.list({"8": (OLD, False)})
    cases.inventories.compare(SWEEP, CUTS)
    assert cases.differences() == {"7": ("gone", "found"), "8": ("absent", "found")}


@pytest.mark.parametrize("asked", [True, False])
def test_each_outcome(cases: InventoryCases, asked: bool) -> None:
    cases.tickets(
        {
            "older": (OLD - timedelta(days=1), None),
            "lags": (OLD - timedelta(days=1), None),
            "went": (OLD, None),
            "stays": (OLD, None),
            "ahead": (OLD + timedelta(days=1), None),
        }
    )
    line = (OLD, False)
    cases.list(dict.fromkeys(("older", "lags", "ahead", "lost", "nowhere"), line))
    cases.inventories.compare(SWEEP, CUTS)
    cases.tickets({"older": (OLD, None), "lost": (YOUNG, None), "went": (NOON, NOON)})
    cases.inventories.record_outcomes(SWEEP, deletions_verified=asked)
    gone = "exists" if asked else "left"
    settled = {
        "older": ("stale", "repaired"),
        "lags": ("stale", "left"),
        "lost": ("absent", "repaired"),
        "nowhere": ("absent", "left"),
        "went": ("gone", "deleted"),
        "stays": ("gone", gone),
        "ahead": ("newer_here", "left"),
    }
    assert cases.differences() == settled
    assert cases.inventories.difference_counts(SWEEP)[0] == DifferenceCount(
        DifferenceKind.ABSENT, DifferenceOutcome.UNRESOLVED, 1, ("nowhere",)
    )
    # A settled difference stays settled, whatever happens to the ticket later.
    cases.tickets({"lags": (NOON, None), "stays": (NOON, NOON)})
    cases.inventories.record_outcomes(SWEEP, deletions_verified=True)
    assert cases.differences() == settled
