"""Columns are added although others change the table at the same moment; nobody's are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from google.api_core import exceptions as google
from google.cloud import bigquery

from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import SCHEMA_TRIES, Schema
from helpdesk_assets.warehouse.query import Dataset
from helpdesk_assets.warehouse.table_spec import Column, ColumnType

CHANNEL, SCORE = Column("channel", ColumnType.STRING), Column("score", ColumnType.FLOAT64)
STALE = "Precondition check failed."


class EtagClient:
    """Keeps one table and compares etags, as BigQuery does. `before` runs before each patch."""

    _connection = None
    default_load_job_config = None

    def __init__(self, before: Callable[[EtagClient], None], lost_answers: int = 0) -> None:
        self.before = before
        self.lost_answers = lost_answers
        self.names = [column.name for column in tables.TICKETS.columns]
        self.patches = 0

    def table(self) -> bigquery.Table:
        types = {column.name: column.type for column in (*tables.TICKETS.columns, CHANNEL, SCORE)}
        return bigquery.Table.from_api_repr(
            {
                "tableReference": {"projectId": "p", "datasetId": "d", "tableId": "tickets"},
                "type": "TABLE",
                "etag": str(len(self.names)),
                "schema": {
                    "fields": [
                        {"name": name, "type": str(types.get(name, "STRING"))}
                        for name in self.names
                    ]
                },
            }
        )

    def get_table(self, _: str, **__: Any) -> bigquery.Table:
        return self.table()

    def update_table(self, table: bigquery.Table, fields: list[str], **_: Any) -> None:
        assert fields == ["schema"]
        self.patches += 1
        self.before(self)
        if table.etag != str(len(self.names)):
            raise google.PreconditionFailed(STALE)  # type: ignore[no-untyped-call]
        self.names = [field.name for field in table.schema]
        if self.lost_answers:
            # What google's client then sends again names the etag of before.
            self.lost_answers -= 1
            raise google.PreconditionFailed(STALE)  # type: ignore[no-untyped-call]


def ensure(client: EtagClient) -> None:
    warehouse = BigQueryClient(cast("bigquery.Client", client), Dataset("p", "d"), location="EU")
    Schema(warehouse).ensure(tables.TICKETS, (*tables.TICKETS.columns, CHANNEL, SCORE))


def nobody(_: EtagClient) -> None:
    pass


def once(*names: str) -> Callable[[EtagClient], None]:
    left = list(names)

    def add(client: EtagClient) -> None:
        client.names += left
        left.clear()

    return add


@pytest.mark.parametrize(
    "others", [("channel",), ("channel", "score"), ("own",), ("own", "score"), ("Channel",)]
)
def test_columns_of_two_programs_are_all_there(others: tuple[str, ...]) -> None:
    client = EtagClient(once(*others))
    ensure(client)
    held = [name.lower() for name in client.names]
    assert {"channel", "score", *(name.lower() for name in others)} <= set(held)
    assert len(held) == len(set(held))
    assert client.patches <= 2


def test_patch_whose_answer_was_lost_is_not_repeated() -> None:
    client = EtagClient(nobody, lost_answers=1)
    ensure(client)
    assert client.patches == 1
    assert client.names[-2:] == ["channel", "score"]


def test_table_that_changes_all_the_time_is_told() -> None:
    client = EtagClient(lambda each: each.names.append(f"own_{len(each.names)}"))
    with pytest.raises(WarehouseUnavailable, match="other programs changed it"):
        ensure(client)
    assert client.patches == SCHEMA_TRIES
