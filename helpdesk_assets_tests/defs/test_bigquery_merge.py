"""The IO manager with a user's own assets, and its errors for values that it cannot store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from google.cloud import bigquery

from helpdesk_assets.defs.io_managers.bigquery_merge import BigQueryMergeIOManager
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.defs.conftest import DagsterHarness

MORNING, EVENING = datetime(2026, 11, 1, 8, tzinfo=UTC), datetime(2026, 11, 1, 20, tzinfo=UTC)
NEWER_WINS = {
    "merge_key": ["order_id"],
    "merge_guard": "newer_wins",
    "version_column": "changed_at",
    "table": "shop_orders",
}

_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}

Store = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def store(harness: DagsterHarness) -> Store:
    """Materialize an asset with this value, and the given other assets."""

    def run(value: Any, metadata: dict[str, Any], *more: Any) -> dg.ExecuteInProcessResult:
        @dg.asset(metadata=metadata)
        def orders() -> Any:
            return value

        resources = {"io_manager": BigQueryMergeIOManager(bigquery=HelpdeskBigQuery())}
        return dg.materialize(
            [orders, *more], resources=resources, instance=harness.instance, raise_on_error=False
        )

    return run


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert failure.metadata.keys() == {"error"}
    return failure.description or ""


def frame(*rows: tuple[str, datetime, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["order_id", "changed_at", "total"])


def test_data_frame_is_merged_and_read_back(harness: DagsterHarness, store: Store) -> None:
    seen: list[pd.DataFrame] = []

    @dg.asset(ins={"orders": dg.AssetIn(metadata={"columns": ["order_id", "total"]})})
    def totals(orders: pd.DataFrame) -> None:
        seen.append(orders)

    first = frame(("1", MORNING, 10.0), ("2", EVENING, 20.0))
    assert store(first, NEWER_WINS, totals).success
    second = frame(("1", EVENING, 11.5), ("2", MORNING, 0.0), ("3", MORNING, 30.0))
    result = store(second, NEWER_WINS, totals)
    assert result.success
    read = seen[-1].sort_values("order_id")
    assert list(read.columns) == ["order_id", "total"]
    assert read.to_numpy().tolist() == [["1", 11.5], ["2", 20.0], ["3", 30.0]]
    (event,) = result.asset_materializations_for_node("orders")
    asset_metadata = {key: value.value for key, value in event.metadata.items()}
    assert (
        asset_metadata["rows_changed"],
        asset_metadata["query_jobs"],
        asset_metadata["load_jobs"],
    ) == (2, 1, 0)
    job_ids = str(asset_metadata["job_ids"])
    assert job_ids.startswith(f"helpdesk_{result.run_id[:8]}_shop_orders_0_")
    assert asset_metadata["dagster/table_name"] == harness.warehouse.dataset.table_id("shop_orders")


def test_without_a_merge_policy_rows_are_only_inserted(
    harness: DagsterHarness, store: Store
) -> None:
    assert store(frame(("1", MORNING, 10.0)), {"merge_key": "order_id"}).success
    assert store(frame(("1", EVENING, 99.0)), {"merge_key": "order_id"}).success
    assert [row["total"] for row in harness.rows("orders")] == [10.0]


def test_empty_and_large_data_frames(
    harness: DagsterHarness, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = frame(*((str(n), MORNING, float(n)) for n in range(50)))
    assert store(large.iloc[:0], NEWER_WINS).success
    monkeypatch.setenv("BIGQUERY_SMALL_BATCH_BYTES", "500")
    result = store(large, NEWER_WINS)
    (event,) = result.asset_materializations_for_node("orders")
    assert event.metadata["load_jobs"].value == 1
    assert len(harness.rows("shop_orders")) == 50
    assert not [t.table_id for t in harness.warehouse.list_tables() if "__stg_" in t.table_id]


def orders(hours: int, **columns: Any) -> pd.DataFrame:
    """Two orders that changed `hours` after MORNING."""
    at = [MORNING + timedelta(hours=hours)] * 2
    return pd.DataFrame({"order_id": ["1", "2"], "changed_at": at, **columns})


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ([3, 4], [4, None], "INT64"),
        ([1.5, 2.5], [2, 3], "FLOAT64"),
        ([None, None], [3, 4], "INT64"),
        ([3, 4], [None, None], "INT64"),
        ([np.int64(3), None], [np.int64(4), np.int64(5)], "INT64"),
        (["x", None], [None, "y"], "STRING"),
        ([{"a": 1}, None], [None, [1]], "JSON"),
        ([True, None], [None, False], "BOOL"),
    ],
)
def test_column_keeps_the_type_that_its_table_has(
    harness: DagsterHarness, store: Store, first: list[Any], second: list[Any], kind: str
) -> None:
    for hours, values in enumerate((first, second, first)):
        kind_of = object if isinstance(values[0], np.generic) else None
        result = store(orders(hours, held=pd.Series(values, dtype=kind_of)), NEWER_WINS)
        assert result.success, failure_of(result)
    table = harness.warehouse.get_table("shop_orders", fresh=True)
    assert table is not None
    assert {f.name: _STANDARD.get(f.field_type, f.field_type) for f in table.schema}["held"] == kind


@pytest.mark.parametrize("first", [pd.DataFrame(columns=["order_id", "changed_at", "held"])])
def test_empty_first_frame_leaves_no_table(
    harness: DagsterHarness, store: Store, first: pd.DataFrame
) -> None:
    assert store(first, NEWER_WINS).success
    assert harness.warehouse.get_table("shop_orders", fresh=True) is None
    assert store(orders(0, held=[3, 4]), NEWER_WINS).success
    assert store(first, NEWER_WINS).success
    assert sorted(row["held"] for row in harness.rows("shop_orders")) == [3, 4]


def test_table_with_names_in_another_case(harness: DagsterHarness, store: Store) -> None:
    harness.warehouse.create_table(
        bigquery.Table(
            harness.warehouse.dataset.table_id("shop_orders"),
            [
                bigquery.SchemaField("Order_ID", "STRING"),
                bigquery.SchemaField("Changed_At", "TIMESTAMP"),
                bigquery.SchemaField("Held", "FLOAT"),
            ],
        )
    )
    for hours, name in enumerate(("held", "HELD")):
        assert store(orders(hours, **{name: [hours, 7]}), NEWER_WINS).success
    rows = harness.rows("shop_orders")
    assert sorted((row["Order_ID"], row["Held"]) for row in rows) == [("1", 1.0), ("2", 7.0)]


def test_query_is_merged_without_fetching_rows(harness: DagsterHarness, store: Store) -> None:
    schema = dg.TableSchema(
        columns=[dg.TableColumn("order_id", "string"), dg.TableColumn("total", "int64")]
    )
    metadata = {"merge_key": ["order_id"], "dagster/column_schema": schema}
    assert store(Query("SELECT '7' AS order_id, 3 AS total"), metadata).success
    assert harness.rows("orders") == [{"order_id": "7", "total": 3}]


def test_spool_is_written_and_closed(harness: DagsterHarness, store: Store) -> None:
    schema = dg.TableSchema(columns=[dg.TableColumn("order_id", "string")])
    spool = Spool(1000)
    spool.append(b'{"order_id": "7"}')
    assert store(spool, {"merge_key": ["order_id"], "dagster/column_schema": schema}).success
    assert harness.rows("orders") == [{"order_id": "7"}]
    with pytest.raises(ValueError, match="closed"):
        spool.append(b"{}")


def test_schema_metadata_names_another_dataset(harness: DagsterHarness, store: Store) -> None:
    other = f"{harness.warehouse.dataset.name}_b"
    result = store(frame(("1", MORNING, 1.0)), {**NEWER_WINS, "schema": other})
    assert result.success
    (event,) = result.asset_materializations_for_node("orders")
    assert f".{other}.shop_orders" in str(event.metadata["dagster/table_name"].value)


@pytest.mark.parametrize(
    ("value", "metadata", "message"),
    [
        (frame(("1", MORNING, 1.0)), {}, "orders has no merge_key"),
        ({"order_id": "1"}, {"merge_key": "order_id"}, "a dict cannot be merged"),
        (
            pd.DataFrame([{"order_id": None, "total": 1.0}]),
            {"merge_key": "order_id"},
            "NULL key in orders.order_id",
        ),
        (
            pd.DataFrame([{"order_id": "1", "at": datetime(2026, 11, 1)}]),  # noqa: DTZ001
            {"merge_key": "order_id"},
            "without a zone",
        ),
    ],
)
def test_unstorable_value_fails_once_with_a_clear_message(
    store: Store, value: Any, metadata: dict[str, Any], message: str
) -> None:
    assert message in failure_of(store(value, metadata))
