"""What is counted of webhooks and of polling's own lag when a run closes, as SQL.

Both are parts of the one statement that closes the run, so that no check has to ask again.
"""

from __future__ import annotations

from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.judging_window import judging_window, unsubscribed_as_sql
from helpdesk_assets.warehouse.table_spec import ColumnType


def index_lag(dataset: Dataset, manifest: Manifest) -> Query:
    """One row: how far behind the watermark changes were found that no run had seen.

    That is what an overlap is for. A change after the watermark says nothing of the helpdesk's
    search index: it waited for the run. Nor does a full run, whose window has no edge.
    """
    watermark, since = manifest.initial_watermark, manifest.window.since
    if (
        manifest.rows == 0
        or manifest.is_range
        or manifest.mode is Mode.FULL
        or watermark is None
        or since is None
    ):
        return Query("SELECT 0.0 AS behind_p99")
    sql = f"""\
SELECT
  APPROX_QUANTILES(
    GREATEST(0, TIMESTAMP_DIFF(@initial_watermark, N.modifiedTime, MILLISECOND) / 1000), 100
  )[OFFSET(99)] AS behind_p99
FROM (
  SELECT ticket_id, modifiedTime
  FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)}
  WHERE _fetched_at >= @behind_from
    AND modifiedTime >= @behind_from
  GROUP BY ticket_id, modifiedTime
  HAVING LOGICAL_AND(_run_id = @run_id)
) AS N"""
    return Query(
        sql,
        (
            Parameter("initial_watermark", ColumnType.TIMESTAMP, watermark),
            Parameter("behind_from", ColumnType.TIMESTAMP, since),
        ),
    )


def webhooks(dataset: Dataset, manifest: Manifest, policy: WebhookPolicy) -> Query:
    """One row of what a `WebhookCounts` holds, times as microseconds. Needs `@run_id` as well.

    The last event's time is that of the version it brought where that is later, for the clocks of
    helpdesk and receiver may differ; not where it is ahead of the helpdesk's own clock.
    """
    bounds = judging_window(manifest, policy)
    unsubscribed, words = unsubscribed_as_sql("R", policy.unsubscribed)
    sql = f"""\
WITH events AS (
  SELECT
    GREATEST(received_at, IF(modifiedTime <= @served_at, modifiedTime, received_at)) AS heard_at,
    IF(modifiedTime IS NULL, NULL,
      GREATEST(0, TIMESTAMP_DIFF(committed_at, modifiedTime, MILLISECOND) / 1000)) AS latency
  FROM {dataset.table(tables.WEBHOOK_EVENTS.name)}
  WHERE received_at >= @reads_from
),
heard AS (
  SELECT
    COUNTIF(heard_at > @counted_after) AS events,
    APPROX_QUANTILES(IF(heard_at > @counted_after, latency, NULL), 100) AS latencies,
    MAX(heard_at) AS last_event
  FROM events
),
versions AS (
  SELECT R.ticket_id, R.modifiedTime
  FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)} AS R
  WHERE R._fetched_at >= @reads_from
    AND R.modifiedTime > @reads_from
    AND R.modifiedTime <= @delivered_by
    AND NOT {unsubscribed}
  GROUP BY R.ticket_id, R.modifiedTime
),
polled AS (
  SELECT
    COUNTIF(V.modifiedTime > @counted_after) AS judged,
    COUNTIF(H.last_event IS NULL OR V.modifiedTime > H.last_event) AS unheard,
    MIN(IF(H.last_event IS NULL OR V.modifiedTime > H.last_event, V.modifiedTime, NULL))
      AS unheard_since
  FROM versions AS V
  CROSS JOIN heard AS H
),
written AS (
  SELECT
    COUNTIF(reason = 'late') AS late,
    COUNTIF(reason = 'not_subscribed') AS not_subscribed,
    COUNTIF(reason = 'webhook_only') AS webhook_only
  FROM {dataset.table(tables.MISSED_UPDATES.name)}
  WHERE _judged_by = @run_id
)
SELECT
  P.judged,
  W.late,
  W.not_subscribed,
  W.webhook_only,
  H.events,
  H.latencies[SAFE_OFFSET(50)] AS latency_p50,
  H.latencies[SAFE_OFFSET(95)] AS latency_p95,
  UNIX_MICROS(H.last_event) AS last_event,
  P.unheard,
  UNIX_MICROS(P.unheard_since) AS unheard_since
FROM heard AS H
CROSS JOIN polled AS P
CROSS JOIN written AS W"""
    named = {
        "served_at": manifest.served_at,
        "reads_from": bounds.reads_from,
        "counted_after": bounds.counted_after,
        "delivered_by": bounds.delivered_by,
    }
    times = (Parameter(name, ColumnType.TIMESTAMP, at) for name, at in named.items())
    return Query(sql, (*words, *times))
