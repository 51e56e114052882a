"""Counts the tables when a run commits, and reads the counts back.

The query is part of the statement that moves the watermark, so that a run gets all counts by a
table read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from textwrap import indent
from typing import Any

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.model.webhooks import (
    MISSED_REASONS,
    WEBHOOK_TIME_FIELDS,
    MissedUpdate,
    WebhookCounts,
    WebhookPolicy,
)
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements import webhook_counts
from helpdesk_assets.warehouse.statements.batch import batch
from helpdesk_assets.warehouse.table_spec import ColumnType

# Rows may change while a run is in progress, and the clocks of a helpdesk's servers may differ.
FUTURE_TOLERANCE = timedelta(minutes=15)
MISSED_SAMPLE = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run_counts_query(dataset: Dataset, manifest: Manifest, events: WebhookPolicy | None) -> Query:
    """Count one row `facts`: the fields of `RunCounts` as JSON text, times as microseconds.

    Args:
        dataset: where the tables are.
        manifest: the run.
        events: the policy if our receiver's events judge the ledger, else None.
    """
    counted = batch_counts(dataset, manifest)
    index_lag = webhook_counts.index_lag(dataset, manifest)
    webhook_fields, webhooks = _webhook_counts(dataset, manifest, events)
    tickets = dataset.table(tables.TICKETS.name)
    missed = dataset.table(tables.MISSED_UPDATES.name)
    sql = f"""\
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
  L.index_lag_p99 AS index_lag_p99{webhook_fields}
)) AS facts
FROM (
  SELECT
    COUNT(*) AS row_count,
    COUNT(ticket_id) - COUNT(DISTINCT ticket_id) AS repeated_keys,
    COUNTIF(ticket_id IS NULL) AS null_keys,
    COUNTIF(modifiedTime IS NULL) AS null_times,
    COUNTIF(modifiedTime > @future_after) AS future_times
  FROM {tickets}
) AS W
CROSS JOIN (
{indent(counted.sql, "  ")}
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
      ORDER BY lag_seconds DESC, ticket_id LIMIT {MISSED_SAMPLE}
    ) AS missed
  FROM {missed}
  WHERE _run_id = @run_id
    AND reason IN UNNEST(@missed_reasons)
) AS M
CROSS JOIN (
{indent(index_lag.sql, "  ")}
) AS L"""
    if webhooks is not None:
        sql += f"""
CROSS JOIN (
{indent(webhooks.sql, "  ")}
) AS E"""
    more = (*index_lag.parameters, *(webhooks.parameters if webhooks is not None else ()))
    return Query(
        sql,
        (
            *counted.parameters,
            *more,
            Parameter("missed_reasons", ColumnType.STRING, MISSED_REASONS),
            Parameter("future_after", ColumnType.TIMESTAMP, manifest.served_at + FUTURE_TOLERANCE),
            _run_id(manifest),
        ),
    )


def batch_counts_query(dataset: Dataset, manifest: Manifest) -> Query:
    """Count what became of the batch, as one row, without reading the whole table."""
    counted = batch_counts(dataset, manifest)
    return Query(counted.sql, (*counted.parameters, _run_id(manifest)))


def _run_id(manifest: Manifest) -> Parameter:
    return Parameter("run_id", ColumnType.STRING, manifest.run_id)


def _webhook_counts(
    dataset: Dataset, manifest: Manifest, events: WebhookPolicy | None
) -> tuple[str, Query | None]:
    """Return the webhooks' field of the JSON, and the query that it is read from."""
    if events is None:
        return "", None
    names = [field.name for field in fields(WebhookCounts)]
    struct = ",\n".join(f"    E.{name} AS {name}" for name in names)
    return f",\n  STRUCT(\n{struct}\n  ) AS webhooks", webhook_counts.webhooks(
        dataset, manifest, events
    )


def batch_counts(dataset: Dataset, manifest: Manifest) -> Query:
    """Count what became of the batch's tickets. Needs `@run_id` as well."""
    if manifest.rows == 0:
        return Query("SELECT 0 AS inserted, 0 AS updated, 0 AS unchanged, 0 AS rejected")
    source = batch(dataset, manifest)
    ours = "T._run_id = @run_id"
    theirs = "T._run_id IS DISTINCT FROM @run_id"
    sql = f"""\
SELECT
  COUNTIF({ours} AND T._first_synced_at = T._synced_at) AS inserted,
  COUNTIF({ours} AND T._first_synced_at IS DISTINCT FROM T._synced_at) AS updated,
  COUNTIF({theirs} AND T.modifiedTime <= B.modifiedTime) AS unchanged,
  COUNTIF({theirs} AND T.modifiedTime > B.modifiedTime) AS rejected
FROM (
  SELECT ticket_id, MAX(modifiedTime) AS modifiedTime
  FROM (
{indent(source.sql, "    ")}
  )
  GROUP BY ticket_id
) AS B
JOIN {dataset.table(tables.TICKETS.name)} AS T
ON T.ticket_id = B.ticket_id"""
    return Query(sql, source.parameters)


def run_counts_from_json(text: str | None) -> RunCounts:
    """Read the JSON text of `facts`; None gives zeros."""
    if not text:
        return RunCounts()
    stored = json.loads(text)
    webhooks, since = stored.get("webhooks"), stored.get("missed_since")
    missed = tuple(
        MissedUpdate(
            ticket_id=row["ticket_id"],
            modified_time=_from_micros(row["modified_time"]),
            reason=row["reason"],
            lag_seconds=float(row["lag_seconds"]),
        )
        for row in stored["missed"] or ()
    )
    return RunCounts(
        rows=int(stored["row_count"]),
        repeated_keys=int(stored["repeated_keys"]),
        null_keys=int(stored["null_keys"]),
        null_times=int(stored["null_times"]),
        future_times=int(stored["future_times"]),
        inserted=int(stored["inserted"]),
        updated=int(stored["updated"]),
        unchanged=int(stored["unchanged"]),
        rejected=int(stored["rejected"]),
        missed_total=int(stored["missed_total"]),
        missed=missed,
        missed_since=_from_micros(since) if since is not None else None,
        index_lag_p99=float(stored.get("index_lag_p99") or 0.0),
        webhooks=_webhooks_from(webhooks) if webhooks else None,
    )


def _webhooks_from(stored: Mapping[str, Any]) -> WebhookCounts:
    values = {field.name: _webhook_value(field.name, stored) for field in fields(WebhookCounts)}
    return WebhookCounts(**values)


def _webhook_value(name: str, stored: Mapping[str, Any]) -> Any:
    value = stored.get(name)
    if name in WEBHOOK_TIME_FIELDS:
        return None if value is None else _from_micros(value)
    if name in ("latency_p50", "latency_p95"):
        return None if value is None else float(value)
    return int(value or 0)


def _from_micros(micros: Any) -> datetime:
    return EPOCH + timedelta(microseconds=int(micros))
