"""Delivered, late and missed changes by day: one query, and the reading of its rows.

Days are days of the change, in UTC. "Delivered": with our receiver, an event stored the change, on
time or late; without it, polling found the change already in `tickets`. The ledger records only
misses, so delivered changes are those that are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from helpdesk_assets.model.webhooks import MISSED_REASONS, WebhookDay
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.table_spec import ColumnType

# Polling sees a change within this time. What a first load finds later says nothing about webhooks.
POLLED_WITHIN = timedelta(days=1)
# Rows are selected by their arrival, which is on another clock than their changes.
CLOCK_SKEW = timedelta(days=1)


def webhook_days_query(
    dataset: Dataset, since: datetime, grace: timedelta, *, by_events: bool
) -> Query:
    """Select one row for each day with changes.

    Args:
        dataset: where the tables are.
        since: the first day, UTC.
        grace: the grace period; changes that polling saw sooner were not judged.
        by_events: our receiver stores the events; else the tickets table alone is judged.
    """
    delivered = _delivered_by_events(dataset) if by_events else _delivered_by_table(dataset)
    parameters: tuple[Parameter, ...] = (
        Parameter("since", ColumnType.TIMESTAMP, since),
        Parameter("reads_from", ColumnType.TIMESTAMP, since - CLOCK_SKEW),
        Parameter("missed_reasons", ColumnType.STRING, MISSED_REASONS),
    )
    if not by_events:
        parameters += (
            Parameter("grace", ColumnType.INT64, _seconds(grace)),
            Parameter("seen_within", ColumnType.INT64, _seconds(POLLED_WITHIN)),
        )
    sql = f"""\
WITH ledger AS (
  SELECT
    DATE(modifiedTime) AS day,
    COUNTIF(reason IN UNNEST(@missed_reasons)) AS missed,
    COUNTIF(reason = 'late') AS late
  FROM {dataset.table(tables.MISSED_UPDATES.name)}
  WHERE detected_at >= @reads_from
  GROUP BY day
),
delivered AS (
{delivered}
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
ORDER BY day"""
    return Query(sql, parameters)


def _delivered_by_events(dataset: Dataset) -> str:
    """Count changes that an event delivered. An event without a version counts as one change."""
    return f"""\
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
    FROM {dataset.table(tables.WEBHOOK_EVENTS.name)}
    WHERE received_at >= @reads_from
    GROUP BY ticket_id, changed
  )
  GROUP BY day"""


def _delivered_by_table(dataset: Dataset) -> str:
    """Count changes that polling saw soon, less those in the ledger. Their latency is unknown."""
    return f"""\
  SELECT
    DATE(changed) AS day,
    COUNT(*) AS changes,
    CAST(NULL AS FLOAT64) AS latency_p50,
    CAST(NULL AS FLOAT64) AS latency_p95,
    CAST(NULL AS FLOAT64) AS latency_p99
  FROM (
    SELECT R.ticket_id, R.modifiedTime AS changed
    FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)} AS R
    LEFT JOIN {dataset.table(tables.MISSED_UPDATES.name)} AS M
    ON M.ticket_id = R.ticket_id AND M.modifiedTime = R.modifiedTime
    WHERE R._fetched_at >= @reads_from
      AND TIMESTAMP_DIFF(R._fetched_at, R.modifiedTime, SECOND) BETWEEN @grace AND @seen_within
      AND M.ticket_id IS NULL
    GROUP BY R.ticket_id, R.modifiedTime
  )
  GROUP BY day"""


def webhook_day_from_row(row: Mapping[str, Any]) -> WebhookDay:
    """Read a row of `webhook_days_query`."""
    return WebhookDay(
        day=row["day"],
        delivered=int(row["delivered"]),
        late=int(row["late"]),
        missed=int(row["missed"]),
        latency_p50=row["latency_p50"],
        latency_p95=row["latency_p95"],
        latency_p99=row["latency_p99"],
    )


def _seconds(length: timedelta) -> int:
    return length // timedelta(seconds=1)
