"""What ends a run before it reads the helpdesk, what only warns, and what costs a statement."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.operations.readiness import (
    Consequence,
    ReadinessFinding,
    expect_ready,
    findings,
)
from helpdesk_assets.warehouse.write_access import DatasetReport, DatasetTraits, TableTraits
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset
from helpdesk_assets_tests.in_memory.warehouse import InMemoryWarehouse

SOON = datetime(2026, 12, 1, tzinfo=UTC)
SIXTY = timedelta(days=60)
TICKETS = TableTraits("tickets", must_keep_partitions=True)
STATE = SyncState("tickets", None, 1)


def _report(*tables: TableTraits, wanted: str | None = None, **traits: object) -> DatasetReport:
    dataset = replace(DatasetTraits(location="EU"), **traits)  # type: ignore[arg-type]
    return DatasetReport("acme.helpdesk_data", wanted, dataset, tables)


def _not_fine(report: DatasetReport) -> list[ReadinessFinding]:
    return [each for each in findings(report) if each.consequence is not Consequence.FINE]


@pytest.mark.parametrize(
    "report",
    [
        _report(TICKETS, TableTraits("sync_state")),
        _report(wanted="eu"),
        _report(wanted="US", location=None),
        _report(TableTraits("missed_updates", partition_lifetime=SIXTY)),
        DatasetReport("acme.helpdesk_data", "EU"),
    ],
)
def test_nothing_is_said_of_an_ordinary_dataset(report: DatasetReport) -> None:
    assert _not_fine(report) == []


@pytest.mark.parametrize(
    ("report", "what", "consequence", "text"),
    [
        (
            _report(wanted="US"),
            "location",
            Consequence.REFUSED,
            "is in EU, and BIGQUERY_LOCATION is",
        ),
        (_report(collation="und:ci"), "collation", Consequence.REFUSED, "SET DEFAULT COLLATE ''"),
        (
            _report(replace(TICKETS, ignoring_case=("ticket_id",))),
            "collation",
            Consequence.REFUSED,
            "the same in tickets.ticket_id",
        ),
        (
            _report(replace(TICKETS, kind="EXTERNAL")),
            "kinds of tables",
            Consequence.REFUSED,
            "tickets (a EXTERNAL)",
        ),
        (
            _report(replace(TICKETS, needs_filter=True)),
            "partition filters",
            Consequence.REFUSED,
            "require_partition_filter = FALSE",
        ),
        (
            _report(replace(TICKETS, applies_changes=True)),
            "change data capture",
            Consequence.REFUSED,
            "takes no MERGE",
        ),
        (
            _report(replace(TICKETS, is_streamed_into=True)),
            "streaming buffers",
            Consequence.WARNING,
            "Storage Write API",
        ),
        (
            _report(table_lifetime=SIXTY, partition_lifetime=SIXTY),
            "default expirations",
            Consequence.NOTE,
            "tables after 60 days and partitions after 60 days",
        ),
        (
            _report(replace(TICKETS, partition_lifetime=SIXTY)),
            "expirations of tables",
            Consequence.NOTE,
            "partitions of tickets after 60 days; the next run takes that away",
        ),
        (
            _report(TableTraits("sync_state", expires=SOON)),
            "expirations of tables",
            Consequence.NOTE,
            "sync_state on 2026-12-01 00:00:00Z",
        ),
    ],
)
def test_each_trait_has_one_finding(
    report: DatasetReport, what: str, consequence: Consequence, text: str
) -> None:
    (found,) = _not_fine(report)
    assert (found.what, found.consequence) == (what, consequence)
    assert text in found.text


def _in(report: DatasetReport) -> InMemoryWarehouse:
    dataset = InMemoryDataset()
    dataset.report = report
    dataset.refusal = WarehouseRefused("DML queries are not allowed in the free tier")
    return InMemoryWarehouse(dataset)


def test_refused_run_names_every_reason() -> None:
    both = _report(replace(TICKETS, needs_filter=True), wanted="US")
    with pytest.raises(WarehouseRefused, match=r"is in EU.*FALSE.*Nothing was read or written"):
        expect_ready(_in(both), STATE, run_id="r")


def test_warned_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    expect_ready(_in(_report(replace(TICKETS, is_streamed_into=True))), STATE, run_id="r")
    assert "streams rows into tickets" in caplog.text


def test_statement_is_tried_until_there_is_a_state_row() -> None:
    expect_ready(_in(_report()), STATE, run_id="r")
    with pytest.raises(WarehouseRefused, match="free tier"):
        expect_ready(_in(_report()), None, run_id="r")


def test_what_would_vanish_is_kept_before_reading() -> None:
    doomed = replace(TICKETS, expires=SOON, partition_lifetime=SIXTY)
    warehouse = _in(_report(doomed, TableTraits("missed_updates", partition_lifetime=SIXTY)))
    expect_ready(warehouse, STATE, run_id="r")
    tickets, missed = warehouse.write_access().report().tables
    assert tickets == TICKETS
    assert missed.partition_lifetime == SIXTY
