"""The watermark as a person moves it: set to a time, or made again where the state row was lost.

Both are compare-and-set on the state row's version, like a run's own advance, and count as one: a
run that is under way gives way when it closes. What an interrupted reading had stored is given up,
since that reading would go on from where it was and pass over what the person wanted. Must not know
what a change of the watermark means for anybody; who asks for it says that first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets import tables
from helpdesk_assets.errors import AnotherWriter
from helpdesk_assets.model import Mode
from helpdesk_assets.sync_state import SyncState
from helpdesk_assets.table_spec import ColumnType
from helpdesk_assets.warehouse.client import Warehouse
from helpdesk_assets.warehouse.run_records import history
from helpdesk_assets.warehouse.sql import Dataset, Parameter, Query
from helpdesk_assets.warehouse.state import StateTable


@dataclass(frozen=True, slots=True)
class Setting:
    """What the state row shall say. `version`: the one that it gets."""

    watermark: datetime | None
    cursor: str | None
    version: int
    run_id: str
    reason: str


def set_state(
    warehouse: Warehouse, sync_name: str, setting: Setting, seen: SyncState | None
) -> SyncState:
    """Write the row if it is still the one that was `seen` (None: there was none).

    Raises:
        AnotherWriter: it is not.
    """
    statement = setting_statement(warehouse.dataset, sync_name, setting, seen)
    warehouse.run(statement, run_id=setting.run_id, step=tables.SYNC_STATE.name)
    state = StateTable(warehouse, sync_name).read()
    if state is None or state.run_id != setting.run_id:
        raise AnotherWriter(
            f"Setting the watermark of sync {sync_name!r} by hand: a run has moved it meanwhile. "
            "Nothing was changed. Look at `helpdesk-assets watermark show`, and set it again if it "
            "is still wrong."
        )
    return state


def setting_statement(
    dataset: Dataset, sync_name: str, setting: Setting, seen: SyncState | None
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
WHEN MATCHED AND T.version = @seen_version THEN UPDATE SET
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
WHEN NOT MATCHED AND @seen_version = 0 THEN INSERT
  (sync_name, watermark, cursor, version, run_id, reason, closed_at, recent_runs)
VALUES
  (S.sync_name, S.watermark, S.cursor, S.version, S.run_id, S.reason, S.closed_at,
   S.recent_runs)"""
    return Query(
        sql,
        (
            Parameter("sync_name", ColumnType.STRING, sync_name),
            Parameter("watermark", ColumnType.TIMESTAMP, setting.watermark),
            Parameter("cursor", ColumnType.STRING, setting.cursor),
            Parameter("version", ColumnType.INT64, setting.version),
            Parameter("run_id", ColumnType.STRING, setting.run_id),
            Parameter("reason", ColumnType.STRING, f"{Mode.BY_HAND}: {setting.reason}"),
            Parameter("recent_runs", ColumnType.STRING, history(seen)),
            Parameter("seen_version", ColumnType.INT64, seen.version if seen else 0),
        ),
    )
