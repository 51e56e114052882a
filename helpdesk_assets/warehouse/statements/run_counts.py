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

import msgspec

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.judging import Judging
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.webhooks import (
    MISSED_REASONS,
    WEBHOOK_TIME_FIELDS,
    JudgedBy,
    MissedUpdate,
    NotJudged,
    WebhookCounts,
)
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements import ground_counts, webhook_counts
from helpdesk_assets.warehouse.statements.batch_counts import batch_counts
from helpdesk_assets.warehouse.statements.repeated_rows import repeated_counts
from helpdesk_assets.warehouse.table_spec import ColumnType

# Rows may change while a run is in progress, and the clocks of a helpdesk's servers may differ.
FUTURE_TOLERANCE = timedelta(minutes=15)
MISSED_SAMPLE = 100
_GROUND = ("batch_tickets", "absent", "rows_lost", "behind", "history_rows")
_REPEATED = ("repeated_versions", "repeated_misses")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run_counts_query(
    dataset: Dataset,
    manifest: Manifest,
    judging: Judging,
    seen: SyncState | None = None,
    *,
    is_repeated: bool = False,
) -> Query:
    """Count one row: `facts`, the fields of `RunCounts`, and `is_whole`.

    `facts` is JSON text with times as microseconds. `is_whole` is whether the whole batch is still
    there, and the tickets table holds each of its tickets at least as new; of a repeated batch,
    whether it holds them as a MERGE of the batch would leave them.

    Args:
        dataset: where the tables are.
        manifest: the run.
        judging: what the run judges of webhooks.
        seen: the state row that the run began with; None: there is none, or it stays as it is.
        is_repeated: the batch was not merged, since it was stored before.
    """
    counted = batch_counts(dataset, manifest, is_repeated=is_repeated)
    is_same = " AND C.differing = 0" if is_repeated else ""
    behind = ground_counts.behind(dataset, manifest, seen)
    index_lag = webhook_counts.index_lag(dataset, manifest)
    webhooks = webhook_counts.webhooks(dataset, manifest, judging)
    webhook_fields = ",\n".join(
        f"    E.{each.name} AS {each.name}" for each in fields(WebhookCounts)
    )
    repeated_fields, repeated = repeated_counts(dataset, manifest)
    tickets = dataset.table(tables.TICKETS.name)
    missed = dataset.table(tables.MISSED_UPDATES.name)
    history = dataset.table(tables.RAW_TICKET_CHANGES.name)
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
  L.index_lag_p99 AS index_lag_p99,
  C.batch_tickets AS batch_tickets,
  C.absent AS absent,
  GREATEST(0, @tickets_before - (W.row_count - W.repeated_keys - W.null_keys)) AS rows_lost,
  G.behind AS behind,
  H.history_rows AS history_rows{repeated_fields},
  STRUCT(
{webhook_fields}
  ) AS webhooks
)) AS facts,
C.absent = 0 AND C.batch_rows >= @batch_rows{is_same} AS is_whole
FROM (
  SELECT
    COUNT(*) AS row_count,
    COUNT(ticket_id) - COUNT(DISTINCT ticket_id) AS repeated_keys,
    COUNTIF(ticket_id IS NULL) AS null_keys,
    COUNTIF(modifiedTime IS NULL AND deletedTime IS NULL) AS null_times,
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
) AS L
CROSS JOIN (
{indent(behind.sql, "  ")}
) AS G
CROSS JOIN (
  SELECT COUNT(*) AS history_rows
  FROM {history}
) AS H
CROSS JOIN (
{indent(repeated.sql, "  ")}
) AS R
CROSS JOIN (
{indent(webhooks.sql, "  ")}
) AS E"""
    return Query(
        sql,
        (
            *counted.parameters,
            *index_lag.parameters,
            *webhooks.parameters,
            *behind.parameters,
            Parameter("tickets_before", ColumnType.INT64, seen.facts.distinct_rows if seen else 0),
            Parameter("batch_rows", ColumnType.INT64, manifest.rows),
            *repeated.parameters,
            Parameter("missed_reasons", ColumnType.STRING, MISSED_REASONS),
            Parameter("future_after", ColumnType.TIMESTAMP, manifest.served_at + FUTURE_TOLERANCE),
            Parameter("run_id", ColumnType.STRING, manifest.run_id),
        ),
    )


def run_counts_from_json(text: str | None) -> RunCounts:
    """Read the JSON text of `facts`; None gives zeros, and unknown names are ignored.

    Raises:
        LookupError, TypeError, ValueError: the text is not what `run_counts_query` made.
    """
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
    counts = RunCounts(
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
        webhooks=_webhooks_from(webhooks or {}),
        repeated=(),
        **{name: int(stored.get(name) or 0) for name in (*_GROUND, *_REPEATED)},
    )
    # The types within the text are not checked above.
    return msgspec.convert(msgspec.to_builtins(counts), RunCounts)


def _webhooks_from(stored: Mapping[str, Any]) -> WebhookCounts:
    values = {field.name: _webhook_value(field.name, stored) for field in fields(WebhookCounts)}
    return WebhookCounts(**values)


def _webhook_value(name: str, stored: Mapping[str, Any]) -> Any:
    value = stored.get(name)
    if name in WEBHOOK_TIME_FIELDS:
        return None if value is None else _from_micros(value)
    if name in ("latency_p50", "latency_p95"):
        return None if value is None else float(value)
    if name == "judged_by":
        return JudgedBy(value or JudgedBy.NOTHING)
    if name == "not_judged":
        return NotJudged(value) if value else None
    return int(value or 0)


def _from_micros(micros: Any) -> datetime:
    return EPOCH + timedelta(microseconds=int(micros))
