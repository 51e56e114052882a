from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import bigquery

from helpdesk_assets.errors import HelpdeskAssetsError, WarehouseUnavailable
from helpdesk_assets.naming import batch_id, staging_name
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.staging import Staging, created_at
from helpdesk_assets_tests.warehouse.rows import EVENTS, spooled

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OURS = ("tickets",)
RUN = "7f3c9a1e-5b2d-4c6f"
ROWS: list[dict[str, Any]] = [{"id": "a", "at": "2026-11-01T00:00:00Z"}, {"id": "b", "at": None}]


def named(table: str, at: datetime) -> str:
    return staging_name(table, batch_id(at, RUN, 2))


def test_staging_name_contains_table_and_time() -> None:
    name = named("tickets", NOW)
    assert name == "tickets__stg_20261124T120000Z_7f3c9a1e_2"
    assert created_at(name, ["tickets"]) == NOW


@pytest.mark.parametrize(
    "name",
    [
        "tickets",
        "others__stg_20261124T120000Z_7f3c9a1e_0",
        "tickets__stg_20261324T120000Z_7f3c9a1e_0",
        "tickets__stg_20261124T120000Z",
        "tickets__stg_mine",
    ],
)
def test_names_that_are_not_staging_tables(name: str) -> None:
    assert created_at(name, ["tickets"]) is None


def test_batch_is_loaded_whole(warehouse: BigQueryClient) -> None:
    name = named("events", NOW)
    with spooled(ROWS) as spool:
        for _ in range(2):  # the step is run again under the same name
            Staging(warehouse).load(name, EVENTS.columns, spool, run_id=RUN, step="events")
    assert sorted(row["id"] for row in warehouse.list_rows(name)) == ["a", "b"]
    assert warehouse.use.load_jobs == 2


@pytest.mark.parametrize("bad", ["yesterday", {"not": "a time"}])
def test_failed_load_leaves_no_table(warehouse: BigQueryClient, bad: object) -> None:
    staging, name = Staging(warehouse), named("events", NOW)
    with spooled([*ROWS, {"id": "c", "at": bad}]) as spool, pytest.raises(HelpdeskAssetsError):
        staging.load(name, EVENTS.columns, spool, run_id=RUN, step="events")
    assert not staging.exists(name)


def test_rows_lost_during_the_load_are_detected(
    warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, name = Staging(warehouse), named("events", NOW)
    monkeypatch.setattr(warehouse, "load", lambda *_, **__: 1)
    with (
        spooled(ROWS) as spool,
        pytest.raises(WarehouseUnavailable, match="2 rows were sent and 1 arrived"),
    ):
        staging.load(name, EVENTS.columns, spool, run_id=RUN, step="events")
    assert not staging.exists(name)


def test_cleanup_drops_only_our_old_staging_tables(warehouse: BigQueryClient) -> None:
    today = datetime.now(UTC)
    old, fresh = today - timedelta(days=3), today + timedelta(minutes=10)
    orphan = named("tickets", old)
    kept = {
        "tickets",
        "tickets__stg_mine",
        named("tickets", fresh),
        named("somebody_elses", old),
    }
    for name in (orphan, *kept):
        table = bigquery.Table(
            warehouse.dataset.table_id(name), [bigquery.SchemaField("a", "STRING")]
        )
        warehouse.create_table(table)
    # Created just now by the warehouse's clock, whatever its name says: it may be in use.
    assert Staging(warehouse).drop_orphans(timedelta(days=1), of_tables=OURS) == []
    tomorrow = Staging(warehouse, now=lambda: today + timedelta(hours=25))
    assert tomorrow.drop_orphans(timedelta(hours=36), of_tables=OURS) == []
    assert Staging(warehouse, now=lambda: today + timedelta(minutes=5)).drop_orphans(
        timedelta(minutes=4), of_tables=OURS
    ) == [orphan]
    assert {item.table_id for item in warehouse.list_tables()} == kept
