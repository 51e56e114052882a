"""The IO manager with a user's own assets, and what it says of a value it cannot store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from helpdesk_assets.defs.io_managers.bigquery_merge import BigQueryMergeIOManager
from helpdesk_assets.defs.resources.bigquery import HelpdeskBigQuery
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets_tests.defs.conftest import World

MORNING, EVENING = datetime(2026, 11, 1, 8, tzinfo=UTC), datetime(2026, 11, 1, 20, tzinfo=UTC)
NEWER_WINS = {
    "merge_key": ["order_id"],
    "merge_guard": "newer_wins",
    "version_column": "changed_at",
    "table": "shop_orders",
}

Store = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def store(world: World) -> Store:
    """Materialise one asset of this value, and whatever else is given."""

    def run(value: Any, metadata: dict[str, Any], *more: Any) -> dg.ExecuteInProcessResult:
        @dg.asset(metadata=metadata)
        def orders() -> Any:
            return value

        resources = {"io_manager": BigQueryMergeIOManager(bigquery=HelpdeskBigQuery())}
        return dg.materialize(
            [orders, *more], resources=resources, instance=world.instance, raise_on_error=False
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


def test_a_data_frame_is_merged_and_read_back(world: World, store: Store) -> None:
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
    told = {key: value.value for key, value in event.metadata.items()}
    assert (told["rows_changed"], told["query_jobs"], told["load_jobs"]) == (2, 1, 0)
    assert told["dagster/table_name"] == world.warehouse.dataset.table_id("shop_orders")


def test_without_a_guard_rows_are_only_ever_inserted(world: World, store: Store) -> None:
    assert store(frame(("1", MORNING, 10.0)), {"merge_key": "order_id"}).success
    assert store(frame(("1", EVENING, 99.0)), {"merge_key": "order_id"}).success
    assert [row["total"] for row in world.rows("orders")] == [10.0]


def test_an_empty_frame_and_a_large_one(
    world: World, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = frame(*((str(n), MORNING, float(n)) for n in range(50)))
    assert store(large.iloc[:0], NEWER_WINS).success
    monkeypatch.setenv("BIGQUERY_SMALL_BATCH_BYTES", "500")
    result = store(large, NEWER_WINS)
    (event,) = result.asset_materializations_for_node("orders")
    assert event.metadata["load_jobs"].value == 1
    assert len(world.rows("shop_orders")) == 50
    assert not [t.table_id for t in world.warehouse.list_tables() if "__stg_" in t.table_id]


def test_a_query_never_brings_a_row_here(world: World, store: Store) -> None:
    schema = dg.TableSchema(
        columns=[dg.TableColumn("order_id", "string"), dg.TableColumn("total", "int64")]
    )
    metadata = {"merge_key": ["order_id"], "dagster/column_schema": schema}
    assert store(Query("SELECT '7' AS order_id, 3 AS total"), metadata).success
    assert world.rows("orders") == [{"order_id": "7", "total": 3}]


def test_a_spool_is_written_and_closed(world: World, store: Store) -> None:
    schema = dg.TableSchema(columns=[dg.TableColumn("order_id", "string")])
    spool = Spool(1000)
    spool.append(b'{"order_id": "7"}')
    assert store(spool, {"merge_key": ["order_id"], "dagster/column_schema": schema}).success
    assert world.rows("orders") == [{"order_id": "7"}]
    with pytest.raises(ValueError, match="closed"):
        spool.append(b"{}")


def test_another_dataset_is_named_by_schema(world: World, store: Store) -> None:
    other = f"{world.warehouse.dataset.name}_b"
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
def test_what_cannot_be_stored_fails_once_with_a_clear_line(
    store: Store, value: Any, metadata: dict[str, Any], message: str
) -> None:
    assert message in failure_of(store(value, metadata))
