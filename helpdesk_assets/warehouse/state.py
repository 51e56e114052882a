"""The state row: how far a sync has come, moved by compare-and-set and never backwards.

The watermark is the sync's own. It is not derived from the tickets table, because webhooks write
there too: `MAX(modifiedTime)` runs ahead of what the sync has seen and hides exactly the updates
that it should find. Losing the row loses no ticket, the next run is then a full load.

Reading is a table read, which costs no query job. The statement that moves the row also stores
what the warehouse counts at that moment, so that reading the row back tells a run's whole outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from helpdesk_assets import tables
from helpdesk_assets.deliveries import WebhookPolicy
from helpdesk_assets.errors import AnotherWriter
from helpdesk_assets.model import Manifest, Window
from helpdesk_assets.sync_state import Reading, RunFacts, SyncState
from helpdesk_assets.table_spec import ColumnType
from helpdesk_assets.warehouse import unfinished
from helpdesk_assets.warehouse.client import Warehouse
from helpdesk_assets.warehouse.facts import facts, facts_from
from helpdesk_assets.warehouse.run_records import (
    history,
    reading_from,
    reading_to,
    records_from,
)
from helpdesk_assets.warehouse.sql import Dataset, Parameter, Query

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StateTable:
    """The one row of sync_state that belongs to `sync_name`."""

    def __init__(self, warehouse: Warehouse, sync_name: str) -> None:
        self._warehouse = warehouse
        self._sync_name = sync_name

    def read(self) -> SyncState | None:
        """The state as it is now; None before the first run has closed.

        Two first runs at once can both insert the row, since keys are not enforced. Both windows
        were durable then; the lower watermark is believed, which costs a re-read and loses nothing.
        """
        states = [state for state in self._read_all() if state.sync_name == self._sync_name]
        return min(states, key=lambda state: state.watermark or EPOCH, default=None)

    def stagings_in_use(self) -> set[str]:
        """The tables that interrupted readings go on with, of whichever sync."""
        return {state.unfinished.staging for state in self._read_all() if state.unfinished}

    def _read_all(self) -> list[SyncState]:
        return [_state_from(row) for row in self._warehouse.list_rows(tables.SYNC_STATE.name)]

    def close_run(
        self, manifest: Manifest, *, events: WebhookPolicy | None = None, attempt: int = 0
    ) -> SyncState:
        """Record that the batch is durable in tickets, and move the watermark if it may move.
        `events`: see `facts`.

        Call it only after the MERGE into tickets has succeeded. Calling it again for the same run
        changes nothing.

        Raises:
            AnotherWriter: the row is no longer the one that the run began with.
        """
        seen = self.read()
        if seen is not None and seen.run_id == manifest.run_id:
            return seen
        statement = closing_statement(
            self._warehouse.dataset, self._sync_name, manifest, history(seen), events
        )
        self._warehouse.run(statement, run_id=manifest.run_id, step="sync_state", attempt=attempt)
        state = self.read()
        if state is None or state.run_id != manifest.run_id:
            raise AnotherWriter(
                f"Moving the watermark of sync {self._sync_name!r} from version "
                f"{manifest.seen_version}: another run has moved it meanwhile. No ticket is lost; "
                "run the sync again, and let one schedule or person at a time run it."
            )
        return state

    def count_facts(
        self, manifest: Manifest, *, events: WebhookPolicy | None = None, attempt: int = 0
    ) -> RunFacts:
        """What closing the run would have counted, without touching the state row."""
        outcome = self._warehouse.run(
            facts(self._warehouse.dataset, manifest, events),
            run_id=manifest.run_id,
            step="facts",
            attempt=attempt,
        )
        return next(facts_from(row["facts"]) for row in outcome.rows)


def closing_statement(
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
    @seen_version + 1 AS version,
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
WHEN MATCHED AND T.version = @seen_version THEN UPDATE SET
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
WHEN NOT MATCHED AND @seen_version = 0 THEN INSERT
  (sync_name, watermark, cursor, version, window_since, window_until, run_id, reason, closed_at,
   facts, reading, recent_runs)
VALUES
  (S.sync_name, S.watermark, S.cursor, S.version, S.window_since, S.window_until, S.run_id,
   S.reason, S.closed_at, S.facts, S.reading, S.recent_runs)"""
    moved = manifest.window.until if manifest.moves_watermark else None
    own = (
        Parameter("sync_name", ColumnType.STRING, sync_name),
        Parameter("watermark", ColumnType.TIMESTAMP, moved),
        Parameter("cursor", ColumnType.STRING, manifest.cursor),
        Parameter("seen_version", ColumnType.INT64, manifest.seen_version),
        Parameter("window_since", ColumnType.TIMESTAMP, manifest.window.since),
        Parameter("window_until", ColumnType.TIMESTAMP, manifest.window.until),
        Parameter("reason", ColumnType.STRING, f"{manifest.mode}: {manifest.reason}"),
        Parameter("reading", ColumnType.STRING, reading_to(_reading(manifest))),
        Parameter("recent_runs", ColumnType.STRING, recent_runs),
    )
    return Query(sql, (*counted.parameters, *own))


def _reading(manifest: Manifest) -> Reading:
    return Reading(manifest.rows, manifest.pages, manifest.api.calls)


def _state_from(row: Mapping[str, Any]) -> SyncState:
    until = row["window_until"]
    return SyncState(
        sync_name=row["sync_name"],
        watermark=row["watermark"],
        version=row["version"],
        cursor=row["cursor"],
        window=Window(row["window_since"], until) if until else None,
        run_id=row["run_id"],
        reason=row["reason"],
        closed_at=row["closed_at"],
        facts=facts_from(row["facts"]),
        reading=reading_from(row.get("reading")),
        recent_runs=records_from(row["recent_runs"]),
        unfinished=unfinished.from_text(row.get("unfinished")),
    )
