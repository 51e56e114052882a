"""What is asked of a sweep, as whole statements, and each case of the comparison on rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import Any

import pytest

from helpdesk_assets.model.reconciliation import FETCHED, Found, Kind, Outcome, Sizes, Sweep
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import Warehouse
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Dataset, Query
from helpdesk_assets.warehouse.statements import inventory_diff
from helpdesk_assets.warehouse.statements.inventory_diff import Cuts
from helpdesk_assets.warehouse.stores.inventories import SweepTables
from helpdesk_assets.warehouse.table_spec import TableSpec

DATASET = Dataset("acme", "desk")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SWEEP = Sweep("sweep-1", "run-1", NOON, NOON + timedelta(hours=1), lines=9, pages=1)
CUTS = Cuts(begun=NOON - timedelta(minutes=15), synced=NOON - timedelta(hours=2))
OF_SWEEP = {"sweep_id": "sweep-1", "listed_at": NOON}


def sql(text: str) -> str:
    return dedent(text).strip()


def values(query: Query) -> dict[str, object]:
    names = [parameter.name for parameter in query.parameters]
    assert len(set(names)) == len(names), "a parameter is given twice"
    return {parameter.name: parameter.value for parameter in query.parameters}


def test_the_sizes() -> None:
    query = inventory_diff.sizes(DATASET, SWEEP)
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


def test_the_comparison() -> None:
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
                THEN IF(NOT I.gone AND I.modifiedTime <= @synced, 'absent', NULL)
              WHEN T.modifiedTime > @begun
                THEN IF(I.modifiedTime < T.modifiedTime AND T.modifiedTime > @future_after,
                  'newer_here', NULL)
              WHEN I.ticket_id IS NULL
                THEN IF(T.deletedTime IS NULL, 'gone', NULL)
              WHEN I.gone
                THEN IF(T.deletedTime IS NULL AND I.modifiedTime <= @synced, 'gone', NULL)
              WHEN T.modifiedTime IS NULL OR T.modifiedTime < I.modifiedTime
                THEN IF(I.modifiedTime <= @synced, 'stale', NULL)
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
        "begun": CUTS.begun,
        "synced": CUTS.synced,
        "future_after": NOON + timedelta(hours=1, minutes=15),
    }


def test_the_found() -> None:
    query = inventory_diff.found(DATASET, SWEEP, FETCHED)
    assert query.sql == sql(
        """
        SELECT ticket_id
        FROM `acme.desk.inventory_differences`
        WHERE found_at = @listed_at
          AND sweep_id = @sweep_id
          AND kind IN UNNEST(@kinds)
        """
    )
    assert values(query) == {**OF_SWEEP, "kinds": ("absent", "stale")}


def test_the_outcomes() -> None:
    query = inventory_diff.outcomes(DATASET, SWEEP, gone_were_asked=True)
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
              THEN 'repaired'
            WHEN D.kind = 'gone' AND T.deletedTime IS NOT NULL
              THEN 'deleted'
            WHEN D.kind = 'gone' AND @gone_were_asked
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
        "fetched": ("absent", "stale"),
        "gone_were_asked": True,
    }


def test_the_counts() -> None:
    query = inventory_diff.counted(DATASET, SWEEP)
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


def test_what_is_forgotten() -> None:
    query = inventory_diff.forget(DATASET, NOON)
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
CASES: dict[str, tuple[Line, Row, Kind | None]] = {
    "equal": ((OLD, False), (OLD, None), None),
    "absent": ((OLD, False), None, Kind.ABSENT),
    "absent at the watermark": ((CUTS.synced, False), None, Kind.ABSENT),
    "absent, the next sync's": ((YOUNG, False), None, None),
    "absent and gone": ((OLD, True), None, None),
    "absent and unreadable": ((None, False), None, None),
    "stale": ((OLD, False), (OLD - timedelta(seconds=1), None), Kind.STALE),
    "stale, the next sync's": ((YOUNG, False), (OLD, None), None),
    "stale by no time": ((OLD, False), (None, None), Kind.STALE),
    "unreadable": ((None, False), (OLD, None), None),
    "not listed": (None, (OLD, None), Kind.GONE),
    "not listed, gone before": (None, (OLD, OLD), None),
    "not listed, changed meanwhile": (None, (LATER, None), None),
    "not listed, too young to be": (None, (NOON, None), None),
    "listed as gone": ((OLD, True), (OLD, None), Kind.GONE),
    "listed as gone, the next sync's": ((YOUNG, True), (OLD, None), None),
    "listed as gone, gone before": ((OLD, True), (OLD, OLD), None),
    "newer here": ((OLD, False), (OLD + timedelta(seconds=1), None), Kind.NEWER_HERE),
    "newer here, changed meanwhile": ((OLD, False), (LATER, None), None),
    "newer here, dated in the future": ((OLD, False), (FAR, None), Kind.NEWER_HERE),
}


class Book:
    """The tables of a sweep on the local warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self._writer = TableWriter(warehouse)
        self.sweeps = SweepTables(warehouse, self._writer)
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

    def list(self, lines: dict[str, Line], sweep: Sweep = SWEEP) -> Sizes:
        with Spool(1_000_000) as spool:
            for ticket_id, line in lines.items():
                if line is not None:
                    spool.append(json.dumps(as_line(sweep, ticket_id, line)).encode())
            return self.sweeps.store(sweep, spool)


def as_line(sweep: Sweep, ticket_id: str, line: tuple[datetime | None, bool]) -> dict[str, Any]:
    return {
        "sweep_id": sweep.sweep_id,
        "ticket_id": ticket_id,
        "modifiedTime": text(line[0]),
        "gone": line[1],
        "listed_at": text(sweep.listed_at),
    }


def text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@pytest.fixture
def book(warehouse: Warehouse) -> Book:
    return Book(warehouse)


def test_each_case_of_the_comparison(book: Book) -> None:
    book.tickets({name: row for name, (_, row, _) in CASES.items()})
    sizes = book.list({name: line for name, (line, _, _) in CASES.items()})
    rows = [row for _, row, _ in CASES.values() if row]
    assert sizes == Sizes(
        listed=sum(line is not None for line, _, _ in CASES.values()),
        alive=sum(deleted is None for _, deleted in rows),
    )
    book.sweeps.compare(SWEEP, CUTS)
    expected = {name: (kind.value, "found") for name, (_, _, kind) in CASES.items() if kind}
    assert book.differences() == expected
    for kinds in (FETCHED, (Kind.GONE,)):
        names = {name for name, (_, _, kind) in CASES.items() if kind in kinds}
        assert set(book.sweeps.found(SWEEP, kinds)) == names


def test_a_ticket_that_is_listed_twice_counts_once_by_its_latest_line(book: Book) -> None:
    with Spool(1_000_000) as spool:
        for line in ((OLD, False), (OLD, True), (OLD - timedelta(days=1), False)):
            spool.append(json.dumps(as_line(SWEEP, "7", line)).encode())
        assert book.sweeps.store(SWEEP, spool).listed == 1
    (row,) = book.warehouse.list_rows(tables.TICKET_INVENTORY.name)
    assert (row["modifiedTime"], row["gone"]) == (OLD, True)


def test_another_sweep_is_not_looked_at(book: Book) -> None:
    other = Sweep("sweep-2", "run-1", NOON, NOON, lines=1, pages=1)
    book.tickets({"7": (OLD, None)})
    book.list({"7": (OLD, False)}, other)
    book.list({"8": (OLD, False)})
    book.sweeps.compare(SWEEP, CUTS)
    assert book.differences() == {"7": ("gone", "found"), "8": ("absent", "found")}


@pytest.mark.parametrize("asked", [True, False])
def test_each_outcome(book: Book, asked: bool) -> None:
    book.tickets(
        {
            "older": (OLD - timedelta(days=1), None),
            "lags": (OLD - timedelta(days=1), None),
            "went": (OLD, None),
            "stays": (OLD, None),
            "ahead": (OLD + timedelta(days=1), None),
        }
    )
    line = (OLD, False)
    book.list(dict.fromkeys(("older", "lags", "ahead", "lost", "nowhere"), line))
    book.sweeps.compare(SWEEP, CUTS)
    book.tickets({"older": (OLD, None), "lost": (YOUNG, None), "went": (NOON, NOON)})
    book.sweeps.settle(SWEEP, gone_were_asked=asked)
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
    assert book.differences() == settled
    assert book.sweeps.counted(SWEEP)[0] == Found(Kind.ABSENT, Outcome.LEFT, 1, ("nowhere",))
    # What is settled once stays so, whatever becomes of the ticket later.
    book.tickets({"lags": (NOON, None), "stays": (NOON, NOON)})
    book.sweeps.settle(SWEEP, gone_were_asked=True)
    assert book.differences() == settled
