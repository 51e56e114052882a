"""Whole statements of the MERGE, as a reviewer would read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import pytest

from helpdesk_assets.errors import SettingsError
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.statement import (
    first_load_statement,
    merge_statement,
    rows_source,
    table_source,
)
from helpdesk_assets.warehouse.query import Dataset, quote
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, MergePolicy, TableSpec

SPEC = TableSpec(
    name="tickets",
    columns=tuple(
        Column(name, ColumnType.STRING) for name in ("id", "made", "moved", "raw", "mark", "first")
    ),
    key=("id",),
    merge_policy=MergePolicy.NEWER_WINS,
    newest_first=("moved", "_seq"),
    version="moved",
    content_hash_column="mark",
    write_once=("first",),
    partition_by="made",
)
TARGET = "`p.d.tickets`"
NAMES = [column.name for column in SPEC.columns]
PRUNE = PartitionBounds.around(
    "made", [datetime(2026, month, 5, tzinfo=UTC) for month in (1, 2, 7)]
)


def text(block: str) -> str:
    return dedent(block).strip()


# A stored time of reading says nothing: it is NULL, or ahead of BigQuery's clock.
UNKNOWN = "IFNULL(T.`read` > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE), TRUE)"


def test_newer_row_wins() -> None:
    sql = merge_statement(SPEC, TARGET, "SELECT 1", NAMES, partition_bounds=PRUNE, key_listed="id")
    assert sql == text("""
        MERGE INTO `p.d.tickets` AS T
        USING (
          SELECT
            IFNULL(B.`id`, ERROR('NULL key in tickets.id')) AS `id`,
            B.`made`,
            B.`moved`,
            B.`raw`,
            B.`mark`,
            B.`first`
          FROM (
            SELECT 1
          ) AS B
          WHERE TRUE
          QUALIFY ROW_NUMBER() OVER (
            PARTITION BY B.`id`
            ORDER BY B.`moved` DESC, B.`_seq` DESC
          ) = 1
        ) AS S
        ON T.`id` = S.`id`
          AND T.`id` IN UNNEST(@keys)
          AND (
            T.`made` IS NULL
            OR (T.`made` >= @prune_from_0 AND T.`made` < @prune_to_0)
            OR (T.`made` >= @prune_from_1 AND T.`made` < @prune_to_1)
          )
        WHEN MATCHED AND (
          T.`moved` IS NULL
          OR T.`moved` < S.`moved`
          OR (T.`moved` = S.`moved` AND T.`mark` IS DISTINCT FROM S.`mark`)
        ) THEN UPDATE SET
          `made` = COALESCE(S.`made`, T.`made`),
          `moved` = S.`moved`,
          `raw` = S.`raw`,
          `mark` = S.`mark`
        WHEN NOT MATCHED THEN INSERT (`id`, `made`, `moved`, `raw`, `mark`, `first`)
        VALUES (S.`id`, S.`made`, S.`moved`, S.`raw`, S.`mark`, S.`first`)
    """)


ENDING = replace(
    SPEC,
    columns=tuple(
        Column(name, ColumnType.JSON if name == "raw" else ColumnType.STRING)
        for name in ("id", "made", "moved", "ended", "raw", "mark", "read", "first", "by")
    ),
    read_at_column="read",
    deleted_column="ended",
    alive_at_column="alive",
    tombstone_flag="part",
    stamps=("by",),
)
ENDING_NAMES = [column.name for column in ENDING.columns]


def test_content_and_deletion_are_guarded_apart() -> None:
    sql = merge_statement(
        ENDING, TARGET, "SELECT 1", ENDING_NAMES, has_tombstones=True, has_alive_at=True
    )
    assert "    B.`by`,\n    B.`part`,\n    B.`alive`\n  FROM (" in sql
    assert sql[sql.index("WHEN MATCHED") :] == text("""
        WHEN MATCHED AND NOT S.`part` AND (
          T.`moved` IS NULL
          OR T.`moved` < S.`moved`
          OR (T.`moved` = S.`moved` AND T.`mark` IS DISTINCT FROM S.`mark`
            AND (IFNULL(T.`read` > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE), TRUE) OR T.`read` < S.`read`))
        ) THEN UPDATE SET
          `made` = COALESCE(S.`made`, T.`made`),
          `moved` = S.`moved`,
          `ended` = IF(
            T.`ended` IS NULL
            OR S.`ended` IS NOT NULL
            OR TIMESTAMP_TRUNC(S.`moved`, SECOND) > TIMESTAMP_TRUNC(T.`ended`, SECOND)
            OR IFNULL(T.`read` > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE), TRUE)
            OR T.`read` < S.`alive`,
            S.`ended`,
            T.`ended`
          ),
          `raw` = S.`raw`,
          `mark` = S.`mark`,
          `read` = IF(
            T.`ended` IS NULL
            OR S.`ended` IS NOT NULL
            OR TIMESTAMP_TRUNC(S.`moved`, SECOND) > TIMESTAMP_TRUNC(T.`ended`, SECOND)
            OR IFNULL(T.`read` > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE), TRUE)
            OR T.`read` < S.`alive`,
            S.`read`,
            T.`read`
          ),
          `by` = S.`by`
        WHEN MATCHED AND (
          (T.`ended` IS NULL AND S.`ended` IS NOT NULL
            AND (T.`moved` IS NULL OR T.`moved` <= GREATEST(S.`moved`, S.`ended`))
            AND (IFNULL(T.`read` > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE), TRUE) OR T.`read` <= S.`read`))
          OR (T.`ended` IS NOT NULL AND S.`ended` IS NULL
            AND (
              TIMESTAMP_TRUNC(S.`moved`, SECOND) > TIMESTAMP_TRUNC(T.`ended`, SECOND)
              OR IFNULL(T.`read` > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE), TRUE)
              OR T.`read` < S.`alive`
            ))
        ) THEN UPDATE SET
          `ended` = S.`ended`,
          `read` = S.`read`,
          `by` = S.`by`
        WHEN NOT MATCHED THEN INSERT (`id`, `made`, `moved`, `ended`, `raw`, `mark`, `read`, `first`, `by`)
        VALUES (S.`id`, S.`made`, IF(S.`part`, NULL, S.`moved`), S.`ended`, S.`raw`, S.`mark`, S.`read`, S.`first`, S.`by`)
    """)  # noqa: E501 - as it is sent


def test_without_readings_only_versions_decide() -> None:
    spec = replace(ENDING, read_at_column=None)
    sql = merge_statement(spec, TARGET, "SELECT 1", ENDING_NAMES)
    assert "T.`read`" not in sql
    assert "S.`part`" not in sql
    assert "    AND (\n      TIMESTAMP_TRUNC(S.`moved`, SECOND) > TIMESTAMP_TRUNC(" in sql


@pytest.mark.parametrize("as_text", [False, True])
def test_forced_merge_compares_columns_of_equal_versions(as_text: bool) -> None:
    sql = merge_statement(
        ENDING,
        TARGET,
        "SELECT 1",
        ENDING_NAMES,
        json_as_text=["raw"] if as_text else [],
        forced=True,
    )
    raw = (
        "T.`raw` IS DISTINCT FROM S.`raw`"
        if as_text
        else "TO_JSON_STRING(T.`raw`) IS DISTINCT FROM TO_JSON_STRING(S.`raw`)"
    )
    assert (
        f"""
  OR (T.`moved` = S.`moved` AND (
      T.`mark` IS DISTINCT FROM S.`mark`
      OR T.`made` IS DISTINCT FROM COALESCE(S.`made`, T.`made`)
      OR {raw}
    )
    AND ({UNKNOWN} OR T.`read` < S.`read`))
) THEN UPDATE SET
"""
        in sql
    )


def test_insert_only_never_updates() -> None:
    spec = replace(
        SPEC, merge_policy=MergePolicy.INSERT_ONLY, key=("id", "moved"), newest_first=("_seq",)
    )
    since = PartitionBounds.since("made", datetime(2026, 1, 1, tzinfo=UTC))
    sql = merge_statement(spec, TARGET, "SELECT 1", ["id", "moved"], partition_bounds=since)
    assert sql == text("""
        MERGE INTO `p.d.tickets` AS T
        USING (
          SELECT
            IFNULL(B.`id`, ERROR('NULL key in tickets.id')) AS `id`,
            IFNULL(B.`moved`, ERROR('NULL key in tickets.moved')) AS `moved`
          FROM (
            SELECT 1
          ) AS B
          WHERE TRUE
          QUALIFY ROW_NUMBER() OVER (
            PARTITION BY B.`id`, B.`moved`
            ORDER BY B.`_seq` DESC
          ) = 1
        ) AS S
        ON T.`id` = S.`id` AND T.`moved` = S.`moved`
          AND (T.`made` IS NULL OR T.`made` >= @prune_from_0)
        WHEN NOT MATCHED THEN INSERT (`id`, `moved`)
        VALUES (S.`id`, S.`moved`)
    """)


def test_first_load_compares_with_nothing() -> None:
    sql = first_load_statement(
        ENDING, TARGET, "SELECT 1", ["id", "moved", "raw"], has_tombstones=True
    )
    assert sql == text("""
        INSERT INTO `p.d.tickets` (`id`, `moved`, `raw`)
        SELECT
          S.`id`,
          IF(S.`part`, NULL, S.`moved`),
          S.`raw`
        FROM (
          SELECT
            IFNULL(B.`id`, ERROR('NULL key in tickets.id')) AS `id`,
            B.`moved`,
            B.`raw`,
            B.`part`
          FROM (
            SELECT 1
          ) AS B
          WHERE TRUE
          QUALIFY ROW_NUMBER() OVER (
            PARTITION BY B.`id`
            ORDER BY B.`moved` DESC, B.`_seq` DESC
          ) = 1
        ) AS S
        WHERE (SELECT COUNT(*) FROM `p.d.tickets`) = 0
    """)


MOVING = replace(
    SPEC,
    merge_policy=MergePolicy.STATUS_TRANSITIONS,
    key=("id", "moved"),
    newest_first=("_seq",),
    write_once=("first",),
    status="mark",
    transitions=(("open", "done"), ("open", "dropped")),
)


def test_status_transition_updates_the_other_columns() -> None:
    sql = merge_statement(MOVING, TARGET, "SELECT 1", ["id", "moved", "mark", "raw", "first"])
    assert sql[sql.index("ON T") :] == text("""
        ON T.`id` = S.`id` AND T.`moved` = S.`moved`
        WHEN MATCHED AND (
          (T.`mark` = 'open' AND S.`mark` = 'done')
          OR (T.`mark` = 'open' AND S.`mark` = 'dropped')
        ) THEN UPDATE SET
          `mark` = S.`mark`,
          `raw` = S.`raw`
        WHEN NOT MATCHED THEN INSERT (`id`, `moved`, `mark`, `raw`, `first`)
        VALUES (S.`id`, S.`moved`, S.`mark`, S.`raw`, S.`first`)
    """)


@pytest.mark.parametrize("lacking", [{"status": None}, {"transitions": ()}])
def test_unknown_target_status_is_a_spec_error(lacking: Any) -> None:
    with pytest.raises(ValueError, match=r"tickets: MergePolicy\.STATUS_TRANSITIONS needs"):
        merge_statement(replace(MOVING, **lacking), TARGET, "SELECT 1", NAMES)


@pytest.mark.parametrize("word", ["it's", "", "Open", "a b"])
def test_status_that_could_escape_its_quotes_is_rejected(word: str) -> None:
    with pytest.raises(SettingsError, match="status"):
        merge_statement(replace(MOVING, transitions=(("open", word),)), TARGET, "SELECT 1", NAMES)


def test_text_column_stores_json_as_text() -> None:
    sql = merge_statement(SPEC, TARGET, "SELECT 1", ["id", "raw"], json_as_text=["raw"])
    assert "    NULLIF(TO_JSON_STRING(B.`raw`), 'null') AS `raw`\n" in sql


def test_without_a_content_hash_equal_times_change_nothing() -> None:
    sql = merge_statement(SPEC, TARGET, "SELECT 1", ["id", "moved"])
    assert "IS DISTINCT FROM" not in sql
    assert "OR T.`moved` < S.`moved`\n) THEN UPDATE SET\n  `moved` = S.`moved`\n" in sql


def test_newer_wins_needs_a_version_column() -> None:
    with pytest.raises(ValueError, match=r"tickets: MergePolicy\.NEWER_WINS needs a version"):
        merge_statement(replace(SPEC, version=None), TARGET, "SELECT 1", NAMES)


def test_rows_are_read_from_one_text_parameter() -> None:
    columns = [Column(kind.lower(), kind) for kind in ColumnType]
    assert rows_source(columns) == text("""
        SELECT
          JSON_VALUE(r, '$.string') AS `string`,
          CAST(JSON_VALUE(r, '$.int64') AS INT64) AS `int64`,
          CAST(JSON_VALUE(r, '$.float64') AS FLOAT64) AS `float64`,
          CAST(JSON_VALUE(r, '$.bool') AS BOOL) AS `bool`,
          CAST(JSON_VALUE(r, '$.timestamp') AS TIMESTAMP) AS `timestamp`,
          IF(TO_JSON_STRING(JSON_QUERY(r, '$.json')) = 'null', NULL, JSON_QUERY(r, '$.json')) AS `json`
        FROM UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@batch, wide_number_mode => 'round'))) AS r
    """)  # noqa: E501 - as it is sent


def test_parameter_rows_can_give_json_as_text() -> None:
    sql = rows_source([Column("raw", ColumnType.JSON)], json_as_text=["raw"])
    assert "  NULLIF(TO_JSON_STRING(JSON_QUERY(r, '$.raw')), 'null') AS `raw`\n" in sql


def test_rows_are_read_from_a_staging_table() -> None:
    columns = [Column("id", ColumnType.STRING), Column("_seq", ColumnType.INT64)]
    assert table_source("`p.d.s`", columns) == "SELECT\n  `id`,\n  `_seq`\nFROM `p.d.s`"


@pytest.mark.parametrize("project", ["helpdesk-local", "example.com:some-project", "p"])
def test_valid_project_names(project: str) -> None:
    assert Dataset(project, "d").table("t__stg_1") == f"`{project}.d.t__stg_1`"


@pytest.mark.parametrize(
    ("project", "dataset"),
    [
        ("p`", "d"),
        ("", "d"),
        ("p.x", "d"),
        ("P", "d"),
        ("p", "d-d"),
        ("p", "d`; DROP TABLE x"),
        ("p", ""),
    ],
)
def test_invalid_dataset_and_table_names(project: str, dataset: str) -> None:
    with pytest.raises(SettingsError, match=r"BIGQUERY_(PROJECT|DATASET)"):
        Dataset(project, dataset)


@pytest.mark.parametrize("name", ["a`b", "", "1a", "a b", "a.b", "a'b", "a" * 301, "a\n"])
def test_columns_that_could_escape_their_quotes(name: str) -> None:
    with pytest.raises(SettingsError, match="column"):
        quote(name)
    with pytest.raises(SettingsError, match="table"):
        Dataset("p", "d").table(f"{name[:3]}`")
