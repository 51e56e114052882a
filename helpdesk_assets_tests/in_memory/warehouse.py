"""The warehouse of one sync over a dataset in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from helpdesk_assets.errors import BatchGone, ConcurrentUpdate, WarehouseRefused
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.run_history import MAX_RECENT_RUNS, known_runs
from helpdesk_assets.model.state import (
    Checkpoint,
    ReadCounts,
    RepeatedRows,
    RunCounts,
    RunRecord,
    SyncState,
)
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ManualState
from helpdesk_assets.warehouse.stores.merge_requests import (
    batch_gone,
    has_committed,
    is_overtaken,
)
from helpdesk_assets.warehouse.table_spec import JobUsage, MergeReport
from helpdesk_assets_tests.in_memory import counts, ledger
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset, Row, read_rows
from helpdesk_assets_tests.in_memory.inventories import InMemoryInventories
from helpdesk_assets_tests.in_memory.repeated_rows import remove_repeated


class InMemoryWarehouse:
    """A `Warehouse`. It adopts no older table and runs no job."""

    use = JobUsage()

    def __init__(
        self,
        dataset: InMemoryDataset,
        *,
        sync_name: str = "tickets",
        small_batch_bytes: int = 1_000_000,
    ) -> None:
        self._dataset = dataset
        self.sync_name = sync_name
        self.small_batch_bytes = small_batch_bytes

    def read_state(self) -> SyncState | None:
        return self._dataset.states.get(self.sync_name)

    def adopted_until(self) -> datetime | None:
        return None

    def prepare(self) -> None:
        pass

    def can_resume(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.staging in self._dataset.stagings

    def checkpoint_store(self, run_id: str) -> InMemoryCheckpoints:
        return InMemoryCheckpoints(self._dataset, self)

    def merge_changes(self, manifest: Manifest, spool: Spool) -> MergeReport:
        spec, stagings = tables.RAW_TICKET_CHANGES, self._dataset.stagings
        if spool.rows and manifest.staging is not None:
            stagings[manifest.staging] = list(read_rows(spool, spec))
        if manifest.staging is None:
            return self._dataset.merge(spec, read_rows(spool, spec))
        if manifest.staging not in stagings:
            raise WarehouseRefused(f"There is no table {manifest.staging}.")
        return self._dataset.merge(spec, stagings[manifest.staging])

    def merge_missed(self, manifest: Manifest, webhooks: WebhookPolicy) -> MergeReport:
        spec, rows = tables.MISSED_UPDATES, list[Row]()
        has_rows = webhooks.enabled and self._has_rows(manifest)
        if ledger.uses_events(self._dataset, webhooks) and (has_rows or manifest.rows == 0):
            rows = list(ledger.by_events(self._dataset, manifest, webhooks))
        elif has_rows:
            rows = list(ledger.by_table(self._dataset, manifest, webhooks))
        return self._dataset.merge(spec, rows)

    def merge_tickets(self, manifest: Manifest) -> MergeReport:
        spec, now = tables.TICKETS, datetime.now(UTC)
        if not self._has_rows(manifest):
            return MergeReport(spec.name, 0, 0, 0)
        if is_overtaken(manifest, self.read_state()):
            spec = spec.strictly_newer()
        stamps = {
            "_synced_at": now,
            "_first_synced_at": now,
            "_synced_by": "sync",
            "_run_id": manifest.run_id,
        }
        rows = [row | stamps for row in _fill_tombstones(self._dataset.batch(manifest))]
        return self._dataset.merge(spec, rows, has_tombstones=manifest.may_have_tombstones)

    def count_batch(self, manifest: Manifest) -> RunCounts:
        return counts.count_batch(self._dataset, manifest)

    def commit_run(
        self, manifest: Manifest, webhooks: WebhookPolicy
    ) -> tuple[RunCounts, SyncState | None]:
        self._has_rows(manifest)
        events = webhooks if ledger.uses_events(self._dataset, webhooks) else None
        state = self.read_state()
        if manifest.is_range:
            facts = counts.count_run(self._dataset, manifest, events)
        else:
            if state is None or state.run_id != manifest.run_id:
                if (state.version if state else 0) != manifest.expected_version:
                    raise ConcurrentUpdate("Another run moved the watermark; run the sync again.")
                facts = counts.count_run(self._dataset, manifest, events, state)
                state = self._commit(manifest, facts)
            facts = state.facts
        self.drop_staging(manifest)
        return facts, state

    def remove_repeated_rows(
        self, manifest: Manifest, counts: RunCounts
    ) -> tuple[RepeatedRows, ...]:
        return remove_repeated(self._dataset, manifest, counts)

    def drop_staging(self, manifest: Manifest) -> None:
        if manifest.staging is not None:
            self._dataset.stagings.pop(manifest.staging, None)

    def find_live_tickets(self, ids: Sequence[str], *, run_id: str) -> list[str]:
        held = ((ticket_id, self._dataset.ticket(ticket_id)) for ticket_id in ids)
        return [ticket_id for ticket_id, row in held if row and row["deletedTime"] is None]

    def inventories(self) -> InMemoryInventories:
        return InMemoryInventories(self._dataset)

    def last_advances(self, limit: int) -> tuple[RunRecord, ...]:
        runs = self._dataset.log.values()
        newest = sorted(runs, key=lambda run: (run.closed_at, run.version), reverse=True)
        return tuple(newest[:limit])

    def set_manually(self, manual_state: ManualState, expected: SyncState | None) -> SyncState:
        state = SyncState(
            self.sync_name,
            manual_state.watermark,
            manual_state.version,
            manual_state.cursor,
            run_id=manual_state.run_id,
            reason=f"{Mode.MANUAL}: {manual_state.reason}",
            closed_at=datetime.now(UTC),
            facts=expected.facts if expected else RunCounts(),
            recent_runs=_recent_runs(expected),
            full_load_at=expected.full_load_at if expected else None,
        )
        if not self.compare_and_set(expected.version if expected else 0, state):
            raise ConcurrentUpdate("A run has moved the watermark meanwhile. Nothing was changed.")
        return state

    def compare_and_set(self, expected_version: int, state: SyncState) -> bool:
        """Write the state row if it still has that version; a missing row counts as 0."""
        seen = self.read_state()
        if (seen.version if seen else 0) != expected_version:
            return False
        self._dataset.states[self.sync_name] = state
        for run in known_runs(state):
            self._dataset.log.setdefault((run.version, run.run_id), run)
        return True

    def _commit(self, manifest: Manifest, facts: RunCounts) -> SyncState:
        seen = self.read_state()
        watermark = seen.watermark if seen else None
        if manifest.advances_watermark:
            until = manifest.window.until
            watermark = max(watermark, until) if watermark else until
        state = SyncState(
            self.sync_name,
            watermark,
            manifest.expected_version + 1,
            manifest.cursor,
            manifest.window,
            manifest.run_id,
            f"{manifest.mode}: {manifest.reason}",
            datetime.now(UTC),
            facts,
            ReadCounts(manifest.rows, manifest.pages, manifest.api.calls, manifest.newest),
            _recent_runs(seen),
            full_load_at=_full_load_at(manifest, seen),
        )
        if not self.compare_and_set(manifest.expected_version, state):
            raise ConcurrentUpdate("Another run has moved the watermark; run the sync again.")
        return state

    def _has_rows(self, manifest: Manifest) -> bool:
        if manifest.rows == 0:
            return False
        if manifest.staging is None or manifest.staging in self._dataset.stagings:
            return True
        if has_committed(manifest, self.read_state()):
            return False
        raise batch_gone(manifest)


class InMemoryCheckpoints:
    """A `CheckpointStore`."""

    def __init__(self, dataset: InMemoryDataset, warehouse: InMemoryWarehouse) -> None:
        self._dataset = dataset
        self._warehouse = warehouse

    def begin(self, staging: str) -> None:
        self._dataset.stagings[staging] = []

    def add_rows(self, spool: Spool, staging: str) -> None:
        if staging not in self._dataset.stagings:
            raise BatchGone(f"Staging table {staging} is gone. Run again: it starts over.")
        rows = read_rows(spool, tables.RAW_TICKET_CHANGES)
        self._dataset.stagings[staging].extend(rows)

    def save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        seen = self._warehouse.read_state()
        state = seen or SyncState(self._warehouse.sync_name, None, 0)
        if not self._warehouse.compare_and_set(
            expected_version, replace(state, checkpoint=checkpoint)
        ):
            raise ConcurrentUpdate("Another run has moved the state; no checkpoint was saved.")


def _full_load_at(manifest: Manifest, seen: SyncState | None) -> datetime | None:
    if manifest.mode is Mode.FULL and manifest.advances_watermark:
        return manifest.served_at
    return seen.full_load_at if seen else None


def _recent_runs(state: SyncState | None) -> tuple[RunRecord, ...]:
    return known_runs(state)[:MAX_RECENT_RUNS] if state else ()


def _fill_tombstones(batch: list[Row]) -> Iterator[Row]:
    """Fill each tombstone from the newest whole version of its ticket in the same batch."""
    whole: dict[str, Row] = {}
    for row in sorted(batch, key=lambda each: (each["modifiedTime"], each["_seq"])):
        if not row["_tombstone"]:
            whole[row["ticket_id"]] = row
    names = (*tables.TICKETS.tombstone_keeps, "createdTime")
    for row in batch:
        known = whole.get(row["ticket_id"])
        if not row["_tombstone"] or known is None:
            yield row
        else:
            yield row | {name: known[name] for name in names} | {"_tombstone": False}
