"""The view `ticket_history`: which version was valid when."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.statements.history_view import view_query
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import JobUsage
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET

DAY = datetime(2026, 11, 1, tzinfo=UTC)
DOCS = Path(__file__).parents[3] / "docs" / "history.md"


def at(days: float) -> datetime:
    return DAY + timedelta(days=days)


def prepared(warehouse: BigQueryClient, days: int | None = None) -> SyncTables:
    made = SyncTables(warehouse, sync_name="tickets", small_batch_bytes=1000, history_days=days)
    made.prepare()
    return made


def version(
    ticket_id: str,
    modified: datetime,
    status: str | None,
    *,
    deleted: datetime | None = None,
    fetched: datetime | None = None,
    seq: int = 0,
) -> dict[str, Any]:
    return {
        "ticket_id": ticket_id,
        "status": status,
        "modifiedTime": modified,
        "deletedTime": deleted,
        "_content_hash": f"{status}{seq}",
        "_fetched_at": fetched or modified,
        "_seq": seq,
        "_tombstone": deleted is not None and status is None,
    }


def store(warehouse: BigQueryClient, rows: Iterable[dict[str, Any]], table: str) -> None:
    """Insert rows by plain INSERTs, so that this test alone determines them."""
    types = {str: "STRING", datetime: "TIMESTAMP", int: "INT64", bool: "BOOL"}
    for row in rows:
        values = {name: value for name, value in row.items() if value is not None}
        names = ", ".join(values)
        places = ", ".join(f"@{name}" for name in values)
        parameters = [
            bigquery.ScalarQueryParameter(name, types[type(value)], value)
            for name, value in values.items()
        ]
        warehouse._client.query(
            f"INSERT INTO `{warehouse.dataset.table_id(table)}` ({names}) VALUES ({places})",
            job_config=bigquery.QueryJobConfig(query_parameters=parameters),
        ).result()


def view_rows(
    warehouse: BigQueryClient, columns: str = "ticket_id, status, valid_from, valid_to"
) -> Any:
    """Query by the view's statement instead of its name, so that SQL judges see it."""
    raw_json = Schema(warehouse).columns(tables.TICKETS)["raw_json"]
    statement = view_query(warehouse.dataset, json_as_text=raw_json == "STRING")
    found = warehouse._client.query(f"SELECT {columns} FROM (\n{statement}\n)").result()
    return sorted((tuple(row.values()) for row in found), key=repr)


def test_sql_statement() -> None:
    assert view_query(DATASET, json_as_text=False) == (
        """\
SELECT
  ticket_id,
  subject,
  status,
  priority,
  assignee,
  createdTime,
  modifiedTime,
  next_deleted AS deletedTime,
  raw_json,
  valid_from,
  IF(next_deleted IS NULL, next_from, GREATEST(valid_from, next_deleted)) AS valid_to
FROM (
  SELECT
    ticket_id, subject, status, priority, assignee, createdTime, modifiedTime, deletedTime, raw_json, valid_from,
    LEAD(valid_from) OVER (
      PARTITION BY ticket_id ORDER BY valid_from, _fetched_at, _seq
    ) AS next_from,
    LEAD(deletedTime) OVER (
      PARTITION BY ticket_id ORDER BY valid_from, _fetched_at, _seq
    ) AS next_deleted
  FROM (
    SELECT ticket_id, subject, status, priority, assignee, createdTime, modifiedTime, deletedTime, raw_json, modifiedTime AS valid_from, _fetched_at, _seq
    FROM `acme.desk.raw_ticket_changes`
    UNION ALL
    SELECT
      T.ticket_id, T.subject, T.status, T.priority, T.assignee, T.createdTime, T.modifiedTime, T.deletedTime, T.raw_json,
      CASE
        WHEN T.deletedTime > T.modifiedTime OR T.modifiedTime IS NULL THEN T.deletedTime
        WHEN T.modifiedTime <= N.deleted_at THEN T._read_at
        ELSE T.modifiedTime
      END AS valid_from,
      T._synced_at,
      0
    FROM `acme.desk.tickets` AS T
    LEFT JOIN (
      SELECT
        ticket_id,
        MAX(modifiedTime) AS modifiedTime,
        MAX(IF(deletedTime IS NULL, NULL, modifiedTime)) AS deleted_at
      FROM `acme.desk.raw_ticket_changes`
      GROUP BY ticket_id
    ) AS N
    ON N.ticket_id = T.ticket_id
    WHERE N.modifiedTime IS NULL
      OR T.modifiedTime > N.modifiedTime
      OR T.deletedTime > N.modifiedTime
      OR (T.deletedTime IS NULL AND N.deleted_at = N.modifiedTime AND T._read_at > N.deleted_at)
  )
)
WHERE deletedTime IS NULL"""  # noqa: E501
    )


def test_version_is_valid_until_the_next_one(warehouse: BigQueryClient) -> None:
    prepared(warehouse)
    rows = [version("7", at(0), "open"), version("7", at(2), "closed"), version("8", at(1), "new")]
    store(warehouse, rows, "raw_ticket_changes")
    assert view_rows(warehouse) == [
        ("7", "closed", at(2), None),
        ("7", "open", at(0), at(2)),
        ("8", "new", at(1), None),
    ]


def test_last_version_within_one_tick_counts(warehouse: BigQueryClient) -> None:
    prepared(warehouse)
    rows = [
        version("7", at(0), "third", fetched=at(1), seq=5),
        version("7", at(0), "second", fetched=at(0), seq=9),
        version("7", at(0), "first", fetched=at(0), seq=2),
    ]
    store(warehouse, rows, "raw_ticket_changes")
    assert view_rows(warehouse, "status, valid_to") == [
        ("first", at(0)),
        ("second", at(0)),
        ("third", None),
    ]


@pytest.mark.parametrize("status", ["deleted", None], ids=["whole", "tombstone"])
def test_deleted_ticket_ends_and_restored_one_starts_again(
    warehouse: BigQueryClient, status: str | None
) -> None:
    """One vendor keeps the modified time when a ticket is deleted."""
    prepared(warehouse)
    rows = [
        version("7", at(0), "open"),
        version("7", at(0), status, deleted=at(1), seq=1),
        version("7", at(3), "open again"),
        version("8", at(0), "open"),
        version("8", at(2), status, deleted=at(1)),
    ]
    store(warehouse, rows, "raw_ticket_changes")
    assert view_rows(warehouse, "ticket_id, status, valid_from, valid_to, deletedTime") == [
        ("7", "open again", at(3), None, None),
        ("7", "open", at(0), at(1), at(1)),
        ("8", "open", at(0), at(1), at(1)),
    ]


def test_current_row_is_shown_without_its_versions(warehouse: BigQueryClient) -> None:
    """Those of ticket 6 have expired, and a webhook has written the newest of ticket 7."""
    prepared(warehouse)
    store(warehouse, [version("7", at(0), "open")], "raw_ticket_changes")
    store(warehouse, [version("8", at(0), "open")], "raw_ticket_changes")
    rows = [
        {"ticket_id": "5", "modifiedTime": at(0), "deletedTime": at(0), "_synced_at": at(1)},
        {"ticket_id": "6", "modifiedTime": at(0), "status": "old", "_synced_at": at(1)},
        {"ticket_id": "7", "modifiedTime": at(1), "status": "hooked", "_synced_at": at(1)},
        {"ticket_id": "8", "modifiedTime": at(0), "status": "open", "_synced_at": at(1)},
    ]
    store(warehouse, rows, "tickets")
    assert view_rows(warehouse) == [
        ("6", "old", at(0), None),
        ("7", "hooked", at(1), None),
        ("7", "open", at(0), at(1)),
        ("8", "open", at(0), None),
    ]


def test_deletion_and_revival_that_only_the_row_knows(warehouse: BigQueryClient) -> None:
    """A webhook told that 1 is deleted; a reading at the same version revived 2 and 3."""
    prepared(warehouse)
    rows = [version(each, at(0), "open") for each in ("1", "2", "3")]
    rows += [version("2", at(1), None, deleted=at(1)), version("3", at(0), "", deleted=at(1))]
    store(warehouse, rows, "raw_ticket_changes")
    current = {"modifiedTime": at(0), "status": "open", "_read_at": at(4), "_synced_at": at(4)}
    deleted = {"1": at(1), "2": None, "3": None}
    store(
        warehouse,
        [{**current, "ticket_id": key, "deletedTime": value} for key, value in deleted.items()],
        "tickets",
    )
    assert view_rows(warehouse) == [
        ("1", "open", at(0), at(1)),
        ("2", "open", at(0), at(1)),
        ("2", "open", at(4), None),
        ("3", "open", at(0), at(1)),
        ("3", "open", at(4), None),
    ]


def test_example_query_of_the_docs(warehouse: BigQueryClient) -> None:
    prepared(warehouse)
    rows = [
        version("1", at(0), "open"),
        version("1", at(5), "closed"),
        version("2", at(0.5), "open"),
        version("3", at(0), "new"),
        version("3", at(1), "closed"),
        version("4", at(0), "open"),
        version("4", at(1), None, deleted=at(1)),
        version("5", at(3), "new"),
    ]
    store(warehouse, rows, "raw_ticket_changes")
    (example,) = re.findall(r"(?:^    .*\n)+", DOCS.read_text(), re.MULTILINE)
    sql = textwrap.dedent(example).replace(
        "helpdesk_data.ticket_history", warehouse.dataset.table_id("ticket_history")
    )
    found = [tuple(row.values()) for row in warehouse._client.query(sql).result()]
    assert found == [("closed", 1), ("open", 2)]


def test_adopted_table_keeps_json_as_text(warehouse: BigQueryClient) -> None:
    field = bigquery.SchemaField
    names = {"ticket_id": "STRING", "raw_json": "STRING", "modifiedTime": "TIMESTAMP"}
    warehouse.create_table(
        bigquery.Table(
            warehouse.dataset.table_id("tickets"), [field(*each) for each in names.items()]
        )
    )
    prepared(warehouse)
    rows = [
        {"ticket_id": "1", "raw_json": '{"a": 5}', "modifiedTime": at(0)},
        {"ticket_id": "2", "raw_json": "no JSON", "modifiedTime": at(0)},
    ]
    store(warehouse, rows, "tickets")
    assert view_rows(warehouse, "ticket_id, JSON_VALUE(raw_json, '$.a')") == [
        ("1", "5"),
        ("2", None),
    ]


def test_creating_the_view_costs_no_job_and_happens_once(
    warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(warehouse)
    assert warehouse.use == JobUsage()
    monkeypatch.setattr(warehouse, "create_table", None)
    monkeypatch.setattr(warehouse, "drop_table", None)
    warehouse.get_table("ticket_history", fresh=True)
    prepared(warehouse)


def test_outdated_view_is_replaced(warehouse: BigQueryClient) -> None:
    prepared(warehouse)
    name = warehouse.dataset.table("raw_ticket_changes")
    old = f"SELECT ticket_id FROM {name}"
    Schema(warehouse).ensure_view("ticket_history", old, "An older one.")
    warehouse.get_table("ticket_history", fresh=True)
    prepared(warehouse)
    store(warehouse, [version("7", at(0), "open")], "raw_ticket_changes")
    view = warehouse.dataset.table_id("ticket_history")
    found = warehouse._client.query(f"SELECT ticket_id, status, valid_to FROM `{view}`").result()
    assert [tuple(row.values()) for row in found] == [("7", "open", None)]


class RecordingWarehouse:
    """Records requests about a view to the real service."""

    def __init__(self, warehouse: BigQueryClient) -> None:
        self.updated: list[str] = []
        self._warehouse = warehouse

    def update_view(self, view: bigquery.Table) -> None:
        self.updated.append(view.view_query)


def test_bigquery_updates_the_view_in_place(
    warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(warehouse)
    recording = RecordingWarehouse(warehouse)
    monkeypatch.setattr(warehouse, "is_emulator", False)
    monkeypatch.setattr(warehouse, "update_view", recording.update_view)
    monkeypatch.setattr(warehouse, "drop_table", None)
    Schema(warehouse).ensure_view("ticket_history", "SELECT 1 AS a", "Another.")
    assert recording.updated == ["SELECT 1 AS a"]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ([None], None),
        ([30], 31),
        ([30, None], 31),
        ([30, 400], 401),
        ([30, 0], None),
    ],
)
def test_versions_are_retained_as_configured(
    warehouse: BigQueryClient, settings: list[int | None], kept: int | None
) -> None:
    for days in settings:
        warehouse.get_table("raw_ticket_changes", fresh=True)
        prepared(warehouse, days)
    table = warehouse.get_table("raw_ticket_changes", fresh=True)
    assert table is not None
    assert table.time_partitioning.field == "_fetched_at"
    assert table.time_partitioning.type_ == "DAY"
    milliseconds = table.time_partitioning.expiration_ms
    assert milliseconds == (kept * 86_400_000 if kept else None)
    assert [field.name for field in table.schema] == [
        column.name for column in tables.RAW_TICKET_CHANGES.columns
    ]
