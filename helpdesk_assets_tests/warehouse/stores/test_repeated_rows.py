"""Repeated rows are removed by whole statements, and what refuses is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.model.state import RepeatedRows, RunCounts
from helpdesk_assets.operations.repeated_rows import heal_repeated_rows
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.stores.repeated_rows import remove_repeated_rows
from helpdesk_assets.warehouse.table_spec import Column, ColumnType
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET

REFUSAL = (
    "BigQuery refused while running tickets: UPDATE or DELETE statement over table tickets would "
    "affect rows in the streaming buffer, which is not supported"
)


class RecordingClient:
    """A client whose tables have so many repeated tickets; `refused` takes no DML."""

    dataset = DATASET

    def __init__(self, repeated: int, refused: str = "") -> None:
        self.repeated, self.refused = repeated, refused
        self.chunks: list[tuple[str, int]] = []

    def get_table(self, table: str, *, fresh: bool) -> Any:
        assert fresh, "a column that somebody has just added is not seen"
        return SimpleNamespace(schema=[SimpleNamespace(name="ticket_id")])

    def run(self, query: Query, *, run_id: str, step: str, labels: Any = None) -> Any:
        if query.sql.startswith("SELECT"):
            return SimpleNamespace(rows=self._found())
        table, ids = labels["table"], next(each.value for each in query.parameters)
        if table == self.refused:
            raise WarehouseRefused(REFUSAL)
        assert isinstance(ids, tuple)
        self.chunks.append((table, len(ids)))
        return SimpleNamespace(changed=0)

    def _found(self) -> Iterator[dict[str, Any]]:
        for number in range(self.repeated):
            yield {
                "ticket_id": str(number), "row_count": 3,
                "one_writer": "run a", "other_writer": "run b",
            }  # fmt: skip


def removed(client: RecordingClient, counts: RunCounts, chunk: int) -> tuple[RepeatedRows, ...]:
    return remove_repeated_rows(cast(BigQueryClient, client), SMALL, counts, chunk=chunk)


def test_very_many_tickets_take_several_statements() -> None:
    client = RecordingClient(repeated=25)
    (outcome,) = removed(client, RunCounts(repeated_keys=50), chunk=10)
    assert client.chunks == [("tickets", 10), ("tickets", 10), ("tickets", 5)]
    assert outcome == RepeatedRows("tickets", 50, 50, ("run a", "run b"))


def test_refusing_table_is_told_and_others_are_healed() -> None:
    client = RecordingClient(repeated=1, refused="tickets")
    counts = RunCounts(repeated_keys=2, repeated_versions=2)
    tickets, versions = removed(client, counts, chunk=10)
    assert (tickets.removed, tickets.problem) == (0, REFUSAL)
    assert (versions.table, versions.removed, versions.problem) == ("raw_ticket_changes", 2, "")


def test_nothing_counted_means_nothing_asked() -> None:
    client = RecordingClient(repeated=1)
    assert removed(client, RunCounts(), chunk=10) == ()
    assert client.chunks == []


def test_refusal_only_warns_and_names_the_next_try(caplog: pytest.LogCaptureFixture) -> None:
    outcome = RepeatedRows("tickets", 2, 0, (), REFUSAL)
    warehouse = cast(Any, SimpleNamespace(remove_repeated_rows=lambda *_: (outcome,)))
    healed = heal_repeated_rows(warehouse, SMALL, RunCounts(repeated_keys=2))
    assert healed == RunCounts(repeated_keys=2, repeated=(outcome,))
    assert caplog.messages == [
        f"Removing 2 repeated rows of tickets failed; a later run tries again. {REFUSAL}"
    ]


@pytest.fixture
def pruned(warehouse: BigQueryClient) -> TableWriter:
    """A writer that takes every table for a big one, and a tickets table with a column more."""
    own = Column("team", ColumnType.STRING)
    Schema(warehouse).ensure(tables.TICKETS, (*tables.TICKETS.columns, own))
    return TableWriter(warehouse, prune_above_bytes=0)


def write_ticket(writer: TableWriter, number: int) -> None:
    """Write ticket 1 as it was created so many times forty days after noon."""
    at = NOON + timedelta(days=40 * number)
    row = {
        "ticket_id": "1", "subject": f"row {number}", "team": f"team {number}",
        "createdTime": at.isoformat(), "modifiedTime": at.isoformat(), "_content_hash": str(number),
    }  # fmt: skip
    names = (*tables.TICKETS.columns, Column("team", ColumnType.STRING))
    columns = tuple(column for column in names if column.name in row)
    with Spool(1000) as spool:
        spool.append(json.dumps(row).encode())
        writer.merge(
            tables.TICKETS,
            spool,
            run_id=f"run{number}",
            step="tickets",
            columns=columns,
            partition_bounds=PartitionBounds.at("createdTime", at),
        )


def test_id_given_to_another_ticket_keeps_the_newest_row(
    warehouse: BigQueryClient, pruned: TableWriter
) -> None:
    """Also what others keep in columns of their own."""
    write_ticket(pruned, 0)
    write_ticket(pruned, 1)
    assert len(list(warehouse.list_rows("tickets"))) == 2
    counts = RunCounts(repeated_keys=1)
    (outcome,) = remove_repeated_rows(warehouse, replace(SMALL, run_id="heal"), counts)
    assert (outcome.table, outcome.removed, outcome.problem) == ("tickets", 1, "")
    (row,) = warehouse.list_rows("tickets")
    assert (row["subject"], row["team"]) == ("row 1", "team 1")
