"""One run from the watermark to the watermark, for callers that bring their own parts.

The order is the point. Versions are stored before anything is derived from them. Missed updates are
looked for before the merge, because afterwards nothing looks missed. The watermark moves after the
merge, because a crash in between then only repeats work. Dagster's assets do these same steps one
by one; this module does them in one call and must not know Dagster.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY, RESUME_WITHIN, CheckpointPolicy
from helpdesk_assets.extract.fetch import Batch, BatchFetcher
from helpdesk_assets.extract.plan import SyncRequest, lookback, plan_run
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import Checkpoint, RunCounts, SyncState
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.providers.base import Capabilities, Helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.stores.sync_tables import SyncTables
from helpdesk_assets.warehouse.table_spec import MergeReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    """What is expected of webhooks, and how often a long read is checkpointed."""

    webhooks: WebhookPolicy
    checkpoint_every: timedelta = CHECKPOINT_EVERY

    @classmethod
    def from_settings(cls, settings: Settings) -> SyncPolicy:
        return cls(settings.webhooks)

    def lookback(self, capabilities: Capabilities) -> timedelta:
        """How far a window goes back behind the watermark."""
        return lookback(self.webhooks.lookback, capabilities)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one run did. `seconds` is by phase: fetch, store, missed, merge, close."""

    manifest: Manifest
    stored: MergeReport
    missed: MergeReport
    merged: MergeReport
    facts: RunCounts
    state: SyncState | None
    seconds: dict[str, float]
    query_jobs: int
    load_jobs: int

    @property
    def tickets_synced(self) -> int:
        """Distinct tickets that the helpdesk gave and the table now holds at least as new."""
        return self.facts.tickets

    def result(self) -> dict[str, Any]:
        """The result object of the command line."""
        return {
            "status": "ok",
            "tickets_synced": self.tickets_synced,
            "missed_updates_detected": self.facts.missed_total,
            "mode": self.manifest.mode.value,
        }


def fetch_batch(
    helpdesk: Helpdesk,
    sync_tables: SyncTables,
    spool: Spool,
    sync_request: SyncRequest,
    policy: SyncPolicy,
    *,
    run_id: str,
    attempt: int = 0,
    on_page: Callable[[Progress], None] = lambda _: None,
) -> Batch:
    """Read the state, plan the window, fetch it into the spool, and have the tables ready."""
    state = sync_tables.read_state()
    if state and state.checkpoint and not _can_resume(state.checkpoint, sync_tables):
        log.warning("What was read before the interruption has expired; reading it again.")
        state = replace(state, checkpoint=None)
    has_closed = state is not None and state.version > 0
    adopted = None if has_closed else sync_tables.adopted_until()
    plan = plan_run(
        state,
        sync_request,
        adopted=adopted,
        overlap=policy.webhooks.lookback,
        capabilities=helpdesk.capabilities,
    )
    fetch = BatchFetcher(
        helpdesk,
        spool,
        run_id=run_id,
        attempt=attempt,
        checkpoint_policy=CheckpointPolicy(
            sync_tables.checkpoint_store(run_id), policy.checkpoint_every
        ),
        on_page=on_page,
    )
    batch = fetch.run(plan)
    sync_tables.prepare()
    return batch


def _can_resume(checkpoint: Checkpoint, sync_tables: SyncTables) -> bool:
    is_recent = datetime.now(UTC) - checkpoint.saved_at < RESUME_WITHIN
    return is_recent and sync_tables.can_resume(checkpoint)


def run_sync(
    helpdesk: Helpdesk,
    sync_tables: SyncTables,
    sync_request: SyncRequest,
    policy: SyncPolicy,
    *,
    run_id: str,
    on_page: Callable[[Progress], None] = lambda _: None,
    on_phase: Callable[[str], None] = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> SyncReport:
    """One whole run. `on_phase` hears the name of each phase when it is done."""
    seconds: dict[str, float] = {}
    used = sync_tables.use
    mark = monotonic()

    def done(phase: str) -> None:
        nonlocal mark
        seconds[phase], mark = monotonic() - mark, monotonic()
        on_phase(phase)

    with Spool(sync_tables.small_batch_bytes) as spool:
        batch = fetch_batch(
            helpdesk, sync_tables, spool, sync_request, policy, run_id=run_id, on_page=on_page
        )
        manifest = batch.manifest
        done("fetch")
        request = sync_tables.changes_request(manifest, spool)
        stored = sync_tables.write(tables.RAW_TICKET_CHANGES, request, run_id=run_id)
        done("store")
    request = sync_tables.missed_request(manifest, policy.webhooks)
    missed = sync_tables.write(tables.MISSED_UPDATES, request, run_id=run_id)
    done("missed")
    request = sync_tables.tickets_request(manifest)
    merged = sync_tables.write(tables.TICKETS, request, run_id=run_id)
    done("merge")
    facts, state = sync_tables.commit_run(manifest, policy.webhooks)
    done("close")
    now = sync_tables.use
    return SyncReport(
        manifest=manifest,
        stored=stored,
        missed=missed,
        merged=merged,
        facts=facts,
        state=state,
        seconds=seconds,
        query_jobs=now.query_jobs - used.query_jobs,
        load_jobs=now.load_jobs - used.load_jobs,
    )
