"""Delivered, late and missed changes by day: one query, and the reading of its rows.

Days are days of the change, in UTC. "Delivered": with our receiver, an event brought the change, on
time or late; without it, a run that judged by the table found the change already in `tickets`. The
ledger records only misses, so delivered changes are those that are not in it. What a load read, or
a run that judged nothing, was delivered by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from helpdesk_assets.model.webhooks import MISSED_REASONS, WebhookDay
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.delivered_events import event_tables
from helpdesk_assets.warehouse.table_spec import ColumnType

# Polling sees a change within this time. What it finds later, the ledger has or nobody judged.
POLLED_WITHIN = timedelta(days=1)
# Rows are selected by their arrival, which is on another clock than their changes.
CLOCK_SKEW = timedelta(days=1)


def days_by_events(dataset: Dataset, since: datetime) -> Query:
    """Select one row for each day with changes, from that of the first event ever on.

    An event without a version counts as one change.

    Args:
        dataset: where the tables are.
        since: the first day, UTC.
    """
    delivered = """\
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
    sql = f"""\
WITH {event_tables(dataset)},
{_days(dataset, delivered)}
CROSS JOIN first_event AS F
WHERE day >= DATE(@since)
  AND (F.received_at IS NULL OR day >= DATE(F.received_at))
ORDER BY day"""
    return Query(sql, _parameters(since))


def days_by_table(
    dataset: Dataset, since: datetime, grace: timedelta, recent_runs: Sequence[str]
) -> Query:
    """Select one row for each day with changes that runs judged by the tickets table.

    Delivered are the changes that such a run found first and soon, less those in the ledger. Their
    latency is unknown.

    Args:
        dataset: where the tables are.
        since: the first day, UTC.
        grace: the grace period; changes that polling saw sooner were not judged.
        recent_runs: the runs that judged by the table and that the run log may lack.
    """
    delivered = f"""\
  SELECT
    DATE(changed) AS day,
    COUNT(*) AS changes,
    CAST(NULL AS FLOAT64) AS latency_p50,
    CAST(NULL AS FLOAT64) AS latency_p95,
    CAST(NULL AS FLOAT64) AS latency_p99
  FROM (
    SELECT R.ticket_id, R.modifiedTime AS changed
    FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)} AS R
    LEFT JOIN (
      SELECT run_id
      FROM {dataset.table(tables.SYNC_RUNS.name)}
      WHERE judged_by = 'table'
      GROUP BY run_id
    ) AS J
    ON J.run_id = R._run_id
    LEFT JOIN {dataset.table(tables.MISSED_UPDATES.name)} AS M
    ON M.ticket_id = R.ticket_id AND M.modifiedTime = R.modifiedTime
    WHERE R._fetched_at >= @reads_from
      AND TIMESTAMP_DIFF(R._fetched_at, R.modifiedTime, SECOND) BETWEEN @grace AND @seen_within
      AND (J.run_id IS NOT NULL OR R._run_id IN UNNEST(@recent_runs))
      AND M.ticket_id IS NULL
    GROUP BY R.ticket_id, R.modifiedTime
  )
  GROUP BY day"""
    sql = f"""\
WITH {_days(dataset, delivered)}
WHERE day >= DATE(@since)
ORDER BY day"""
    return Query(
        sql,
        (
            *_parameters(since),
            Parameter("grace", ColumnType.INT64, _seconds(grace)),
            Parameter("seen_within", ColumnType.INT64, _seconds(POLLED_WITHIN)),
            Parameter("recent_runs", ColumnType.STRING, tuple(recent_runs)),
        ),
    )


def _days(dataset: Dataset, delivered: str) -> str:
    """Join delivered changes by day with the ledger's."""
    return f"""\
ledger AS (
  SELECT
    DATE(modifiedTime) AS day,
    COUNTIF(reason IN UNNEST(@missed_reasons)) AS missed,
    COUNTIF(reason = 'late') AS late
  FROM {dataset.table(tables.MISSED_UPDATES.name)}
  WHERE detected_at >= @reads_from
  GROUP BY day
),
by_day AS (
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
FROM by_day AS D
FULL JOIN ledger AS L
USING (day)"""


def _parameters(since: datetime) -> tuple[Parameter, ...]:
    return (
        Parameter("since", ColumnType.TIMESTAMP, since),
        Parameter("reads_from", ColumnType.TIMESTAMP, since - CLOCK_SKEW),
        Parameter("missed_reasons", ColumnType.STRING, MISSED_REASONS),
    )


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
