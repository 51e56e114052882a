"""Tables in a dataset that gives sixty days to whatever says nothing of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.connection import connect
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets_tests.restrictive_service import DAY_MS, DefaultLifetimes

SHORT_LIVED = replace(tables.RAW_TICKET_CHANGES, name="short_lived", partition_days=35)


@pytest.fixture
def service(warehouse_settings: Settings) -> Iterator[DefaultLifetimes]:
    with DefaultLifetimes(warehouse_settings.bigquery_emulator_host) as service:
        yield service


@pytest.fixture
def dataset(service: DefaultLifetimes, warehouse_settings: Settings) -> Iterator[BigQueryClient]:
    host = {"bigquery_emulator_host": service.endpoint}
    with closing(connect(warehouse_settings.model_copy(update=host))) as client:
        yield client


@pytest.mark.parametrize(
    "spec",
    [*tables.SYNC_TABLES, *tables.RECONCILIATION_TABLES, tables.WRITER_LEASE],
    ids=lambda spec: spec.name,
)
def test_permanent_table_inherits_no_lifetime(
    dataset: BigQueryClient, service: DefaultLifetimes, spec: TableSpec
) -> None:
    Schema(dataset).ensure(spec)
    assert service.tables[spec.name] == {
        "expirationTime": None,
        "expirationMs": str((spec.partition_days + 1) * DAY_MS) if spec.partition_days else None,
    }
    service.calls.clear()
    Schema(dataset).ensure(spec)
    assert service.calls == []


def test_partition_days_count_only_at_creation(
    dataset: BigQueryClient, service: DefaultLifetimes
) -> None:
    schema = Schema(dataset)
    schema.ensure(SHORT_LIVED)
    assert service.tables["short_lived"] == {
        "expirationTime": None,
        "expirationMs": str(36 * DAY_MS),
    }
    schema.set_partition_expiry(SHORT_LIVED, 99)
    schema.ensure(SHORT_LIVED)
    assert service.lifetime("short_lived", partitions=True) == str(100 * DAY_MS)


def test_view_inherits_no_lifetime(dataset: BigQueryClient, service: DefaultLifetimes) -> None:
    Schema(dataset).ensure(tables.SYNC_STATE)
    name = dataset.dataset.table("sync_state")
    Schema(dataset).ensure_view("of_state", f"SELECT sync_name FROM {name}", "A view.")
    assert service.lifetime("of_state") is None


def test_staging_table_keeps_its_own_lifetime(
    dataset: BigQueryClient, service: DefaultLifetimes
) -> None:
    dataset.ensure_dataset()
    Staging(dataset).begin("tickets__stg_20261130T000000Z_abc_0", tables.TICKETS.columns)
    assert service.lifetime("tickets__stg_20261130T000000Z_abc_0") is not None
    assert "PATCH" not in {method for method, _ in service.calls}


def test_table_that_is_to_vanish_stays_again(
    dataset: BigQueryClient, service: DefaultLifetimes, caplog: pytest.LogCaptureFixture
) -> None:
    Schema(dataset).ensure(tables.SYNC_STATE)
    service.set_lifetimes("sync_state", days=30)
    dataset.get_table("sync_state", fresh=True)
    Schema(dataset).ensure(tables.SYNC_STATE)
    assert service.lifetime("sync_state") is None
    assert "Table sync_state was to be dropped on 20" in caplog.text


def test_refused_change_names_the_statement_to_run(
    dataset: BigQueryClient, service: DefaultLifetimes
) -> None:
    Schema(dataset).ensure(tables.TICKETS)
    service.tables["tickets"]["expirationMs"] = str(90 * DAY_MS)
    service.refuses = True
    dataset.get_table("tickets", fresh=True)
    by_hand = r"ALTER TABLE tickets SET OPTIONS \(partition_expiration_days = NULL\)"
    with pytest.raises(WarehouseRefused, match=by_hand):
        Schema(dataset).ensure(tables.TICKETS)
