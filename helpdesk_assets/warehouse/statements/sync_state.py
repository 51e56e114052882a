"""The statements that write the one row of sync_state, each a compare-and-set on its version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.codec import to_text
from helpdesk_assets.model.run_history import read_counts_to_json, recent_runs_to_json
from helpdesk_assets.model.state import Checkpoint, ReadCounts, SyncState
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query
from helpdesk_assets.warehouse.statements.run_counts import facts
from helpdesk_assets.warehouse.table_spec import ColumnType


def commit_statement(
    dataset: Dataset,
    sync_name: str,
    manifest: Manifest,
    recent_runs: str,
    events: WebhookPolicy | None = None,
) -> Query:
    """The compare-and-set on the state row, with the facts counted in the same statement."""
    counted = facts(dataset, manifest, events)
    source = "\n".join("  " + line for line in counted.sql.splitlines())
    sql = f"""\
MERGE INTO {dataset.table(tables.SYNC_STATE.name)} AS T
USING (
  SELECT
    @sync_name AS sync_name,
    @watermark AS watermark,
    @cursor AS cursor,
    @expected_version + 1 AS version,
    @window_since AS window_since,
    @window_until AS window_until,
    @run_id AS run_id,
    @reason AS reason,
    CURRENT_TIMESTAMP() AS closed_at,
    F.facts AS facts,
    @reading AS reading,
    @recent_runs AS recent_runs
  FROM (
{source}
  ) AS F
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND T.version = @expected_version THEN UPDATE SET
  watermark = IF(T.watermark IS NULL OR S.watermark > T.watermark, S.watermark, T.watermark),
  cursor = S.cursor,
  version = S.version,
  window_since = S.window_since,
  window_until = S.window_until,
  run_id = S.run_id,
  reason = S.reason,
  closed_at = S.closed_at,
  facts = S.facts,
  reading = S.reading,
  recent_runs = S.recent_runs,
  unfinished = CAST(NULL AS STRING)
WHEN NOT MATCHED AND @expected_version = 0 THEN INSERT
  (sync_name, watermark, cursor, version, window_since, window_until, run_id, reason, closed_at,
   facts, reading, recent_runs)
VALUES
  (S.sync_name, S.watermark, S.cursor, S.version, S.window_since, S.window_until, S.run_id,
   S.reason, S.closed_at, S.facts, S.reading, S.recent_runs)"""
    moved = manifest.window.until if manifest.advances_watermark else None
    own = (
        Parameter("sync_name", ColumnType.STRING, sync_name),
        Parameter("watermark", ColumnType.TIMESTAMP, moved),
        Parameter("cursor", ColumnType.STRING, manifest.cursor),
        Parameter("expected_version", ColumnType.INT64, manifest.expected_version),
        Parameter("window_since", ColumnType.TIMESTAMP, manifest.window.since),
        Parameter("window_until", ColumnType.TIMESTAMP, manifest.window.until),
        Parameter("reason", ColumnType.STRING, f"{manifest.mode}: {manifest.reason}"),
        Parameter("reading", ColumnType.STRING, read_counts_to_json(_read_counts(manifest))),
        Parameter("recent_runs", ColumnType.STRING, recent_runs),
    )
    return Query(sql, (*counted.parameters, *own))


def _read_counts(manifest: Manifest) -> ReadCounts:
    return ReadCounts(manifest.rows, manifest.pages, manifest.api.calls)


def checkpoint_statement(
    dataset: Dataset, sync_name: str, checkpoint: Checkpoint, expected_version: int
) -> Query:
    """The compare-and-set by which a reading's place comes into the state row."""
    sql = f"""\
MERGE INTO {dataset.table(tables.SYNC_STATE.name)} AS T
USING (
  SELECT
    @sync_name AS sync_name,
    @unfinished AS unfinished
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND T.version = @expected_version THEN UPDATE SET
  unfinished = S.unfinished
WHEN NOT MATCHED AND @expected_version = 0 THEN INSERT
  (sync_name, version, unfinished)
VALUES
  (S.sync_name, 0, S.unfinished)"""
    return Query(
        sql,
        (
            Parameter("sync_name", ColumnType.STRING, sync_name),
            Parameter("unfinished", ColumnType.STRING, to_text(checkpoint)),
            Parameter("expected_version", ColumnType.INT64, expected_version),
        ),
    )


@dataclass(frozen=True, slots=True)
class ManualState:
    """What the state row shall say. `version`: the one that it gets."""

    watermark: datetime | None
    cursor: str | None
    version: int
    run_id: str
    reason: str


def manual_state_statement(
    dataset: Dataset, sync_name: str, manual_state: ManualState, expected: SyncState | None
) -> Query:
    """The compare-and-set. The facts stay those of the last run that counted."""
    sql = f"""\
MERGE INTO {dataset.table(tables.SYNC_STATE.name)} AS T
USING (
  SELECT
    @sync_name AS sync_name,
    @watermark AS watermark,
    @cursor AS cursor,
    @version AS version,
    @run_id AS run_id,
    @reason AS reason,
    CURRENT_TIMESTAMP() AS closed_at,
    @recent_runs AS recent_runs
) AS S
ON T.sync_name = S.sync_name
WHEN MATCHED AND T.version = @expected_version THEN UPDATE SET
  watermark = S.watermark,
  cursor = S.cursor,
  version = S.version,
  window_since = CAST(NULL AS TIMESTAMP),
  window_until = CAST(NULL AS TIMESTAMP),
  run_id = S.run_id,
  reason = S.reason,
  closed_at = S.closed_at,
  reading = CAST(NULL AS STRING),
  recent_runs = S.recent_runs,
  unfinished = CAST(NULL AS STRING)
WHEN NOT MATCHED AND @expected_version = 0 THEN INSERT
  (sync_name, watermark, cursor, version, run_id, reason, closed_at, recent_runs)
VALUES
  (S.sync_name, S.watermark, S.cursor, S.version, S.run_id, S.reason, S.closed_at,
   S.recent_runs)"""
    return Query(
        sql,
        (
            Parameter("sync_name", ColumnType.STRING, sync_name),
            Parameter("watermark", ColumnType.TIMESTAMP, manual_state.watermark),
            Parameter("cursor", ColumnType.STRING, manual_state.cursor),
            Parameter("version", ColumnType.INT64, manual_state.version),
            Parameter("run_id", ColumnType.STRING, manual_state.run_id),
            Parameter("reason", ColumnType.STRING, f"{Mode.MANUAL}: {manual_state.reason}"),
            Parameter("recent_runs", ColumnType.STRING, recent_runs_to_json(expected)),
            Parameter("expected_version", ColumnType.INT64, expected.version if expected else 0),
        ),
    )
