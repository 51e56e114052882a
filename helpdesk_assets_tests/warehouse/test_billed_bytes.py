"""What each kind of statement bills at five million tickets, and the model that says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType
from helpdesk_assets_tests.warehouse.billed_bytes import MINIMUM, PriceList, TableOnPaper
from helpdesk_assets_tests.warehouse.cost_tables import COMMANDS, MIDDLE, drains, total
from helpdesk_assets_tests.warehouse.paper_desk import PaperDesk, batch_of, desk, unbounded

GB = 1_000_000_000
# By command and statement, as `cost_tables.COMMANDS` names them.
BOUNDS = {
    "quiet run": (1.2,),
    "run of 50 changes": (0.1, 0.5, 4.5, 1.2),
    "first load": (20, 20, 0.3),
    "full load again": (22, 40, 1.2),
    "repair of 50 tickets": (0.1, 8, 0.6),
    "reconciliation": (0.8, 0.3, 0.8, 0.1),
    "status": (0.05, 0.05, 0.05),
}
MONTHS = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 11)]
ROWS = 1_000_000
TICKETS = TableOnPaper(tables.TICKETS, dict.fromkeys(MONTHS, ROWS), {"raw_json": 3_000})
SMALL_TABLE = TableOnPaper(tables.MISSED_UPDATES, {MONTHS[0]: 1.0})
PRICES = PriceList({"tickets": TICKETS, "missed_updates": SMALL_TABLE})
SINCE = Parameter("since", ColumnType.TIMESTAMP, MONTHS[8])
IDS = Parameter("ids", ColumnType.STRING, ("a", "b"))
ALL_COLUMNS = TICKETS.row_bytes
CREATED = "SELECT createdTime FROM tickets WHERE "
IDENTIFIED = "SELECT ticket_id FROM tickets WHERE "
MERGE = "MERGE INTO tickets AS T USING (SELECT 'a' AS id) AS S ON "
UPDATE = "WHEN MATCHED AND T.status = 'x' THEN UPDATE SET subject = S.id"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_statements_bill_no_more_than_they_need(command: object) -> None:
    bills = command.statements(MIDDLE)  # type: ignore[attr-defined]
    bounds = BOUNDS[command.name]  # type: ignore[attr-defined]
    for bill, bound in zip(bills, bounds, strict=True):
        assert bill.low <= bill.high <= bound * GB


def test_statements_without_bounds_bill_ten_times_as_much() -> None:
    """The same run without constants on partitions: its bounds are what keeps it cheap."""
    paper = PaperDesk(desk(MIDDLE))
    bounded = total(paper.bills(paper.write(batch_of(50))))
    free = total(paper.bills(paper.write(unbounded(batch_of(50)))))
    assert free.high > 10 * bounded.high
    assert free.high > sum(BOUNDS["run of 50 changes"]) * GB


def test_old_ticket_among_fifty_adds_its_month_alone() -> None:
    paper = PaperDesk(desk(MIDDLE))
    none, one = (total(paper.bills(paper.write(batch_of(50, old=old)))).high for old in (0, 1))
    assert 0 < one - none < 0.5 * GB


def test_unlisted_tickets_are_looked_for_in_every_block() -> None:
    """Without a list of constants nothing is skipped by clustering."""
    paper = PaperDesk(desk(MIDDLE))
    listed = paper.bills(paper.write(batch_of(50)))[2]
    versions = tuple(batch_of(50).versions or ()) * 200
    many = tuple(
        version._replace(ticket_id=f"{version.ticket_id}{number}")
        for number, version in enumerate(versions)
    )
    unlisted = paper.bills([paper.write(replace(batch_of(50), versions=many))[2]])[0]
    assert listed.low < 0.1 * GB < unlisted.low


def test_events_that_wait_for_nothing_bill_the_minimum() -> None:
    paper = PaperDesk(desk(52_000, events_a_day=0))
    assert drains(0.02, 52_000).low < 100 * GB * 12
    assert all(bill.low >= MINIMUM for bill in paper.bills(paper.merge_webhooks(1)))


@pytest.mark.parametrize(
    ("sql", "low", "high"),
    [
        ("SELECT ticket_id FROM tickets", 22, None),
        ("SELECT COUNT(*) AS n FROM tickets", 0, None),
        ("SELECT x.ticket_id FROM (SELECT * FROM tickets) AS x", 22, None),
        ("WITH x AS (SELECT * FROM tickets) SELECT status FROM x", 22, None),
        ("SELECT status FROM tickets WHERE createdTime >= @since", 22 * 0.2 + 8 * 0.2, None),
        ("SELECT status FROM tickets WHERE createdTime BETWEEN @since AND @since", 3, None),
        (CREATED + "createdTime < @since", 8 * 0.8, None),
        (CREATED + "createdTime IS NULL", 0, None),
        (CREATED + "createdTime IS NULL OR createdTime >= @since", 1.6, None),
        (CREATED + "createdTime >= @since OR deletedTime IS NULL", 16, None),
        (CREATED + "createdTime >= modifiedTime", 16, None),
        (IDENTIFIED + "ticket_id IN UNNEST(@ids)", 0, 22),
        (IDENTIFIED + "ticket_id IN (SELECT ticket_id FROM missed_updates)", 22, None),
        ("INSERT INTO tickets (ticket_id) SELECT status FROM tickets", 22, None),
        ("DELETE FROM tickets WHERE createdTime >= @since", ALL_COLUMNS * 0.2, None),
        ("UPDATE tickets SET status = 'x' WHERE TRUE", ALL_COLUMNS, None),
        (
            f"{MERGE}T.ticket_id = S.id WHEN NOT MATCHED THEN INSERT (raw_json) VALUES (NULL)",
            22,
            None,
        ),
        (
            f"{MERGE}T.ticket_id = S.id AND T.createdTime >= @since {UPDATE}",
            (22 + 22 + 8 + ALL_COLUMNS) * 0.2,
            None,
        ),
        (
            f"{MERGE}FALSE WHEN NOT MATCHED BY SOURCE AND T.ticket_id IN UNNEST(@ids) THEN DELETE",
            0,
            22 + ALL_COLUMNS,
        ),
    ],
)  # fmt: skip
def test_model_bills_by_the_documented_formula(sql: str, low: float, high: float | None) -> None:
    """Bytes a row of ten months, of which @since leaves two."""
    bill = PRICES.bill(Query(sql, (SINCE, IDS)))
    minimum = MINIMUM * (2 if "missed_updates" in sql else 1)
    for billed, expected in ((bill.low, low), (bill.high, low if high is None else high)):
        least = max(minimum, expected * ROWS * 10)
        assert least <= billed <= least + minimum


def test_each_table_bills_its_minimum() -> None:
    sql = "SELECT A.reason FROM missed_updates AS A JOIN tickets AS B ON FALSE"
    assert PRICES.bill(Query(sql)).low == 2 * MINIMUM
