"""The questions as whole statements. That they run, and are right, is in `promises`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from textwrap import dedent

from helpdesk_assets.model import ColumnType
from helpdesk_assets.warehouse import queries
from helpdesk_assets.warehouse.sql import Dataset, Parameter
from helpdesk_assets_tests.batches import NOON, SMALL

DATASET = Dataset("acme", "desk")
LARGE = replace(SMALL, versions=None, staging="raw_ticket_changes__stg_x")
COLUMNS = "ticket_id, subject, status, priority, assignee, createdTime, modifiedTime, deletedTime"
BATCH_COLUMNS = ", ".join(f"B.{name}" for name in f"{COLUMNS}, raw_json, _content_hash".split(", "))


def sql(text: str) -> str:
    return dedent(text).strip().replace("<batch columns>", BATCH_COLUMNS)


def test_a_small_batch_is_found_by_its_versions() -> None:
    query = queries.batch(DATASET, SMALL)
    assert query.sql == sql(
        """
        SELECT <batch columns>, V._seq
        FROM `acme.desk.raw_ticket_changes` AS B
        JOIN (
          SELECT
            JSON_VALUE(v, '$.id') AS ticket_id,
            JSON_VALUE(v, '$.hash') AS _content_hash,
            CAST(JSON_VALUE(v, '$.seq') AS INT64) AS _seq
          FROM UNNEST(JSON_QUERY_ARRAY(PARSE_JSON(@versions))) AS v
        ) AS V
        ON B.ticket_id = V.ticket_id AND B._content_hash = V._content_hash
        WHERE B.ticket_id IN UNNEST(@ticket_ids)
        """
    )
    versions, ids = query.parameters
    assert versions.value == (
        '[{"id": "7", "hash": "h1", "seq": 0}, {"id": "7", "hash": "h2", "seq": 1}, '
        '{"id": "8", "hash": "h3", "seq": 2}]'
    )
    assert ids == Parameter("ticket_ids", ColumnType.STRING, ("7", "8"))


def test_a_large_batch_is_its_staging_table() -> None:
    query = queries.batch(DATASET, LARGE)
    assert query.sql == sql(
        """
        SELECT <batch columns>, B._seq
        FROM `acme.desk.raw_ticket_changes__stg_x` AS B
        """
    )
    assert query.parameters == ()


MISSED = """
SELECT
  S.ticket_id,
  S.modifiedTime,
  IF(K.ticket_id IS NULL, 'missing', 'stale') AS reason,
  K.modifiedTime AS stored_modifiedTime,
  @detected_at AS detected_at,
  TIMESTAMP_DIFF(@detected_at, S.modifiedTime, MILLISECOND) / 1000 AS lag_seconds,
  S._content_hash,
  @run_id AS _run_id
FROM (
  SELECT <batch columns>, B._seq
  FROM `acme.desk.raw_ticket_changes__stg_x` AS B
) AS S
LEFT JOIN `acme.desk.tickets` AS K
ON K.ticket_id = S.ticket_id
WHERE S.modifiedTime <= @delivered_by
  AND (<absent or>K.modifiedTime < S.modifiedTime)
"""


def test_missed_are_those_older_than_the_grace_that_the_table_lacks() -> None:
    query = queries.missed_source(DATASET, LARGE, timedelta(minutes=5))
    assert query.sql == sql(MISSED.replace("<absent or>", "K.ticket_id IS NULL OR "))
    assert {parameter.name: parameter.value for parameter in query.parameters} == {
        "detected_at": NOON,
        "delivered_by": NOON - timedelta(minutes=5),
        "run_id": "run-1",
    }


def test_on_the_first_load_absence_is_no_miss() -> None:
    query = queries.missed_source(DATASET, replace(LARGE, first_load=True), timedelta(minutes=5))
    assert query.sql == sql(MISSED.replace("<absent or>", ""))


def test_tickets_are_stamped_by_the_warehouses_clock() -> None:
    query = queries.tickets_source(DATASET, LARGE)
    assert query.sql == sql(
        """
        SELECT
          S.*,
          CURRENT_TIMESTAMP() AS _synced_at,
          CURRENT_TIMESTAMP() AS _first_synced_at,
          'sync' AS _synced_by,
          @run_id AS _run_id
        FROM (
          SELECT <batch columns>, B._seq
          FROM `acme.desk.raw_ticket_changes__stg_x` AS B
        ) AS S
        """
    )


FACTS = """
SELECT TO_JSON_STRING(STRUCT(
  W.row_count AS row_count,
  W.repeated_keys AS repeated_keys,
  W.null_keys AS null_keys,
  W.null_times AS null_times,
  W.future_times AS future_times,
  C.inserted AS inserted,
  C.updated AS updated,
  C.unchanged AS unchanged,
  C.rejected AS rejected,
  M.missed_total AS missed_total,
  M.missed AS missed
)) AS facts
FROM (
  SELECT
    COUNT(*) AS row_count,
    COUNT(ticket_id) - COUNT(DISTINCT ticket_id) AS repeated_keys,
    COUNTIF(ticket_id IS NULL) AS null_keys,
    COUNTIF(modifiedTime IS NULL) AS null_times,
    COUNTIF(modifiedTime > @future_after) AS future_times
  FROM `acme.desk.tickets`
) AS W
CROSS JOIN (
<counts>
) AS C
CROSS JOIN (
  SELECT
    COUNT(*) AS missed_total,
    ARRAY_AGG(
      STRUCT(
        ticket_id AS ticket_id,
        UNIX_MICROS(modifiedTime) AS modified_time,
        reason AS reason,
        lag_seconds AS lag_seconds
      )
      ORDER BY lag_seconds DESC, ticket_id LIMIT 100
    ) AS missed
  FROM `acme.desk.missed_updates`
  WHERE _run_id = @run_id
) AS M
"""
COUNTS = """\
  SELECT
    COUNTIF(T._run_id = @run_id AND T._first_synced_at = T._synced_at) AS inserted,
    COUNTIF(T._run_id = @run_id AND T._first_synced_at IS DISTINCT FROM T._synced_at) AS updated,
    COUNTIF(T._run_id IS DISTINCT FROM @run_id AND T.modifiedTime <= B.modifiedTime) AS unchanged,
    COUNTIF(T._run_id IS DISTINCT FROM @run_id AND T.modifiedTime > B.modifiedTime) AS rejected
  FROM (
    SELECT ticket_id, MAX(modifiedTime) AS modifiedTime
    FROM (
      SELECT <batch columns>, B._seq
      FROM `acme.desk.raw_ticket_changes__stg_x` AS B
    )
    GROUP BY ticket_id
  ) AS B
  JOIN `acme.desk.tickets` AS T
  ON T.ticket_id = B.ticket_id"""


def test_facts_count_the_table_the_batch_and_the_missed_in_one_row() -> None:
    query = queries.facts(DATASET, LARGE)
    assert query.sql == sql(FACTS.replace("<counts>", COUNTS))
    assert {parameter.name for parameter in query.parameters} == {"future_after", "run_id"}


def test_an_empty_batch_is_not_looked_for() -> None:
    query = queries.facts(DATASET, replace(SMALL, rows=0, versions=()))
    none = "  SELECT 0 AS inserted, 0 AS updated, 0 AS unchanged, 0 AS rejected"
    assert query.sql == sql(FACTS.replace("<counts>", none))


def test_a_tables_newest_row_does_not_count_when_it_is_of_the_future() -> None:
    assert queries.newest_stored(DATASET).sql == sql(
        """
        SELECT MAX(modifiedTime) AS watermark
        FROM `acme.desk.tickets`
        WHERE modifiedTime <= CURRENT_TIMESTAMP()
        """
    )


def test_tombstones_are_filled_from_the_batch_as_far_as_it_knows_their_tickets() -> None:
    query = queries.tickets_source(DATASET, replace(LARGE, tombstones=1))
    assert query.sql == sql(
        """
        SELECT
          S.*,
          CURRENT_TIMESTAMP() AS _synced_at,
          CURRENT_TIMESTAMP() AS _first_synced_at,
          'sync' AS _synced_by,
          @run_id AS _run_id
        FROM (
          SELECT
            S.* REPLACE (
              IF(S._tombstone, W.subject, S.subject) AS subject,
              IF(S._tombstone, W.status, S.status) AS status,
              IF(S._tombstone, W.priority, S.priority) AS priority,
              IF(S._tombstone, W.assignee, S.assignee) AS assignee,
              IF(S._tombstone, W.raw_json, S.raw_json) AS raw_json,
              IF(S._tombstone, W.createdTime, S.createdTime) AS createdTime,
              S._tombstone AND W.ticket_id IS NULL AS _tombstone
            )
          FROM (
            SELECT <batch columns>, B._seq, B._tombstone
            FROM `acme.desk.raw_ticket_changes__stg_x` AS B
          ) AS S
          LEFT JOIN (
            SELECT *
            FROM (
              SELECT <batch columns>, B._seq, B._tombstone
              FROM `acme.desk.raw_ticket_changes__stg_x` AS B
            )
            WHERE NOT _tombstone
            QUALIFY ROW_NUMBER() OVER (
              PARTITION BY ticket_id
              ORDER BY modifiedTime DESC, _seq DESC
            ) = 1
          ) AS W
          ON W.ticket_id = S.ticket_id
        ) AS S
        """
    )


def test_rows_that_are_older_than_the_flag_are_no_tombstones() -> None:
    query = queries.batch(DATASET, replace(SMALL, tombstones=1))
    assert "V._seq, IFNULL(B._tombstone, FALSE)" not in query.sql
    assert query.sql.startswith(
        f"SELECT {BATCH_COLUMNS}, IFNULL(B._tombstone, FALSE) AS _tombstone, V"
    )


def test_an_end_that_the_table_knows_of_is_not_missed() -> None:
    query = queries.missed_source(DATASET, replace(LARGE, tombstones=1), timedelta(minutes=5))
    assert query.sql.endswith(
        "  AND (K.ticket_id IS NULL OR K.modifiedTime < S.modifiedTime)\n"
        "  AND NOT (S._tombstone AND K.deletedTime IS NOT NULL)"
    )
