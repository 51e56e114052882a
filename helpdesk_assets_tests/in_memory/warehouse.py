"""The warehouse of one sync over a dataset in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from helpdesk_assets.errors import BatchGone, ConcurrentUpdate, WriterBusy
from helpdesk_assets.model.account import Account
from helpdesk_assets.model.batch import Manifest, Mode
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.model.lease import Predecessor
from helpdesk_assets.model.run_history import MAX_RECENT_RUNS, known_runs
from helpdesk_assets.model.state import (
    Checkpoint,
    ReadCounts,
    RepeatedRows,
    RunCounts,
    RunRecord,
    SyncState,
)
from helpdesk_assets.model.webhook_events import ReadTicket
from helpdesk_assets.model.webhooks import JudgedBy, WebhookPolicy
from helpdesk_assets.settings import MIN_LISTING_DELAY
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import ClosedRun, Ground, ManualState
from helpdesk_assets.warehouse.statements.batch import stored_since
from helpdesk_assets.warehouse.stores.checkpoints import MAX_WAIT
from helpdesk_assets.warehouse.stores.lease_waiting import Clocks
from helpdesk_assets.warehouse.stores.merge_requests import (
    batch_gone,
    has_committed,
)
from helpdesk_assets.warehouse.stores.writer_lease import WriterLease
from helpdesk_assets.warehouse.table_spec import JobUsage, MergeReport
from helpdesk_assets_tests.in_memory import counts, ledger
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset, read_rows
from helpdesk_assets_tests.in_memory.estimates import estimates
from helpdesk_assets_tests.in_memory.inventories import InMemoryInventories
from helpdesk_assets_tests.in_memory.lease import InMemoryLeaseCell
from helpdesk_assets_tests.in_memory.newer_wins import Row
from helpdesk_assets_tests.in_memory.repeated_rows import remove_repeated
from helpdesk_assets_tests.in_memory.webhook_inbox import InMemoryInbox
from helpdesk_assets_tests.in_memory.write_access import InMemoryWriteAccess


class InMemoryWarehouse(InMemoryInbox):
    """A `Warehouse`. It adopts no older table and runs no job."""

    use = JobUsage()

    def __init__(
        self,
        dataset: InMemoryDataset,
        *,
        sync_name: str = "tickets",
        small_batch_bytes: int = 1_000_000,
        listing_delay: timedelta = MIN_LISTING_DELAY,
        clocks: Clocks | None = None,
    ) -> None:
        super().__init__(dataset)
        self._lease = WriterLease(
            InMemoryLeaseCell(dataset),
            sync_name=sync_name,
            fence_off=self._fence_off,
            clocks=clocks,
            renew_every=None,
        )
        self._listing_delay = listing_delay
        self.sync_name = sync_name
        self.small_batch_bytes = small_batch_bytes

    def read_state(self) -> SyncState | None:
        return self._dataset.states.get(self.sync_name)

    def check_columns(self) -> None:
        """Columns have no types here."""

    def lease(
        self, purpose: str, *, run_id: str, wait: timedelta | None = None
    ) -> AbstractContextManager[None]:
        return self._lease.hold(purpose, run_id=run_id, wait=wait)

    def _fence_off(self, gone: tuple[Predecessor, ...], run_id: str) -> None:
        states = self._dataset.states
        for each in gone:
            states.setdefault(each.sync_name, SyncState(each.sync_name, None, 0))
        for name, state in states.items():
            states[name] = replace(state, fence=state.fence + 1)

    def adopted_until(self) -> datetime | None:
        return None

    def ground(self) -> Ground:
        tickets, history = (
            self._dataset.facts(spec) for spec in (tables.TICKETS, tables.RAW_TICKET_CHANGES)
        )
        return Ground(tickets, history)

    def write_access(self) -> InMemoryWriteAccess:
        return InMemoryWriteAccess(self._dataset)

    @property
    def dataset_name(self) -> str:
        return "in.memory"

    def claims(self) -> set[Account]:
        states = self._dataset.states.values()
        unfinished = (state.checkpoint for state in states if state.checkpoint)
        return {
            *(Account(state.provider, state.account) for state in states if state.account),
            *(Account(each.provider, each.account) for each in unfinished if each.account),
            *(Account("", owner) for owner in [self._dataset.owner()] if owner),
        }

    def adopt(self, account: Account, *, run_id: str) -> None:
        self._lease.check()
        for name, state in self._dataset.states.items():
            if state.account != account.digest:
                self._dataset.states[name] = replace(
                    state,
                    provider=account.provider,
                    account=account.digest,
                    mapping=None,
                    watermark=None,
                    cursor=None,
                    checkpoint=None,
                    window=None,
                    read_counts=ReadCounts(),
                    version=state.version + 1,
                    run_id=run_id,
                    reason=f"{Mode.MANUAL}: adopted for another account",
                    closed_at=datetime.now(UTC),
                )
        self._dataset.claim(account.digest)

    def prepare(self, account: str = "") -> None:
        for spec in tables.SYNC_TABLES:
            self._dataset.create(spec.name)
        if account:
            self._dataset.claim(account)

    def can_resume(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.staging in self._dataset.stagings

    def checkpoint_store(self, run_id: str) -> InMemoryCheckpoints:
        return InMemoryCheckpoints(self._dataset, self, run_id)

    def estimate(
        self, manifest: Manifest, spool: Spool, webhooks: WebhookPolicy
    ) -> tuple[StatementEstimate, ...]:
        state = self.read_state()
        judging = ledger.judging(self._dataset, manifest, webhooks, state)
        return estimates(self._dataset, manifest, judging, state)

    def merge_changes(self, manifest: Manifest, spool: Spool) -> MergeReport:
        self._lease.check()
        spec, stagings = tables.RAW_TICKET_CHANGES, self._dataset.stagings
        since = stored_since(manifest)
        if spool.rows and manifest.staging is not None:
            stagings[manifest.staging] = list(read_rows(spool, spec))
        if manifest.staging is None:
            return self._dataset.merge(spec, read_rows(spool, spec), since=since)
        if manifest.staging not in stagings:
            raise batch_gone(manifest)
        return self._dataset.merge(spec, stagings[manifest.staging], since=since)

    def merge_missed(self, manifest: Manifest, webhooks: WebhookPolicy) -> MergeReport:
        self._lease.check()
        judging = ledger.judging(self._dataset, manifest, webhooks, self.read_state())
        is_judged = judging.by is not JudgedBy.NOTHING
        rows = list[Row]()
        if is_judged and (self._has_rows(manifest) or manifest.rows == 0):
            rows = list(ledger.rows(self._dataset, manifest, judging))
        return self._dataset.merge(tables.MISSED_UPDATES, rows)

    def merge_tickets(self, manifest: Manifest) -> MergeReport:
        self._lease.check()
        spec, now = tables.TICKETS, datetime.now(UTC)
        if not self._has_rows(manifest):
            return MergeReport(spec.name, 0, 0, 0)
        stamps = {
            "_synced_at": now,
            "_first_synced_at": now,
            "_synced_by": "sync",
            "_run_id": manifest.run_id,
        }
        delay = timedelta(0) if manifest.is_believed_at_once else self._listing_delay
        read = [_with_times(row, manifest, delay) for row in self._dataset.batch(manifest)]
        rows = [row | stamps for row in _apply_tombstones(read)]
        return self._dataset.merge(spec, rows, forced=manifest.forced)

    def merge_webhooks(self, read: Sequence[ReadTicket], *, run_id: str) -> MergeReport:
        self._lease.check()
        return super().merge_webhooks(read, run_id=run_id)

    def count_batch(self, manifest: Manifest) -> RunCounts:
        return counts.count_batch(self._dataset, manifest)

    def commit_run(
        self, manifest: Manifest, webhooks: WebhookPolicy
    ) -> tuple[RunCounts, SyncState | None]:
        self._lease.check()
        self._has_rows(manifest)
        state = self.read_state()
        judging = ledger.judging(self._dataset, manifest, webhooks, state)
        if manifest.is_range:
            facts = counts.count_run(self._dataset, manifest, judging)
        else:
            if state is None or state.run_id != manifest.run_id:
                if (state.version if state else 0) != manifest.expected_version:
                    raise ConcurrentUpdate("Another run moved the watermark; run the sync again.")
                facts = counts.count_run(self._dataset, manifest, judging, state)
                state = self._commit(manifest, facts)
            facts = state.facts
        self.drop_staging(manifest)
        return facts, state

    def close_if_stored(self, manifest: Manifest, webhooks: WebhookPolicy) -> ClosedRun | None:
        state = self.read_state()
        if state is None or not state.has_stored(manifest):
            return None
        judging = ledger.judging(self._dataset, manifest, webhooks, state)
        missed = MergeReport(tables.MISSED_UPDATES.name, 0, 0, 0)
        if judging.is_by_events:
            missed = self.merge_missed(manifest, webhooks)
        if not counts.is_stored(self._dataset, manifest):
            return None
        facts, closed = self.commit_run(manifest, webhooks)
        stored, merged = (
            MergeReport(each.name, 0, 0, 0) for each in (tables.RAW_TICKET_CHANGES, tables.TICKETS)
        )
        return ClosedRun(stored, missed, merged, facts, closed) if closed else None

    def remove_repeated_rows(
        self, manifest: Manifest, counts: RunCounts
    ) -> tuple[RepeatedRows, ...]:
        self._lease.check()
        return remove_repeated(self._dataset, manifest, counts)

    def drop_staging(self, manifest: Manifest) -> None:
        if manifest.staging is not None:
            self._dataset.stagings.pop(manifest.staging, None)

    def find_live_tickets(
        self, ids: Sequence[str], *, created_by: datetime, run_id: str
    ) -> list[str]:
        held = ((ticket_id, self._dataset.ticket(ticket_id)) for ticket_id in ids)
        return [
            ticket_id
            for ticket_id, row in held
            if row
            and row["deletedTime"] is None
            and (row["createdTime"] is None or row["createdTime"] <= created_by)
        ]

    def inventories(self) -> InMemoryInventories:
        return InMemoryInventories(self._dataset)

    def last_advances(self, limit: int) -> tuple[RunRecord, ...]:
        runs = self._dataset.log.values()
        newest = sorted(runs, key=lambda run: (run.closed_at, run.version), reverse=True)
        return tuple(newest[:limit])

    def set_manually(self, manual_state: ManualState, expected: SyncState | None) -> SyncState:
        self._lease.check()
        seen = self.read_state()
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
            tickets_created=expected.tickets_created if expected else None,
            provider=expected.provider if expected else "",
            account=expected.account if expected else "",
            mapping=expected.mapping if expected else None,
            fence=seen.fence if seen else 0,
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
            is_behind = watermark is not None and until < watermark
            watermark = watermark if is_behind and not manifest.resets_watermark else until
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
            ReadCounts.of(manifest),
            _recent_runs(seen),
            full_load_at=_full_load_at(manifest, seen),
            tickets_created=manifest.tickets_created or (seen.tickets_created if seen else None),
            provider=manifest.provider or (seen.provider if seen else ""),
            account=manifest.account or (seen.account if seen else ""),
            mapping=_mapping(manifest),
            fence=seen.fence if seen else 0,
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

    def __init__(self, dataset: InMemoryDataset, warehouse: InMemoryWarehouse, run_id: str) -> None:
        self._dataset = dataset
        self._warehouse = warehouse
        self._run_id = run_id

    def begin(self, staging: str) -> None:
        self._dataset.stagings[staging] = []

    def add_rows(self, spool: Spool, staging: str) -> None:
        if staging not in self._dataset.stagings:
            raise BatchGone(f"Staging table {staging} is gone. Run again: it starts over.")
        rows = read_rows(spool, tables.RAW_TICKET_CHANGES)
        self._dataset.stagings[staging].extend(rows)

    def save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        lease = self._warehouse.lease("checkpoint", run_id=self._run_id, wait=MAX_WAIT)
        with suppress(WriterBusy), lease:
            self._save(checkpoint, expected_version)

    def _save(self, checkpoint: Checkpoint, expected_version: int) -> None:
        self._warehouse._lease.check()
        seen = self._warehouse.read_state()
        state = seen or SyncState(self._warehouse.sync_name, None, 0)
        if not self._warehouse.compare_and_set(
            expected_version, replace(state, checkpoint=checkpoint)
        ):
            raise ConcurrentUpdate("Another run has moved the state; no checkpoint was saved.")


def _mapping(manifest: Manifest) -> int | None:
    is_mapped = manifest.mapping_before is None or manifest.forced
    return manifest.mapping if is_mapped else manifest.mapping_before


def _full_load_at(manifest: Manifest, seen: SyncState | None) -> datetime | None:
    if manifest.mode is Mode.FULL and manifest.advances_watermark:
        return manifest.read_since or manifest.served_at
    return seen.full_load_at if seen else None


def _recent_runs(state: SyncState | None) -> tuple[RunRecord, ...]:
    return known_runs(state)[:MAX_RECENT_RUNS] if state else ()


def _with_times(row: Row, manifest: Manifest, listing_delay: timedelta) -> Row:
    read_at = manifest.read_since if manifest.staging is None else row["_fetched_at"]
    alive_at = read_at - listing_delay if read_at else None
    return row | {"_read_at": read_at, "_alive_at": alive_at}


def _apply_tombstones(batch: list[Row]) -> Iterator[Row]:
    """Set each tombstone's deletion in the whole versions of its ticket in the same batch."""
    ordered = sorted(batch, key=lambda each: (each["modifiedTime"], each["_seq"]))
    tombstones = {row["ticket_id"]: row for row in ordered if row["_tombstone"]}
    whole = {row["ticket_id"] for row in batch if not row["_tombstone"]}
    for row in batch:
        known = tombstones.get(row["ticket_id"])
        if row["_tombstone"] or known is None:
            if not row["_tombstone"] or row["ticket_id"] not in whole:
                yield row
            continue
        is_after = known["modifiedTime"] >= row["modifiedTime"]
        if is_after and known["_read_at"] >= row["_alive_at"]:
            read_at = max(row["_read_at"], known["_read_at"])
            deleted = row["deletedTime"] or known["deletedTime"]
            yield row | {"deletedTime": deleted, "_read_at": read_at}
        else:
            yield row
