"""The statements that judge webhooks, as whole texts; `test_missed_updates` has the cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from helpdesk_assets.model.webhooks import Unsubscribed
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements.delivered_events import event_tables
from helpdesk_assets.warehouse.statements.judging_window import unsubscribed_as_sql
from helpdesk_assets.warehouse.statements.missed_by_table import missed_by_table
from helpdesk_assets.warehouse.statements.missed_updates import missed_by_events
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.ledger_cases import EVENTS, POLICY, TABLE
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET, LARGE, sql, values

EMPTY = replace(SMALL, rows=0, versions=())


BY_TABLE = """
SELECT
  S.ticket_id,
  S.modifiedTime,
  CASE
    WHEN FALSE THEN 'not_subscribed'
    WHEN K.ticket_id IS NULL THEN 'missing'
    ELSE 'stale'
  END AS reason,
  K.modifiedTime AS stored_modifiedTime,
  @detected_at AS detected_at,
  TIMESTAMP_DIFF(@detected_at, S.modifiedTime, MILLISECOND) / 1000 AS lag_seconds,
  CAST(NULL AS TIMESTAMP) AS delivered_at,
  S._content_hash,
  @run_id AS _run_id,
  @run_id AS _judged_by
FROM (
  SELECT <batch columns>, B._seq
  FROM `acme.desk.raw_ticket_changes__stg_x` AS B
) AS S
LEFT JOIN `acme.desk.tickets` AS K
ON K.ticket_id = S.ticket_id
LEFT JOIN (
  SELECT ticket_id, MAX(modifiedTime) AS newest
  FROM `acme.desk.raw_ticket_changes`
  WHERE _fetched_at >= @reads_from
    AND (_fetched_at < @merged_until OR _run_id IN UNNEST(@closed_runs))
  GROUP BY ticket_id
) AS M
ON M.ticket_id = S.ticket_id
WHERE (K.ticket_id IS NULL OR K.modifiedTime < S.modifiedTime)
  AND S.modifiedTime > @reads_from
  AND (M.newest IS NULL OR M.newest < S.modifiedTime)
  AND S.modifiedTime <= @delivered_by
"""


def test_by_table_absent_rows_older_than_grace_are_missed() -> None:
    query = missed_by_table(DATASET, LARGE, TABLE)
    assert query.sql == sql(BY_TABLE)
    assert values(query) == {
        "merged_until": NOON - timedelta(hours=2),
        "closed_runs": (),
        "reads_from": NOON - timedelta(days=7),
        "detected_at": NOON,
        "delivered_by": NOON - timedelta(minutes=5),
        "run_id": "run-1",
    }


def test_runs_that_closed_before_are_named() -> None:
    judging = replace(TABLE, closed_runs=("run-0",))
    assert values(missed_by_table(DATASET, LARGE, judging))["closed_runs"] == ("run-0",)


def test_deletion_known_to_the_table_is_not_missed() -> None:
    known = "\n  AND NOT (S._tombstone AND K.deletedTime IS NOT NULL)\n"
    assert known not in missed_by_table(DATASET, LARGE, TABLE).sql
    assert known in missed_by_table(DATASET, replace(LARGE, tombstones=1), TABLE).sql


BY_EVENTS = """
WITH <event tables>,
events AS (
  SELECT
    ticket_id,
    version,
    IFNULL(version, received_at) AS covers_until,
    is_deletion,
    committed_at
  FROM delivered
),
versions AS (
  SELECT
    R.ticket_id,
    R.modifiedTime,
    R._content_hash,
    FALSE AS is_unsubscribed,
    R.deletedTime IS NOT NULL AS is_deletion,
    IFNULL(R._tombstone, FALSE) AS is_tombstone,
    FALSE AS is_open,
    R.modifiedTime <= @counted_after AS was_judged,
    R._fetched_at AS read_at
  FROM `acme.desk.raw_ticket_changes` AS R
  CROSS JOIN first_event AS F
  WHERE R._fetched_at >= @stored_since
    AND R.modifiedTime > @stored_since
    AND (F.received_at IS NULL OR R.modifiedTime >= F.received_at)
  UNION ALL
  SELECT
    S.ticket_id,
    S.modifiedTime,
    S._content_hash,
    FALSE AS is_unsubscribed,
    S.deletedTime IS NOT NULL AS is_deletion,
    FALSE AS is_tombstone,
    FALSE AS is_open,
    FALSE AS was_judged,
    @detected_at AS read_at
  FROM (
    SELECT <batch columns>, B._seq
    FROM `acme.desk.raw_ticket_changes__stg_x` AS B
  ) AS S
  CROSS JOIN first_event AS F
  LEFT JOIN `acme.desk.tickets` AS K
  ON K.ticket_id = S.ticket_id
  LEFT JOIN (
    SELECT ticket_id, MAX(modifiedTime) AS newest
    FROM `acme.desk.raw_ticket_changes`
    WHERE _fetched_at >= @reads_from
      AND (_fetched_at < @merged_until OR _run_id IN UNNEST(@closed_runs))
    GROUP BY ticket_id
  ) AS M
  ON M.ticket_id = S.ticket_id
  WHERE (K.ticket_id IS NULL OR K.modifiedTime < S.modifiedTime)
    AND S.modifiedTime > @reads_from
    AND (M.newest IS NULL OR M.newest < S.modifiedTime)
    AND (F.received_at IS NULL OR S.modifiedTime >= F.received_at)
  UNION ALL
  SELECT O.ticket_id, O.modifiedTime, O._content_hash, FALSE, FALSE, FALSE, TRUE, FALSE,
    CAST(NULL AS TIMESTAMP)
  FROM `acme.desk.missed_updates` AS O
  WHERE O.detected_at >= @open_since
    AND O.reason = 'missed'
),
judged AS (
  SELECT
    V.ticket_id,
    V.modifiedTime,
    MAX(V._content_hash) AS _content_hash,
    LOGICAL_OR(V.is_unsubscribed) AS is_unsubscribed,
    LOGICAL_OR(V.is_tombstone) AS is_tombstone,
    LOGICAL_OR(V.is_open) AS is_open,
    MAX(V.read_at) AS read_at,
    MIN(IF(E.version = V.modifiedTime OR E.version IS NULL OR (V.is_deletion AND E.is_deletion),
      E.committed_at, NULL)) AS own_event_at,
    MIN(IF(TIMESTAMP_DIFF(E.committed_at, V.modifiedTime, MILLISECOND) <= @grace_ms,
      E.committed_at, NULL)) AS in_time_at
  FROM versions AS V
  LEFT JOIN events AS E
  ON E.ticket_id = V.ticket_id
    AND (
      E.covers_until >= V.modifiedTime
      OR (V.is_deletion AND E.is_deletion
        AND TIMESTAMP_DIFF(V.modifiedTime, E.covers_until, MILLISECOND) <= @deletion_tolerance_ms)
    )
    AND (
      E.version IS NOT NULL
      OR NOT (V.is_open OR V.was_judged)
      OR (V.was_judged
        AND TIMESTAMP_DIFF(E.committed_at, V.modifiedTime, MILLISECOND) <= @grace_ms)
    )
  WHERE V.modifiedTime <= @delivered_by
  GROUP BY V.ticket_id, V.modifiedTime
)
SELECT
  J.ticket_id,
  J.modifiedTime,
  CASE
    WHEN COALESCE(J.own_event_at, J.in_time_at) IS NOT NULL THEN 'late'
    WHEN J.is_unsubscribed THEN 'not_subscribed'
    ELSE 'missed'
  END AS reason,
  K.modifiedTime AS stored_modifiedTime,
  @detected_at AS detected_at,
  GREATEST(0, TIMESTAMP_DIFF(COALESCE(J.own_event_at, J.in_time_at, @detected_at), J.modifiedTime,
    MILLISECOND) / 1000) AS lag_seconds,
  COALESCE(J.own_event_at, J.in_time_at) AS delivered_at,
  J._content_hash,
  @run_id AS _run_id,
  @run_id AS _judged_by
FROM judged AS J
LEFT JOIN `acme.desk.tickets` AS K
ON K.ticket_id = J.ticket_id
WHERE IF(J.is_open, COALESCE(J.own_event_at, J.in_time_at) IS NOT NULL, J.in_time_at IS NULL)
  AND NOT (
    J.is_tombstone
    AND (K.deletedTime IS NOT NULL OR IFNULL(K._read_at > J.read_at, FALSE))
  )
UNION ALL
SELECT
  E.ticket_id,
  E.version,
  'webhook_only' AS reason,
  K.modifiedTime,
  @detected_at,
  TIMESTAMP_DIFF(@detected_at, E.version, MILLISECOND) / 1000,
  E.committed_at,
  CAST(NULL AS STRING),
  @run_id,
  @run_id
FROM events AS E
LEFT JOIN (
  SELECT ticket_id, MAX(modifiedTime) AS newest
  FROM `acme.desk.raw_ticket_changes`
  WHERE _fetched_at >= @since
  GROUP BY ticket_id
) AS P
ON P.ticket_id = E.ticket_id
LEFT JOIN `acme.desk.tickets` AS K
ON K.ticket_id = E.ticket_id
WHERE E.version > @since
  AND E.version <= @settled
  AND NOT E.is_deletion
  AND K.deletedTime IS NULL
  AND (P.newest IS NULL OR P.newest < E.version)
""".replace("<event tables>", event_tables(DATASET))


def test_by_events_changes_without_a_timely_event_are_missed() -> None:
    query = missed_by_events(DATASET, LARGE, EVENTS)
    assert query.sql == sql(BY_EVENTS)
    assert values(query) == {
        "since": NOON - timedelta(hours=2),
        "stored_since": NOON - timedelta(hours=26),
        "counted_after": NOON - timedelta(hours=2),
        "delivered_by": NOON - timedelta(minutes=5),
        "settled": NOON,
        "open_since": NOON - timedelta(days=7),
        "reads_from": NOON - timedelta(days=7),
        "merged_until": NOON - timedelta(hours=2),
        "closed_runs": (),
        "grace_ms": 300_000,
        "deletion_tolerance_ms": 600_000,
        "detected_at": NOON,
        "run_id": "run-1",
    }


def test_empty_batch_misses_nothing() -> None:
    query = missed_by_events(DATASET, EMPTY, EVENTS)
    missing = BY_EVENTS[BY_EVENTS.index("  UNION ALL\n  SELECT\n    S.") :]
    missing = missing[: missing.index("  UNION ALL\n  SELECT O.")]
    assert query.sql == sql(BY_EVENTS.replace(missing, ""))


def test_unsubscribed_changes_are_matched_by_their_columns() -> None:
    kinds = (
        Unsubscribed((("change", ("deleted",)),)),
        Unsubscribed((("status", ("closed", "solved")), ("priority", ("low",)))),
    )
    text, parameters = unsubscribed_as_sql("R", kinds)
    assert text == (
        "((IF(R.deletedTime IS NOT NULL, 'deleted', IF(TIMESTAMP_DIFF(R.modifiedTime, "
        "R.createdTime, MILLISECOND) <= 1000, 'created', 'updated'))"
        " IN UNNEST(@unsubscribed_0_change)) OR (IFNULL(R.status, '')"
        " IN UNNEST(@unsubscribed_1_status)"
        " AND IFNULL(R.priority, '') IN UNNEST(@unsubscribed_1_priority)))"
    )
    assert values(Query("", parameters)) == {
        "unsubscribed_0_change": ("deleted",),
        "unsubscribed_1_status": ("closed", "solved"),
        "unsubscribed_1_priority": ("low",),
    }
    assert values(
        missed_by_events(
            DATASET, LARGE, replace(EVENTS, policy=replace(POLICY, unsubscribed=kinds))
        )
    )
