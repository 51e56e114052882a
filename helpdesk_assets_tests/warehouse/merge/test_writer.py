"""The writer on a warehouse, with late, repeated, large and wrong batches."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud import bigquery

from helpdesk_assets.errors import HelpdeskAssetsError, NullKey, SchemaMismatch
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient, QueryResult
from helpdesk_assets.warehouse.merge.inline import MAX_KEYS
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.write_statements import SIZE_SECONDS
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergeReport
from helpdesk_assets_tests.warehouse.rows import (
    EVENTS,
    LARGE,
    PARCELS,
    SMALL,
    WITH_SEQ,
    as_value,
    parcel,
    spooled,
    stored,
)

MONTHS = [datetime(2020, month, 1, tzinfo=UTC) for month in (1, 2, 5, 9, 12)]
both_sizes = pytest.mark.parametrize("small_bytes", [SMALL, LARGE], ids=["small", "large"])


def write(
    warehouse: BigQueryClient,
    rows: Sequence[Mapping[str, Any]],
    small_bytes: int = SMALL,
    columns: Sequence[Column] | None = None,
    **options: Any,
) -> MergeReport:
    writer = TableWriter(warehouse, small_batch_bytes=small_bytes, prune_above_bytes=0)
    with spooled(rows) as spool:
        return writer.merge(
            PARCELS,
            spool,
            run_id=uuid.uuid4().hex,
            step="parcels",
            columns=columns,
            **options,
        )


def table_names(warehouse: BigQueryClient) -> set[str]:
    return {item.table_id for item in warehouse.list_tables()}


@both_sizes
def test_new_rows_are_inserted_and_a_replay_changes_nothing(
    warehouse: BigQueryClient, small_bytes: int
) -> None:
    rows = [parcel("a"), parcel("b", made=None)]
    first = write(warehouse, rows, small_bytes)
    before = stored(warehouse)
    again = write(warehouse, rows, small_bytes)
    assert (first.changed, again.changed) == (2, 0)
    assert (first.query_jobs, first.load_jobs) == (1, int(small_bytes == LARGE))
    assert stored(warehouse) == before
    assert table_names(warehouse) == {"parcels"}


@both_sizes
def test_older_version_is_rejected_and_newer_one_stored(
    warehouse: BigQueryClient, small_bytes: int
) -> None:
    write(warehouse, [parcel("a", 5, note="five")], small_bytes)
    assert write(warehouse, [parcel("a", 4, note="four")], small_bytes).changed == 0
    assert stored(warehouse)["a"]["note"] == "five"
    assert write(warehouse, [parcel("a", 6, note="six")], small_bytes).changed == 1
    assert stored(warehouse)["a"]["note"] == "six"


def test_equal_time_overwrites_only_with_other_content(warehouse: BigQueryClient) -> None:
    write(warehouse, [parcel("a", 5, note="first", mark="m")])
    assert write(warehouse, [parcel("a", 5, note="same mark", mark="m")]).changed == 0
    assert write(warehouse, [parcel("a", 5, note="other mark", mark="n")]).changed == 1
    assert write(warehouse, [parcel("a", 5, note="no mark", mark=None)]).changed == 1
    assert stored(warehouse)["a"]["note"] == "no mark"


def test_row_without_a_version_counts_as_older(warehouse: BigQueryClient) -> None:
    write(warehouse, [parcel("a", moved=None, note="when?")])
    assert write(warehouse, [parcel("a", 1, note="then")]).changed == 1
    assert write(warehouse, [parcel("a", moved=None, note="when?")]).changed == 0
    assert stored(warehouse)["a"]["note"] == "then"


@both_sizes
def test_newest_row_of_a_repeated_key_wins(warehouse: BigQueryClient, small_bytes: int) -> None:
    rows = [
        parcel("a", 3, note="newest, first", _seq=9),
        parcel("a", 3, note="newest, second", _seq=10),
        parcel("a", 2, note="older", _seq=11),
        parcel("b", 1, _seq=12),
    ]
    report = write(warehouse, rows, small_bytes, WITH_SEQ)
    found = stored(warehouse)
    assert report.changed == 2
    assert found["a"]["note"] == "newest, second"
    assert "_seq" not in found["a"]


def test_write_once_columns_are_kept(warehouse: BigQueryClient) -> None:
    made = "2026-03-05T00:00:00Z"
    write(warehouse, [parcel("a", 1, first_seen="run 1", made=made)])
    write(warehouse, [parcel("a", 2, first_seen="run 2", made=None)])
    row = stored(warehouse)["a"]
    assert row["first_seen"] == "run 1"
    assert row["made"] == datetime(2026, 3, 5, tzinfo=UTC)


NASTY = {
    "quotes": 'it\'s "quoted" `so`',
    "sql": "'; DROP TABLE parcels; --",
    "lines": "one\ntwo\r\nthree\ttab",
    "backslash": "C:\\temp\\n \\u0041 \\",
    "emoji": "🎫 naïve Ünï\u2028\u2029",
    "json": '{"a": [1, "x"]}',
    "null-word": "null",
    "empty": "",
    "parameter": "@batch ${x} {0} %s",
}


@both_sizes
def test_values_round_trip(warehouse: BigQueryClient, small_bytes: int) -> None:
    deep = {"a": [1, {"b": None, "c": 'it\'s\n\\ "🎫"'}], "big": 2**63 - 1, "f": 0.1, "t": True}
    rows = [parcel(key, note=note, raw_json={"v": note, **deep}) for key, note in NASTY.items()]
    rows += [
        parcel("numbers", weight=str(2**63 - 1), price=0.1, fragile=True),
        parcel("negative", weight=str(-(2**63)), price=-1.5e300, fragile=False),
        {"id": "nulls", "moved": "2026-11-01T10:00:00.123456Z", "note": None, "raw_json": None},
    ]
    write(warehouse, rows, small_bytes)
    found = stored(warehouse)
    assert {key: found[key]["note"] for key in NASTY} == NASTY
    assert all(as_value(found[k]["raw_json"]) == {"v": v, **deep} for k, v in NASTY.items())
    numbers, negative, nulls = found["numbers"], found["negative"], found["nulls"]
    assert (numbers["weight"], numbers["price"], numbers["fragile"]) == (2**63 - 1, 0.1, True)
    assert (negative["weight"], negative["price"], negative["fragile"]) == (
        -(2**63),
        -1.5e300,
        False,
    )
    moved = datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert {name: value for name, value in nulls.items() if value is not None} == {
        "id": "nulls",
        "moved": moved,
    }


def test_empty_batch_creates_the_table_and_runs_nothing(warehouse: BigQueryClient) -> None:
    report = write(warehouse, [])
    assert replace(report, seconds=0) == MergeReport("parcels", 0, inserted=0, updated=0)
    assert stored(warehouse) == {}


@both_sizes
def test_row_without_its_key_stops_the_whole_batch(
    warehouse: BigQueryClient, small_bytes: int
) -> None:
    write(warehouse, [parcel("a")], small_bytes)
    with pytest.raises(NullKey, match=r"NULL key in parcels\.id"):
        write(warehouse, [parcel("b"), parcel(None), parcel("c")], small_bytes)
    assert set(stored(warehouse)) == {"a"}
    assert table_names(warehouse) == {"parcels"}


def test_small_batch_names_the_row_without_a_key(warehouse: BigQueryClient) -> None:
    with pytest.raises(NullKey, match="row 2 of 3 has no value"):
        write(warehouse, [parcel("b"), {"note": "x"}, parcel("c")])


def test_query_source_with_null_keys_is_rejected(warehouse: BigQueryClient) -> None:
    writer = TableWriter(warehouse)
    rows = "SELECT 'a' AS id, TIMESTAMP '2026-01-01 00:00:00+00' AS `at`"
    twice = Query(f"{rows}\nUNION ALL\n{rows}")
    report = writer.merge(EVENTS, twice, run_id="r1", step="events")
    assert (report.changed, report.inserted, report.updated) == (1, 1, 0)
    assert (report.query_jobs, report.load_jobs) == (1, 0)
    bad = Query(f"{rows}\nUNION ALL\nSELECT 'b' AS id, CAST(NULL AS TIMESTAMP) AS `at`")
    with pytest.raises(NullKey, match=r"NULL key in events\.at"):
        writer.merge(EVENTS, bad, run_id="r2", step="events")
    assert len(list(warehouse.list_rows("events"))) == 1


@both_sizes
def test_new_column_is_added_with_the_batch(warehouse: BigQueryClient, small_bytes: int) -> None:
    write(warehouse, [parcel("a")], small_bytes)
    wider = (*PARCELS.columns, Column("colour", ColumnType.STRING))
    write(warehouse, [parcel("b", colour="red")], small_bytes, wider)
    found = stored(warehouse)
    assert (found["a"]["colour"], found["b"]["colour"]) == (None, "red")


@both_sizes
def test_changed_type_writes_nothing(warehouse: BigQueryClient, small_bytes: int) -> None:
    write(warehouse, [parcel("a")], small_bytes)
    other = [replace(c, type=ColumnType.INT64) if c.name == "note" else c for c in PARCELS.columns]
    with pytest.raises(SchemaMismatch, match="note is STRING in the table and must be INT64"):
        write(warehouse, [parcel("b", note=1)], small_bytes, other)
    assert set(stored(warehouse)) == {"a"}


@both_sizes
def test_adopted_table_keeps_json_as_text(warehouse: BigQueryClient, small_bytes: int) -> None:
    field = bigquery.SchemaField
    warehouse.create_table(
        bigquery.Table(
            warehouse.dataset.table_id("parcels"),
            [field("id", "STRING"), field("raw_json", "STRING"), field("own", "STRING")],
        )
    )
    seed = f"INSERT INTO {warehouse.dataset.table('parcels')} (id, own) VALUES ('a', 'kept')"
    warehouse.run(Query(seed), run_id="seed", step="parcels")
    nulls = parcel("c", raw_json=None)
    write(warehouse, [parcel("a", raw_json={"x": ["it's", None]}), nulls], small_bytes)
    found = stored(warehouse)
    assert found["a"]["own"] == "kept"
    assert isinstance(found["a"]["raw_json"], str)
    assert as_value(found["a"]["raw_json"]) == {"x": ["it's", None]}
    assert found["c"]["raw_json"] is None


@pytest.mark.parametrize("bad", [{"moved": "yesterday"}, {"weight": "heavy"}])
@both_sizes
def test_unreadable_batch_leaves_the_target_unchanged(
    warehouse: BigQueryClient, small_bytes: int, bad: dict[str, str]
) -> None:
    write(warehouse, [parcel("a", 1)], small_bytes)
    before = stored(warehouse)
    with pytest.raises(HelpdeskAssetsError):
        write(warehouse, [parcel("a", 2), parcel("b", 2, **bad)], small_bytes)
    assert stored(warehouse) == before
    assert table_names(warehouse) == {"parcels"}


def test_staging_table_can_outlive_its_merge(warehouse: BigQueryClient) -> None:
    name = "parcels__stg_20261124T120000Z_r1_0"
    write(warehouse, [parcel("a", _seq=1)], LARGE, WITH_SEQ, staging=name, keep_staging=True)
    assert table_names(warehouse) == {"parcels", name}
    staged = list(warehouse.list_rows(name, ["_seq", "id"]))
    assert staged == [{"id": "a", "_seq": 1}]


def test_failed_merge_drops_a_retained_staging_table(warehouse: BigQueryClient) -> None:
    name = "parcels__stg_20261124T120000Z_r1_0"
    with pytest.raises(NullKey):
        write(warehouse, [parcel(None)], LARGE, staging=name, keep_staging=True)
    assert table_names(warehouse) == {"parcels"}


def test_partition_bounds_still_match_null_rows(warehouse: BigQueryClient) -> None:
    made = "2026-03-05T00:00:00Z"
    bounds = PartitionBounds.around("made", [datetime(2026, 3, 5, tzinfo=UTC)])
    write(warehouse, [parcel("a", 1, made=made), parcel("n", 1, made=None)])
    rows = [parcel("a", 2, made=made), parcel("n", 2, made=made)]
    assert write(warehouse, rows, partition_bounds=bounds).changed == 2
    assert set(stored(warehouse)) == {"a", "n"}


def test_rows_of_many_months_match_by_their_ranges(warehouse: BigQueryClient) -> None:
    made = [datetime(2019, 12, 31, 23, 59, tzinfo=UTC), *MONTHS]
    old = [parcel(str(n), 1, made=each.isoformat()) for n, each in enumerate(made)]
    new = [parcel(str(n), 2, made=each.isoformat()) for n, each in enumerate(made)]
    write(warehouse, old)
    assert write(warehouse, new, partition_bounds=PartitionBounds.around("made", made)).changed == 6
    assert len(stored(warehouse)) == 6


def statements(warehouse: BigQueryClient) -> list[Query]:
    """Return a list that fills with every statement that is run from now on."""
    sent = list[Query]()
    run = warehouse.run

    def noting(query: Query, **options: Any) -> QueryResult:
        sent.append(query)
        return run(query, **options)

    warehouse.run = noting  # type: ignore[method-assign]
    return sent


def keys_of(query: Query) -> Any:
    return next((each.value for each in query.parameters if each.name == "keys"), None)


def test_small_batch_lists_its_keys_whatever_the_size(warehouse: BigQueryClient) -> None:
    write(warehouse, [parcel("a")])
    sent = statements(warehouse)
    with spooled([parcel("a", 2), parcel("b"), parcel("a", 3)]) as spool:
        TableWriter(warehouse).merge(PARCELS, spool, run_id="r", step="parcels")
    assert "AND T.`id` IN UNNEST(@keys)" in sent[0].sql
    assert keys_of(sent[0]) == ("a", "b")


@pytest.mark.parametrize(("count", "is_listed"), [(MAX_KEYS, True), (MAX_KEYS + 1, False)])
def test_too_many_keys_are_not_listed(
    warehouse: BigQueryClient, count: int, is_listed: bool
) -> None:
    write(warehouse, [parcel("a")])
    sent = statements(warehouse)
    writer = TableWriter(warehouse)
    query = Query("SELECT id, note, moved FROM " + warehouse.dataset.table("parcels"))
    columns = [each for each in PARCELS.columns if each.name in ("id", "note", "moved")]
    keys = tuple(map(str, range(count)))
    writer.merge(PARCELS, query, run_id="r", step="parcels", columns=columns, keys=keys)
    assert (keys_of(sent[0]) == keys) == is_listed
    assert ("@keys" in sent[0].sql) == is_listed


@both_sizes
def test_first_load_inserts_without_comparing(warehouse: BigQueryClient, small_bytes: int) -> None:
    sent = statements(warehouse)
    report = write(warehouse, [parcel("a", 1), parcel("a", 2), parcel("b")], small_bytes)
    assert [query.sql.split()[0] for query in sent] == ["INSERT"]
    assert (report.changed, report.inserted, report.updated) == (2, 2, 0)
    assert stored(warehouse)["a"]["moved"].day == 2
    write(warehouse, [parcel("c")], small_bytes)
    assert [query.sql.split()[0] for query in sent] == ["INSERT", "MERGE"]


def test_first_load_beside_another_writer_merges(warehouse: BigQueryClient) -> None:
    """Metadata may say of a table with rows that it is empty."""
    write(warehouse, [parcel("a", 1)])
    found = warehouse.get_table("parcels", fresh=True)
    assert found is not None
    found._properties["numRows"] = "0"
    warehouse.get_table = lambda *_, **__: found  # type: ignore[method-assign]
    sent = statements(warehouse)
    report = write(warehouse, [parcel("a", 2), parcel("b", 2)])
    assert [query.sql.split()[0] for query in sent] == ["INSERT", "MERGE"]
    assert (report.changed, report.query_jobs) == (2, 2)
    assert {key: row["moved"].day for key, row in stored(warehouse).items()} == {"a": 2, "b": 2}


def test_query_without_rows_costs_one_job(warehouse: BigQueryClient) -> None:
    query = Query("SELECT 'a' AS id, CURRENT_TIMESTAMP() AS `at` FROM (SELECT 1) WHERE FALSE")
    report = TableWriter(warehouse).merge(EVENTS, query, run_id="r1", step="events")
    assert (report.changed, report.query_jobs) == (0, 1)


@pytest.mark.parametrize("column", ["made", "moved"])
def test_bounds_apply_only_to_large_partitioned_tables(
    warehouse: BigQueryClient, column: str
) -> None:
    write(warehouse, [parcel("a")])
    bounds = PartitionBounds.around(column, [datetime(2026, 3, 5, tzinfo=UTC)])
    small_table = TableWriter(warehouse)
    assert small_table._statements._bounds(PARCELS, bounds) is None
    big_table = TableWriter(warehouse, prune_above_bytes=0)
    assert (big_table._statements._bounds(PARCELS, bounds) is not None) == (column == "made")
    exact = PartitionBounds.since(column, datetime(2026, 3, 5, tzinfo=UTC))
    assert small_table._statements._bounds(PARCELS, exact) == exact


def test_size_of_a_growing_table_is_asked_again(
    warehouse: BigQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that began with an empty table prunes once it is large."""
    Schema(warehouse).ensure(PARCELS)
    clock, size = [0.0], ["0"]
    asked = warehouse._client.get_table

    def get_table(*args: Any, **options: Any) -> bigquery.Table:
        found = asked(*args, **options)
        found._properties["numBytes"] = size[0]
        return found

    monkeypatch.setattr(warehouse._client, "get_table", get_table)
    monkeypatch.setattr(warehouse, "_monotonic", lambda: clock[0])
    bounds = PartitionBounds.around("made", [datetime(2026, 3, 5, tzinfo=UTC)])
    writer = TableWriter(warehouse)
    assert writer._statements._bounds(PARCELS, bounds) is None
    size[0] = str(26 << 30)
    assert writer._statements._bounds(PARCELS, bounds) is None
    clock[0] += SIZE_SECONDS + 1
    assert writer._statements._bounds(PARCELS, bounds) == bounds
