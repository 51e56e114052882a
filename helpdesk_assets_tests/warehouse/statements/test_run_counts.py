"""The counts when a run closes: the whole statement, and its results on a warehouse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from textwrap import indent

import pytest

from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.judging import UNJUDGED
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import JudgedBy, Unsubscribed, WebhookCounts
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.batch_counts import batch_counts
from helpdesk_assets.warehouse.statements.delivered_events import event_tables
from helpdesk_assets.warehouse.statements.ground_counts import behind
from helpdesk_assets.warehouse.statements.repeated_rows import repeated_counts
from helpdesk_assets.warehouse.statements.run_counts import run_counts_query
from helpdesk_assets.warehouse.statements.webhook_counts import index_lag
from helpdesk_assets.warehouse.stores.state import StateTable
from helpdesk_assets_tests.batches import NOON, SMALL
from helpdesk_assets_tests.warehouse.ledger_cases import EVENTS, POLICY, TABLE, LedgerCases, at
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET, LARGE, sql, values

EMPTY = replace(SMALL, rows=0, versions=())
SEEN = SyncState(
    "tickets",
    NOON,
    3,
    run_id="run-0",
    reason="full: first load",
    closed_at=NOON,
    facts=RunCounts(rows=40, repeated_keys=2),
    full_load_at=NOON - timedelta(hours=3),
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
  M.missed_since AS missed_since,
  M.missed AS missed,
  L.index_lag_p99 AS index_lag_p99,
  C.batch_tickets AS batch_tickets,
  C.absent AS absent,
  GREATEST(0, @tickets_before - (W.row_count - W.repeated_keys - W.null_keys)) AS rows_lost,
  G.behind AS behind,
  H.history_rows AS history_rows,
  R.repeated_versions AS repeated_versions,
  R.repeated_misses AS repeated_misses,
  STRUCT(
    E.judged_by AS judged_by,
    E.not_judged AS not_judged,
    E.loaded_until AS loaded_until,
    E.judged AS judged,
    E.pending AS pending,
    E.late AS late,
    E.not_subscribed AS not_subscribed,
    E.webhook_only AS webhook_only,
    E.events AS events,
    E.latency_p50 AS latency_p50,
    E.latency_p95 AS latency_p95,
    E.last_event AS last_event,
    E.changes_since_last_event AS changes_since_last_event,
    E.first_change_since_last_event AS first_change_since_last_event
  ) AS webhooks
)) AS facts,
C.absent = 0 AND C.batch_rows >= @batch_rows AS is_whole
FROM (
  SELECT
    COUNT(*) AS row_count,
    COUNT(ticket_id) - COUNT(DISTINCT ticket_id) AS repeated_keys,
    COUNTIF(ticket_id IS NULL) AS null_keys,
    COUNTIF(modifiedTime IS NULL AND deletedTime IS NULL) AS null_times,
    COUNTIF(modifiedTime > @future_after) AS future_times
  FROM `acme.desk.tickets`
) AS W
CROSS JOIN (
  SELECT
    COUNTIF(T._run_id = @run_id AND T._first_synced_at = T._synced_at) AS inserted,
    COUNTIF(T._run_id = @run_id AND T._first_synced_at IS DISTINCT FROM T._synced_at) AS updated,
    COUNTIF(T._run_id IS DISTINCT FROM @run_id AND T.ticket_id IS NOT NULL
      AND IFNULL(T.modifiedTime <= B.modifiedTime, TRUE)) AS unchanged,
    COUNTIF(T._run_id IS DISTINCT FROM @run_id AND T.modifiedTime > B.modifiedTime) AS rejected,
    COUNT(DISTINCT B.ticket_id) AS batch_tickets,
    COUNT(DISTINCT B.ticket_id) - COUNT(DISTINCT IF(
      T.modifiedTime >= B.content_time OR (B.content_time IS NULL AND T.ticket_id IS NOT NULL),
      B.ticket_id,
      NULL
    )) AS absent,
    IFNULL(MAX(B.batch_rows), 0) AS batch_rows
  FROM (
    SELECT
      ticket_id,
      MAX(modifiedTime) AS modifiedTime,
      MAX(modifiedTime) AS content_time,
      SUM(COUNT(*)) OVER () AS batch_rows
    FROM (
      SELECT <batch columns>, B._seq
      FROM `acme.desk.raw_ticket_changes__stg_x` AS B
    )
    GROUP BY ticket_id
  ) AS B
  LEFT JOIN `acme.desk.tickets` AS T
  ON T.ticket_id = B.ticket_id
) AS C
CROSS JOIN (
  SELECT
    COUNT(*) AS missed_total,
    UNIX_MICROS(MIN(modifiedTime)) AS missed_since,
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
    AND reason IN UNNEST(@missed_reasons)
) AS M
CROSS JOIN (
  SELECT
    APPROX_QUANTILES(
      GREATEST(0, TIMESTAMP_DIFF(@initial_watermark, N.modifiedTime, MILLISECOND) / 1000), 100
    )[OFFSET(99)] AS index_lag_p99
  FROM (
    SELECT ticket_id, modifiedTime
    FROM `acme.desk.raw_ticket_changes`
    WHERE _fetched_at >= @lag_since
      AND modifiedTime >= @lag_since
    GROUP BY ticket_id, modifiedTime
    HAVING LOGICAL_AND(_run_id = @run_id)
  ) AS N
) AS L
CROSS JOIN (
  SELECT COUNT(*) AS behind
  FROM (
    SELECT R.ticket_id
    FROM (
      SELECT
        ticket_id,
        MAX(IF(IFNULL(_tombstone, FALSE), NULL, modifiedTime)) AS modifiedTime
      FROM `acme.desk.raw_ticket_changes`
      WHERE _fetched_at >= @behind_after
        AND (
          _run_id IN UNNEST(@closed_runs)
          OR _run_id IN (
            SELECT run_id
            FROM `acme.desk.sync_runs`
            WHERE sync_name = @closed_sync
          )
        )
      GROUP BY ticket_id
    ) AS R
    LEFT JOIN `acme.desk.tickets` AS T
    ON T.ticket_id = R.ticket_id
    GROUP BY R.ticket_id, R.modifiedTime
    HAVING COUNT(T.ticket_id) = 0
      OR (R.modifiedTime IS NOT NULL AND MAX(T.modifiedTime) IS NULL)
      OR MAX(T.modifiedTime) < R.modifiedTime
  )
) AS G
CROSS JOIN (
  SELECT COUNT(*) AS history_rows
  FROM `acme.desk.raw_ticket_changes`
) AS H
CROSS JOIN (
  <repeated rows>
) AS R
CROSS JOIN (
  SELECT
    @judged_by AS judged_by,
    @not_judged AS not_judged,
    UNIX_MICROS(@loaded_until) AS loaded_until,
    N.*
  FROM (
    WITH <event tables>,
    events AS (
      SELECT
        GREATEST(received_at, IF(version <= @served_at, version, received_at)) AS event_at,
        IF(version IS NULL, NULL,
          GREATEST(0, TIMESTAMP_DIFF(committed_at, version, MILLISECOND) / 1000)) AS latency
      FROM delivered
    ),
    event_counts AS (
      SELECT
        COUNTIF(event_at > @counted_after) AS events,
        APPROX_QUANTILES(IF(event_at > @counted_after, latency, NULL), 100) AS latencies,
        MAX(event_at) AS last_event
      FROM events
    ),
    versions AS (
      SELECT R.ticket_id, R.modifiedTime, R.modifiedTime <= @delivered_by AS is_ripe
      FROM `acme.desk.raw_ticket_changes` AS R
      CROSS JOIN first_event AS F
      WHERE R._fetched_at >= @reads_from
        AND R.modifiedTime > @heard_after
        AND (F.received_at IS NULL OR R.modifiedTime >= F.received_at)
        AND NOT FALSE
      GROUP BY R.ticket_id, R.modifiedTime
    ),
    change_counts AS (
      SELECT
        COUNTIF(V.is_ripe AND V.modifiedTime > @counted_after) AS judged,
        COUNTIF(NOT V.is_ripe) AS pending,
        COUNTIF(V.is_ripe AND (E.last_event IS NULL OR V.modifiedTime > E.last_event))
          AS changes_since_last_event,
        MIN(IF(V.is_ripe AND (E.last_event IS NULL OR V.modifiedTime > E.last_event),
          V.modifiedTime, NULL)) AS first_change_since_last_event
      FROM versions AS V
      CROSS JOIN event_counts AS E
    ),
    ledger_counts AS (
      SELECT
        COUNTIF(reason = 'late') AS late,
        COUNTIF(reason = 'not_subscribed') AS not_subscribed,
        COUNTIF(reason = 'webhook_only') AS webhook_only
      FROM `acme.desk.missed_updates`
      WHERE _judged_by = @run_id
    )
    SELECT
      C.judged,
      C.pending,
      L.late,
      L.not_subscribed,
      L.webhook_only,
      E.events,
      E.latencies[SAFE_OFFSET(50)] AS latency_p50,
      E.latencies[SAFE_OFFSET(95)] AS latency_p95,
      UNIX_MICROS(E.last_event) AS last_event,
      C.changes_since_last_event,
      UNIX_MICROS(C.first_change_since_last_event) AS first_change_since_last_event
    FROM event_counts AS E
    CROSS JOIN change_counts AS C
    CROSS JOIN ledger_counts AS L
  ) AS N
) AS E
"""
BY_EVENTS = FACTS[FACTS.index("    WITH <event tables>") : FACTS.rindex("  ) AS N\n")]
NO_EVENTS = """\
      0 AS late,
      0 AS not_subscribed,
      0 AS webhook_only,
      0 AS events,
      CAST(NULL AS FLOAT64) AS latency_p50,
      CAST(NULL AS FLOAT64) AS latency_p95,
      CAST(NULL AS INT64) AS last_event,
      0 AS changes_since_last_event,
      CAST(NULL AS INT64) AS first_change_since_last_event
"""
BY_TABLE = f"""\
    SELECT
      COUNTIF(V.modifiedTime > @counted_after AND V.modifiedTime <= @delivered_by) AS judged,
      COUNTIF(V.modifiedTime > @delivered_by) AS pending,
{NO_EVENTS}\
    FROM (
      SELECT ticket_id, MAX(modifiedTime) AS modifiedTime
      FROM (
        SELECT <batch columns>, B._seq
        FROM `acme.desk.raw_ticket_changes__stg_x` AS B
      )
      GROUP BY ticket_id
    ) AS V
"""
NOT_JUDGED = f"""\
    SELECT
      0 AS judged,
      0 AS pending,
{NO_EVENTS}"""


def without_events(counts: str) -> str:
    return FACTS.replace(BY_EVENTS, counts)


def with_repeated(text: str) -> str:
    _, repeated = repeated_counts(DATASET, LARGE)
    text = text.replace("<event tables>", indent(event_tables(DATASET), "    ").lstrip())
    return text.replace("<repeated rows>", indent(repeated.sql, "  ").lstrip())


def test_small_batch_is_counted_by_its_ids() -> None:
    small = batch_counts(DATASET, SMALL)
    assert small.sql.endswith(
        "ON T.ticket_id = B.ticket_id\n  AND T.ticket_id IN UNNEST(@ticket_ids)"
    )
    assert values(small)["ticket_ids"] == ("7", "8")
    staged = batch_counts(DATASET, replace(SMALL, staging=LARGE.staging, forced=True))
    assert staged.sql.endswith("\n  AND T.ticket_id IN UNNEST(@ticket_ids)")
    assert values(staged) == {"ticket_ids": ("7", "8")}
    assert "UNNEST" not in batch_counts(DATASET, LARGE).sql


def test_repeated_batch_is_whole_if_nothing_would_be_written() -> None:
    query = run_counts_query(DATASET, LARGE, UNJUDGED, is_repeated=True)
    assert "C.batch_rows >= @batch_rows AND C.differing = 0 AS is_whole" in query.sql
    assert (
        """
    IFNULL(MAX(B.batch_rows), 0) AS batch_rows,
    COUNT(DISTINCT IF(
      IFNULL(
        (T.modifiedTime = B.modifiedTime AND T._content_hash = B._content_hash
          AND (T.deletedTime IS NULL) = B.is_alive)
        OR (T.modifiedTime > B.modifiedTime AND T.deletedTime IS NULL AND B.is_alive),
        FALSE
      ),
      NULL,
      B.ticket_id
    )) AS differing
  FROM (
    SELECT
      ticket_id,
      MAX(modifiedTime) AS modifiedTime,
      MAX(modifiedTime) AS content_time,
      MAX(_content_hash) AS _content_hash,
      LOGICAL_AND(deletedTime IS NULL) AS is_alive,
      SUM(COUNT(*)) OVER () AS batch_rows
"""
        in query.sql
    )


def test_run_counts_are_one_row() -> None:
    query = run_counts_query(DATASET, LARGE, EVENTS, SEEN)
    assert query.sql == with_repeated(sql(FACTS))
    assert values(query) == {
        "initial_watermark": NOON - timedelta(hours=2),
        "lag_since": NOON - timedelta(hours=2),
        "served_at": NOON,
        "reads_from": NOON - timedelta(days=7),
        "heard_after": NOON - timedelta(days=7),
        "judged_by": "events",
        "not_judged": None,
        "loaded_until": None,
        "counted_after": NOON - timedelta(hours=2),
        "delivered_by": NOON - timedelta(minutes=5),
        "repeated_since": (NOON - timedelta(days=1, hours=2)).replace(hour=0),
        "missed_reasons": ("missed", "missing", "stale"),
        "future_after": NOON + timedelta(minutes=15),
        "behind_after": NOON - timedelta(hours=3),
        "closed_runs": ("run-0",),
        "closed_sync": "tickets",
        "tickets_before": 38,
        "batch_rows": LARGE.rows,
        "run_id": "run-1",
    }


def test_by_table_the_batch_is_counted_and_no_event() -> None:
    query = run_counts_query(DATASET, LARGE, TABLE, SEEN)
    assert query.sql == with_repeated(sql(without_events(BY_TABLE)))
    names = [parameter.name for parameter in query.parameters]
    assert len(names) == len(set(names))
    assert values(query)["judged_by"] == "table"


def test_unjudged_run_counts_no_change() -> None:
    query = run_counts_query(DATASET, LARGE, UNJUDGED, SEEN)
    assert query.sql == with_repeated(sql(without_events(NOT_JUDGED)))
    assert (values(query)["judged_by"], values(query)["not_judged"]) == ("nothing", "switched_off")


def test_empty_batch_queries_no_batch() -> None:
    counted = batch_counts(DATASET, EMPTY)
    assert "acme" not in counted.sql
    assert counted.sql in run_counts_query(DATASET, EMPTY, UNJUDGED).sql.replace("\n  ", "\n")


def test_time_travel_bounds_what_the_table_may_be_behind() -> None:
    for full_load_at, after in (
        (None, NOON - timedelta(days=7)),
        (NOON - timedelta(days=9), NOON - timedelta(days=7)),
        (NOON, NOON),
    ):
        seen = replace(SEEN, full_load_at=full_load_at)
        assert values(behind(DATASET, SMALL, seen))["behind_after"] == after


def test_only_incremental_runs_may_be_behind() -> None:
    for manifest, seen in (
        (SMALL, None),
        (replace(SMALL, mode=Mode.FULL), SEEN),
        (replace(SMALL, is_range=True), SEEN),
    ):
        assert behind(DATASET, manifest, seen).sql == "SELECT 0 AS behind"


def test_only_incremental_windows_measure_index_lag() -> None:
    full = replace(SMALL, mode=Mode.FULL, window=Window(None, NOON))
    for manifest in (EMPTY, full, replace(SMALL, is_range=True)):
        assert index_lag(DATASET, manifest).sql == "SELECT 0.0 AS index_lag_p99"


@pytest.fixture
def cases(warehouse: BigQueryClient) -> LedgerCases:
    return LedgerCases(warehouse)


def counted(cases: LedgerCases, manifest: Manifest, **policy: object) -> RunCounts:
    """Return the counts of closing the run, once the ledger is written."""
    webhooks = replace(POLICY, **policy)  # type: ignore[arg-type]
    cases.judge(manifest, webhooks)
    judging = cases.sync_tables.requests.judging_of_run(manifest, webhooks)
    return StateTable(cases.warehouse, "tickets").count_run(manifest, judging)


def test_webhook_counts_by_outcome(cases: LedgerCases) -> None:
    cases.poll("before", -130)
    cases.event("before", -130, -129.5)
    for number, minutes in enumerate((0.1, 0.2, 0.3, 0.4, 8)):
        cases.poll(f"heard {number}", -100)
        cases.event(f"heard {number}", -100, -100 + minutes)
    cases.poll("hinted", -100)
    cases.event("hinted", None, -99)
    cases.event("unpolled", -90, -89.9)
    cases.poll("lost", -80)
    cases.poll("lost too", -70)
    cases.poll("closed", -60, status="closed")
    cases.poll("young", -2)
    # Read again in the overlap, and judged by the run before.
    cases.poll("judged before", -125.5)
    cases.event("judged before", -125.5, -125.4)
    further_back = cases.manifest(window=Window(at(-140), at(0)))
    run_counts = counted(
        cases, further_back, unsubscribed=(Unsubscribed((("status", ("closed",)),)),)
    )
    webhook_counts = run_counts.webhooks
    # Two local warehouses differ by one rank in approximate quantiles.
    assert webhook_counts.latency_p50 in (pytest.approx(12), pytest.approx(18), pytest.approx(24))
    assert webhook_counts.latency_p95 == pytest.approx(480)
    assert replace(webhook_counts, latency_p50=None, latency_p95=None) == WebhookCounts(
        judged_by=JudgedBy.EVENTS,
        judged=8,
        pending=1,
        late=1,
        not_subscribed=1,
        webhook_only=1,
        events=7,
        last_event=at(-89.9),
        changes_since_last_event=2,
        first_change_since_last_event=at(-80),
    )
    assert run_counts.missed_total == 2
    assert run_counts.missed_since == at(-80)
    assert {missed.ticket_id for missed in run_counts.missed} == {"lost", "lost too"}


def test_future_dated_event_hides_no_silence(cases: LedgerCases) -> None:
    cases.event("of 2099", 40_000_000, -100)
    cases.poll("lost", -60)
    webhook_counts = counted(cases, cases.manifest()).webhooks
    assert webhook_counts is not None
    assert (webhook_counts.last_event, webhook_counts.changes_since_last_event) == (at(-100), 1)


def test_slow_receiver_clock_does_not_count_as_silence(cases: LedgerCases) -> None:
    cases.event("one", -60, -400)
    cases.poll("one", -60)
    webhook_counts = counted(cases, cases.manifest()).webhooks
    assert webhook_counts is not None
    assert (
        webhook_counts.last_event,
        webhook_counts.changes_since_last_event,
        webhook_counts.latency_p95,
    ) == (
        at(-60),
        0,
        0.0,
    )


def test_without_any_event_all_changes_are_since_the_last(cases: LedgerCases) -> None:
    cases.poll("lost", -60)
    cases.event("long ago", -20_000, -20_000)
    webhook_counts = counted(cases, cases.manifest()).webhooks
    assert webhook_counts is not None
    assert (
        webhook_counts.last_event,
        webhook_counts.changes_since_last_event,
        webhook_counts.events,
    ) == (
        None,
        1,
        0,
    )
    assert (webhook_counts.latency_p50, webhook_counts.latency_p95) == (None, None)


def test_index_lag_behind_the_watermark(cases: LedgerCases) -> None:
    cases.event("long ago", -20_000, -20_000)
    cases.poll("after", -60)
    cases.poll("index_lag", -124)
    cases.poll("known", -124.9, run="run-0")
    cases.poll("other content", -124.9, run="run-0")
    cases.poll("other content", -124.9, _content_hash="h2")
    for ticket_id in ("after", "index_lag"):
        cases.store(ticket_id, 0)
    batch = cases.manifest(("after", -60), ("index_lag", -124))
    assert counted(cases, batch).index_lag_p99 == 240
