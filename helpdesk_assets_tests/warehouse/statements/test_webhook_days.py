"""Webhooks by day: the whole query, and its results on a warehouse."""

from __future__ import annotations

from datetime import date, timedelta

from helpdesk_assets.model.judging import UNJUDGED
from helpdesk_assets.model.tickets import Window
from helpdesk_assets.model.webhooks import WebhookDay
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.delivered_events import event_tables
from helpdesk_assets.warehouse.statements.webhook_days import days_by_events, days_by_table
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.warehouse.ledger_cases import (
    EVENTS,
    GRACE,
    TABLE,
    LedgerCases,
    at,
)
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET, sql, values

MIDNIGHT = NOON - timedelta(hours=12)
DAY = 24 * 60.0

BY_DAY = """
WITH <event tables>ledger AS (
  SELECT
    DATE(modifiedTime) AS day,
    COUNTIF(reason IN UNNEST(@missed_reasons)) AS missed,
    COUNTIF(reason = 'late') AS late
  FROM `acme.desk.missed_updates`
  WHERE detected_at >= @reads_from
  GROUP BY day
),
by_day AS (
<delivered>
)
SELECT
  day,
  IFNULL(D.changes, 0) AS delivered,
  IFNULL(L.late, 0) AS late,
  IFNULL(L.missed, 0) AS missed,
  D.latency_p50,
  D.latency_p95,
  D.latency_p99
FROM by_day AS D
FULL JOIN ledger AS L
USING (day)
<since>
ORDER BY day
"""
HEARD = """\
  SELECT
    DATE(changed) AS day,
    COUNT(*) AS changes,
    APPROX_QUANTILES(latency, 100)[SAFE_OFFSET(50)] AS latency_p50,
    APPROX_QUANTILES(latency, 100)[SAFE_OFFSET(95)] AS latency_p95,
    APPROX_QUANTILES(latency, 100)[SAFE_OFFSET(99)] AS latency_p99
  FROM (
    SELECT
      ticket_id,
      IFNULL(version, received_at) AS changed,
      MIN(IF(version IS NULL, NULL,
        GREATEST(0, TIMESTAMP_DIFF(committed_at, version, MILLISECOND) / 1000))) AS latency
    FROM delivered
    GROUP BY ticket_id, changed
  )
  GROUP BY day"""
SINCE_FIRST_EVENT = """\
CROSS JOIN first_event AS F
WHERE day >= DATE(@since)
  AND (F.received_at IS NULL OR day >= DATE(F.received_at))"""
FOUND_THERE = """\
  SELECT
    DATE(changed) AS day,
    COUNT(*) AS changes,
    CAST(NULL AS FLOAT64) AS latency_p50,
    CAST(NULL AS FLOAT64) AS latency_p95,
    CAST(NULL AS FLOAT64) AS latency_p99
  FROM (
    SELECT R.ticket_id, R.modifiedTime AS changed
    FROM `acme.desk.raw_ticket_changes` AS R
    LEFT JOIN (
      SELECT run_id
      FROM `acme.desk.sync_runs`
      WHERE judged_by = 'table'
      GROUP BY run_id
    ) AS J
    ON J.run_id = R._run_id
    LEFT JOIN `acme.desk.missed_updates` AS M
    ON M.ticket_id = R.ticket_id AND M.modifiedTime = R.modifiedTime
    WHERE R._fetched_at >= @reads_from
      AND TIMESTAMP_DIFF(R._fetched_at, R.modifiedTime, SECOND) BETWEEN @grace AND @seen_within
      AND (J.run_id IS NOT NULL OR R._run_id IN UNNEST(@recent_runs))
      AND M.ticket_id IS NULL
    GROUP BY R.ticket_id, R.modifiedTime
  )
  GROUP BY day"""


def test_with_events_delivered_counts_events() -> None:
    query = days_by_events(DATASET, MIDNIGHT)
    by_day = BY_DAY.replace("<event tables>", f"{event_tables(DATASET)},\n")
    assert query.sql == sql(
        by_day.replace("<delivered>", HEARD).replace("<since>", SINCE_FIRST_EVENT)
    )
    assert values(query) == {
        "since": MIDNIGHT,
        "reads_from": MIDNIGHT - timedelta(days=1),
        "missed_reasons": ("missed", "missing", "stale"),
    }


def test_without_events_delivered_counts_rows_found_stored() -> None:
    query = days_by_table(DATASET, MIDNIGHT, GRACE, ["run-1"])
    day = BY_DAY.replace("<event tables>", "").replace("<delivered>", FOUND_THERE)
    assert query.sql == sql(day.replace("<since>", "WHERE day >= DATE(@since)"))
    named = {"grace": 300, "seen_within": 86_400, "recent_runs": ("run-1",)}
    assert values(query).items() >= named.items()


def test_each_day_counts_late_and_missed(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    for number in range(4):
        cases.poll(f"yesterday {number}", -DAY, seen=-DAY + 60, run="run-0")
        cases.event(f"yesterday {number}", -DAY, -DAY + 0.2)
    # Events may repeat a version, or name one that polling has not seen.
    cases.event("yesterday 0", -DAY, -DAY + 3)
    cases.event("hint", None, -DAY)
    cases.poll("slow", -60)
    cases.event("slow", -60, -40)
    cases.poll("lost", -60)
    cases.event("unpolled", -60, -59.8)
    cases.event("long ago", -3 * DAY, -3 * DAY)
    cases.judge(cases.manifest())
    days = cases.sync_tables.webhook_days(MIDNIGHT - timedelta(days=1), EVENTS, run_id="r")
    assert days == (
        WebhookDay(date(2026, 10, 31), 5, 0, 0, 12.0, 12.0, 12.0),
        WebhookDay(date(2026, 11, 1), 2, 1, 1, days[1].latency_p50, 1200.0, 1200.0),
    )
    assert days[1].missed_share == 1 / 3


def test_by_table_only_changes_that_runs_judged_are_delivered(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("delivered", -60)
    cases.store("delivered", -60)
    cases.poll("lost", -60)
    # Not judged: a young version, and what other runs read that judged nothing or died.
    cases.poll("young", -2)
    cases.poll("loaded", -60, run="first load")
    cases.store("loaded", -60)
    manifest = cases.manifest(("delivered", -60), ("lost", -60), ("young", -2))
    cases.judge(manifest)
    since = MIDNIGHT - timedelta(days=5)
    assert cases.sync_tables.webhook_days(since, TABLE, run_id="r") == (
        WebhookDay(date(2026, 11, 1), 0, 0, 1),
    )
    cases.close(cases.manifest(("loaded", -60), run_id="first load", first_load=True))
    cases.close(manifest)
    days = cases.sync_tables.webhook_days(since, TABLE, run_id="r")
    assert days == (WebhookDay(date(2026, 11, 1), 1, 0, 1),)


def test_days_before_the_first_event_are_not_charted(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("lost", -2 * DAY, seen=-2 * DAY + 60)
    cases.poll("lost too", -60)
    cases.judge(
        cases.manifest(
            ("lost", -2 * DAY), ("lost too", -60), window=Window(at(-3 * DAY), NOON),
            initial_watermark=at(-3 * DAY),
        )
    )  # fmt: skip
    cases.event("first", -10, -9)
    cases.written()
    days = cases.sync_tables.webhook_days(MIDNIGHT - timedelta(days=5), EVENTS, run_id="r")
    assert [(day.day, day.delivered, day.missed) for day in days] == [(date(2026, 11, 1), 1, 1)]


def test_where_nothing_is_judged_no_query_runs(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    before = cases.sync_tables.use.query_jobs
    assert cases.sync_tables.webhook_days(MIDNIGHT, UNJUDGED, run_id="r") == ()
    assert cases.sync_tables.use.query_jobs == before
