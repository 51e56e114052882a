"""The statement of docs/backfill.md against rows that are there twice."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.docs.texts import ROOT
from helpdesk_assets_tests.harness import Harness
from helpdesk_assets_tests.promises.conftest import ON_BIGQUERY, MakeHarness, make_harness

__all__ = ["make_harness"]

PAGE = ROOT / "docs" / "backfill.md"


def statement() -> str:
    """Return the one MERGE of the page."""
    (found,) = re.findall(r"^    MERGE INTO .*\n(?:    .*\n)+", PAGE.read_text(), re.MULTILINE)
    return dedent(found).strip()


def run_statement(harness: Harness) -> None:
    sql = statement().replace("helpdesk_data", harness.settings.bigquery_dataset)
    harness.warehouse.run(Query(sql), run_id="by-hand", step="tickets")


def test_statement_names_every_column_twice() -> None:
    names = re.findall(r"\(([^()]*raw_json[^()]*)\)", statement())
    own, source = ([name.strip() for name in part.split(",")] for part in names)
    assert own == [column.name for column in tables.TICKETS.columns]
    assert source == [f"S.{name}" for name in own]


@ON_BIGQUERY
@pytest.mark.parametrize("is_changed_since", [False, True])
def test_statement_removes_rows_that_are_equal_everywhere(
    make_harness: MakeHarness, is_changed_since: bool
) -> None:
    harness: Harness = make_harness(5)
    harness.sync()
    harness.backend.double_rows("tickets")
    if is_changed_since:
        harness.deliver(harness.simulator.change(5))
    rows = harness.rows()
    assert len(rows) == 10
    run_statement(harness)
    harness.assert_equal()
    assert [row for row in harness.rows() if row not in rows] == []


@ON_BIGQUERY
def test_statement_keeps_the_newest_of_unequal_rows(make_harness: MakeHarness) -> None:
    harness = make_harness(5)
    harness.sync()
    table = harness.warehouse.dataset.table("tickets")
    first, second, *_ = sorted(harness.truth())
    for ticket_id, days, seconds in ((first, 5, 0), (second, 0, 5)):
        insert = (
            f"INSERT INTO {table} (ticket_id, modifiedTime, _synced_at) SELECT ticket_id, "
            f"TIMESTAMP_SUB(modifiedTime, INTERVAL {days} DAY), "
            f"TIMESTAMP_SUB(_synced_at, INTERVAL {seconds} SECOND) "
            f"FROM {table} WHERE ticket_id = '{ticket_id}'"
        )
        harness.warehouse.run(Query(insert), run_id=ticket_id, step="insert")
    assert len(harness.rows()) == 7
    run_statement(harness)
    harness.assert_equal()
