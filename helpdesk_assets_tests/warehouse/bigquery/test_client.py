"""Jobs: names and retries, with a fake for failures no local warehouse can produce."""

from __future__ import annotations

from collections import deque

import pytest

from helpdesk_assets.errors import WarehouseRefused, WarehouseUnavailable
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.jobs import MAX_TRIES
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType, JobUsage
from helpdesk_assets_tests.warehouse.bigquery.fake_service import FakeService
from helpdesk_assets_tests.warehouse.bigquery.test_errors import PERMANENT, TRANSIENT

MERGE = Query("MERGE INTO x", (Parameter("a", ColumnType.INT64, 1),))


def service(*errors: Exception | None) -> FakeService:
    return FakeService(deque(errors))


@pytest.mark.parametrize("error", TRANSIENT, ids=str)
def test_lost_race_is_retried_as_a_new_job(error: Exception) -> None:
    fake = service(error, error, None)
    warehouse = fake.client()
    assert warehouse.run(MERGE, run_id="r1", step="tickets").changed == 3
    assert [job_id.split("_")[3] for job_id in fake.ran] == ["0", "1", "2"]
    assert fake.waits == [0.5, 1.0]
    assert warehouse.use == JobUsage(query_jobs=1, bytes_billed=10)


def test_retries_are_limited() -> None:
    fake = service(*[TRANSIENT[0]] * 99)
    with pytest.raises(WarehouseUnavailable, match="Nothing is half-written"):
        fake.client().run(MERGE, run_id="r1", step="tickets")
    assert len(fake.ran) == MAX_TRIES


def test_exhausted_quota_is_not_retried() -> None:
    fake = service(PERMANENT[0])
    with pytest.raises(WarehouseRefused, match="quota"):
        fake.client().run(MERGE, run_id="r1", step="tickets")
    assert len(fake.ran) == 1


def test_lost_response_attaches_to_its_job() -> None:
    fake = service()
    first = fake.client().run(MERGE, run_id="r1", step="tickets")
    second = fake.client().run(MERGE, run_id="r1", step="tickets")
    assert second.job_id == first.job_id
    assert len(fake.ran) == 1


def test_failed_existing_job_is_retried_as_the_next_attempt() -> None:
    fake = service(PERMANENT[2], None)
    with pytest.raises(WarehouseRefused):
        fake.client().run(MERGE, run_id="r1", step="tickets")
    assert fake.client().run(MERGE, run_id="r1", step="tickets").changed == 3
    assert [job_id.split("_")[3] for job_id in fake.ran] == ["0", "1"]


def test_reads_never_reuse_an_older_job() -> None:
    fake = service()
    for attempt in range(2):
        fake.client().run(Query("SELECT 1"), run_id="status", step="missed", attempt=attempt)
    assert len(set(fake.ran)) == 2
    assert "get" not in fake.calls


def test_same_job_requested_twice_on_a_real_server(warehouse: BigQueryClient) -> None:
    """bqemulator runs it twice, local-bigquery answers 409: the row exists once in both cases."""
    warehouse.run(
        Query(f"CREATE TABLE {warehouse.dataset.table('t')} (a INT64)"), run_id="r", step="c"
    )
    table = warehouse.dataset.table("t")
    merge = Query(
        f"MERGE INTO {table} AS T USING (SELECT @a AS a) AS S ON T.a = S.a\n"
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (S.a)",
        (Parameter("a", ColumnType.INT64, 7),),
    )
    first = warehouse.run(merge, run_id="r1", step="t")
    warehouse.run(merge, run_id="r1", step="t")
    assert first.changed == 1
    assert list(warehouse.list_rows("t")) == [{"a": 7}]


def test_parameters_of_every_type_arrive(warehouse: BigQueryClient) -> None:
    nasty = "'; DROP TABLE x; -- `\"\\ \n\u2028 🎫"
    query = Query(
        "SELECT @s AS s, @i AS i, @f AS f, @b AS b, @n IS NULL AS n, "
        "ARRAY_LENGTH(@many) AS many, 'y' IN UNNEST(@many) AS has",
        (
            Parameter("s", ColumnType.STRING, nasty),
            Parameter("i", ColumnType.INT64, 2**63 - 1),
            Parameter("f", ColumnType.FLOAT64, 0.5),
            Parameter("b", ColumnType.BOOL, value=True),
            Parameter("n", ColumnType.STRING, None),
            Parameter("many", ColumnType.STRING, ("x", "y")),
        ),
    )
    rows = list(warehouse.run(query, run_id="r1", step="read").rows)
    assert rows == [
        {"s": nasty, "i": 2**63 - 1, "f": 0.5, "b": True, "n": True, "many": 2, "has": True}
    ]


def test_missing_table_error_names_the_dataset(warehouse: BigQueryClient) -> None:
    query = Query(f"SELECT 1 FROM {warehouse.dataset.table('nope')}")
    with pytest.raises(WarehouseRefused, match="BIGQUERY_DATASET"):
        warehouse.run(query, run_id="r1", step="read")
    with pytest.raises(WarehouseRefused, match="There is no table"):
        list(warehouse.list_rows("nope"))
