"""Datasets and tables behind the proxy keep the settings that the stand-ins forget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions as google
from google.cloud import bigquery

from helpdesk_assets_tests.service_proxy.conftest import JANUARY, NO_RETRY, Service

DAY_MS = 24 * 3600 * 1000


def set_defaults(service: Service, **defaults: int) -> None:
    dataset = service.client.get_dataset(service.dataset)
    for name, value in defaults.items():
        setattr(dataset, name, value)
    service.client.update_dataset(dataset, list(defaults))
    service.client.delete_table(service.table)
    service.make_table()


def test_new_table_inherits_the_partition_expiration(service: Service) -> None:
    set_defaults(service, default_partition_expiration_ms=60 * DAY_MS)
    table = service.client.get_table(service.table)
    assert table.time_partitioning.expiration_ms == 60 * DAY_MS
    assert table.time_partitioning.field == "made"


def test_new_table_inherits_the_table_expiration(service: Service) -> None:
    set_defaults(service, default_table_expiration_ms=DAY_MS)
    expires = service.client.get_table(service.table).expires
    assert expires is not None
    assert timedelta(0) < expires - datetime.now(UTC) <= timedelta(days=1)


def test_old_rows_vanish_as_they_are_inserted(service: Service) -> None:
    set_defaults(service, default_partition_expiration_ms=60 * DAY_MS)
    recent = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    service.merge("old", 1, "old", "2015-05-05")
    service.merge("new", 1, "new", recent)
    service.wait(3)
    assert service.job("old").error_result is None
    assert service.rows() == [("new", 1)]


def test_expiration_can_be_taken_back(service: Service) -> None:
    set_defaults(service, default_partition_expiration_ms=60 * DAY_MS)
    table = service.client.get_table(service.table)
    table.time_partitioning = bigquery.TimePartitioning("MONTH", "made")
    service.client.update_table(table, ["time_partitioning"])
    service.store("old", 1, "2015-05-05")
    assert service.rows() == [("old", 1)]


def test_job_in_another_location_does_not_find_the_dataset(service: Service) -> None:
    elsewhere = bigquery.Dataset(f"{service.client.project}.{service.dataset}_eu")
    elsewhere.location = "EU"
    service.client.create_dataset(elsewhere)
    sql = f"SELECT * FROM `{service.client.project}.{service.dataset}_eu.t`"
    try:
        with pytest.raises(google.NotFound, match="was not found in location US"):
            service.client.query(sql, job_id="here", location="US", job_retry=None, retry=NO_RETRY)
    finally:
        service.client.delete_dataset(elsewhere, delete_contents=True)


def test_sandbox_refuses_dml_and_nothing_else(service: Service) -> None:
    service.proxy.datasets.has_billing = False
    with pytest.raises(google.Forbidden, match="not allowed in the free tier"):
        service.merge("a", 1, "one")
    service.query(f"SELECT * FROM `{service.table}`", "read").result()


def test_streamed_rows_refuse_changes(service: Service) -> None:
    service.store("a", 0)
    service.proxy.datasets.streaming.add("t")
    with pytest.raises(google.BadRequest, match="streaming buffer"):
        service.merge("a", 1, "one")
    sql = f"INSERT INTO `{service.table}` (id, made, value) VALUES ('b', TIMESTAMP '{JANUARY}', 1)"
    service.query(sql, "insert")
    service.wait(3)
    assert service.rows() == [("a", 0), ("b", 1)]
