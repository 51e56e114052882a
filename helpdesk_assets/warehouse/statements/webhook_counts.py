"""Counts of webhooks and of the helpdesk's index lag when a run commits, as SQL.

Both are part of the statement that commits the run, so that no check needs a query of its own.
"""

from __future__ import annotations

from textwrap import indent

from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.webhooks import JudgedBy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.batch import batch
from helpdesk_assets.warehouse.statements.delivered_events import event_tables
from helpdesk_assets.warehouse.statements.judging_window import judging_window, unsubscribed_as_sql
from helpdesk_assets.warehouse.table_spec import ColumnType


def index_lag(dataset: Dataset, manifest: Manifest) -> Query:
    """Measure the index lag that the overlap must cover, as one row `index_lag_p99` in seconds.

    It is how far before the watermark the run found changes that no run had seen. Changes after
    the watermark are excluded (they only waited for this run), and so are full runs (no window
    start to lag behind). Needs `@run_id` as well.
    """
    watermark, since = manifest.initial_watermark, manifest.window.since
    if (
        manifest.rows == 0
        or manifest.is_range
        or manifest.mode is Mode.FULL
        or watermark is None
        or since is None
    ):
        return Query("SELECT 0.0 AS index_lag_p99")
    sql = f"""\
SELECT
  APPROX_QUANTILES(
    GREATEST(0, TIMESTAMP_DIFF(@initial_watermark, N.modifiedTime, MILLISECOND) / 1000), 100
  )[OFFSET(99)] AS index_lag_p99
FROM (
  SELECT ticket_id, modifiedTime
  FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)}
  WHERE _fetched_at >= @lag_since
    AND modifiedTime >= @lag_since
  GROUP BY ticket_id, modifiedTime
  HAVING LOGICAL_AND(_run_id = @run_id)
) AS N"""
    return Query(
        sql,
        (
            Parameter("initial_watermark", ColumnType.TIMESTAMP, watermark),
            Parameter("lag_since", ColumnType.TIMESTAMP, since),
        ),
    )


def webhooks(dataset: Dataset, manifest: Manifest, judging: Judging) -> Query:
    """Count one row with the fields of `WebhookCounts`, times as microseconds.

    Args:
        dataset: where the tables are.
        manifest: the run. The statement needs its `@run_id` as well.
        judging: what the run judges.
    """
    counted, why = _NO_COUNTS, judging.not_judged
    if judging.by is JudgedBy.EVENTS:
        counted = _counts_by_events(dataset, manifest, judging)
    elif judging.by is JudgedBy.TABLE and manifest.rows:
        counted = _counts_by_table(dataset, manifest, judging)
    sql = f"""\
SELECT
  @judged_by AS judged_by,
  @not_judged AS not_judged,
  UNIX_MICROS(@loaded_until) AS loaded_until,
  N.*
FROM (
{indent(counted.sql, "  ")}
) AS N"""
    return Query(
        sql,
        (
            *counted.parameters,
            Parameter("judged_by", ColumnType.STRING, judging.by.value),
            Parameter("not_judged", ColumnType.STRING, why.value if why else None),
            Parameter("loaded_until", ColumnType.TIMESTAMP, judging.loaded_until),
        ),
    )


_NO_EVENTS_COUNTED = """\
  0 AS late,
  0 AS not_subscribed,
  0 AS webhook_only,
  0 AS events,
  CAST(NULL AS FLOAT64) AS latency_p50,
  CAST(NULL AS FLOAT64) AS latency_p95,
  CAST(NULL AS INT64) AS last_event,
  0 AS changes_since_last_event,
  CAST(NULL AS INT64) AS first_change_since_last_event"""
_NO_COUNTS = Query(f"SELECT\n  0 AS judged,\n  0 AS pending,\n{_NO_EVENTS_COUNTED}")


def _counts_by_table(dataset: Dataset, manifest: Manifest, judging: Judging) -> Query:
    """Count the batch's changes that no run had seen before, by whether the grace is over.

    Needs the parameters of the batch as well.
    """
    bounds, source = judging_window(manifest, judging), batch(dataset, manifest)
    sql = f"""\
SELECT
  COUNTIF(V.modifiedTime > @counted_after AND V.modifiedTime <= @delivered_by) AS judged,
  COUNTIF(V.modifiedTime > @delivered_by) AS pending,
{_NO_EVENTS_COUNTED}
FROM (
  SELECT ticket_id, MAX(modifiedTime) AS modifiedTime
  FROM (
{indent(source.sql, "    ")}
  )
  GROUP BY ticket_id
) AS V"""
    counted_after = manifest.initial_watermark or bounds.since
    return Query(
        sql,
        (
            Parameter("counted_after", ColumnType.TIMESTAMP, counted_after),
            Parameter("delivered_by", ColumnType.TIMESTAMP, bounds.delivered_by),
        ),
    )


def _counts_by_events(dataset: Dataset, manifest: Manifest, judging: Judging) -> Query:
    """Count events and the changes that they should have brought.

    An event's time is its arrival or, if later, that of its version, since the clocks of helpdesk
    and receiver may differ. A version ahead of the helpdesk's own clock does not count. Nor does a
    change before the first event ever, since there was no receiver to send one to.
    """
    bounds = judging_window(manifest, judging)
    unsubscribed, words = unsubscribed_as_sql("R", judging.policy.unsubscribed)
    sql = f"""\
WITH {event_tables(dataset)},
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
  FROM {dataset.table(tables.RAW_TICKET_CHANGES.name)} AS R
  CROSS JOIN first_event AS F
  WHERE R._fetched_at >= @reads_from
    AND R.modifiedTime > @heard_after
    AND (F.received_at IS NULL OR R.modifiedTime >= F.received_at)
    AND NOT {unsubscribed}
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
  FROM {dataset.table(tables.MISSED_UPDATES.name)}
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
CROSS JOIN ledger_counts AS L"""
    named = {
        "served_at": manifest.served_at,
        "reads_from": bounds.reads_from,
        "heard_after": bounds.heard_after,
        "counted_after": bounds.counted_after,
        "delivered_by": bounds.delivered_by,
    }
    times = (Parameter(name, ColumnType.TIMESTAMP, at) for name, at in named.items())
    return Query(sql, (*words, *times))
