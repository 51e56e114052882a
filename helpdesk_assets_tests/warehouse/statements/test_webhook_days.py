"""Webhooks by day: the whole query, and its results on a warehouse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from helpdesk_assets.model.webhooks import WebhookDay
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.statements.webhook_days import webhook_days_query
from helpdesk_assets_tests.batches import NOON
from helpdesk_assets_tests.warehouse.ledger_cases import GRACE, POLICY, LedgerCases
from helpdesk_assets_tests.warehouse.statements.test_batch import DATASET, sql, values

MIDNIGHT = NOON - timedelta(hours=12)
DAY = 24 * 60.0

BY_DAY = """
WITH ledger AS (
  SELECT
    DATE(modifiedTime) AS day,
    COUNTIF(reason IN UNNEST(@missed_reasons)) AS missed,
    COUNTIF(reason = 'late') AS late
  FROM `acme.desk.missed_updates`
  WHERE detected_at >= @reads_from
  GROUP BY day
),
delivered AS (
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
FROM delivered AS D
FULL JOIN ledger AS L
USING (day)
WHERE day >= DATE(@since)
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
      IFNULL(modifiedTime, received_at) AS changed,
      MIN(IF(modifiedTime IS NULL, NULL,
        GREATEST(0, TIMESTAMP_DIFF(committed_at, modifiedTime, MILLISECOND) / 1000))) AS latency
    FROM `acme.desk.webhook_events`
    WHERE received_at >= @reads_from
    GROUP BY ticket_id, changed
  )
  GROUP BY day"""
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
    LEFT JOIN `acme.desk.missed_updates` AS M
    ON M.ticket_id = R.ticket_id AND M.modifiedTime = R.modifiedTime
    WHERE R._fetched_at >= @reads_from
      AND TIMESTAMP_DIFF(R._fetched_at, R.modifiedTime, SECOND) BETWEEN @grace AND @seen_within
      AND M.ticket_id IS NULL
    GROUP BY R.ticket_id, R.modifiedTime
  )
  GROUP BY day"""


def test_with_events_delivered_counts_events() -> None:
    query = webhook_days_query(DATASET, MIDNIGHT, GRACE, by_events=True)
    assert query.sql == sql(BY_DAY.replace("<delivered>", HEARD))
    assert values(query) == {
        "since": MIDNIGHT,
        "reads_from": MIDNIGHT - timedelta(days=1),
        "missed_reasons": ("missed", "missing", "stale"),
    }


def test_without_events_delivered_counts_rows_found_stored() -> None:
    query = webhook_days_query(DATASET, MIDNIGHT, GRACE, by_events=False)
    assert query.sql == sql(BY_DAY.replace("<delivered>", FOUND_THERE))
    assert values(query).items() >= {"grace": 300, "seen_within": 86_400}.items()


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
    days = cases.sync_tables.webhook_days(MIDNIGHT - timedelta(days=1), POLICY, run_id="r")
    assert days == (
        WebhookDay(date(2026, 10, 31), 5, 0, 0, 12.0, 12.0, 12.0),
        WebhookDay(date(2026, 11, 1), 2, 1, 1, days[1].latency_p50, 1200.0, 1200.0),
    )
    assert days[1].missed_share == 1 / 3


def test_without_events_latency_is_unknown(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    cases.poll("delivered", -60)
    cases.store("delivered", -60)
    cases.poll("lost", -60)
    # Not judged: a young version, and an old one that a first load found.
    cases.poll("young", -2)
    cases.poll("old", -2 * DAY)
    cases.judge(cases.manifest(("delivered", -60), ("lost", -60)))
    since = MIDNIGHT - timedelta(days=5)
    days = cases.sync_tables.webhook_days(since, POLICY, run_id="r")
    assert days == (WebhookDay(date(2026, 11, 1), 1, 0, 1),)


def test_without_webhooks_no_query_runs(warehouse: BigQueryClient) -> None:
    cases = LedgerCases(warehouse)
    off = replace(POLICY, enabled=False)
    before = cases.sync_tables.use.query_jobs
    assert cases.sync_tables.webhook_days(MIDNIGHT, off, run_id="r") == ()
    assert cases.sync_tables.use.query_jobs == before
