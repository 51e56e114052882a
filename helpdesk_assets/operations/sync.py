"""Sync once: fetch what changed since the watermark, write it, and move the watermark.

For callers that bring a helpdesk and a warehouse. Must not know Dagster, a vendor or BigQuery.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from helpdesk_assets.errors import PositionLost
from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY, CheckpointPolicy
from helpdesk_assets.extract.fetch import Batch, BatchFetcher
from helpdesk_assets.extract.plan import SyncRequest, lookback
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.operations.drain import DrainPolicy
from helpdesk_assets.operations.drain_first import drain_first
from helpdesk_assets.operations.planning import plans_of, read_state_and_ground
from helpdesk_assets.operations.readiness import expect_ready
from helpdesk_assets.operations.repeated_rows import heal_repeated_rows
from helpdesk_assets.operations.write_batch import write_and_close
from helpdesk_assets.providers.base import Capabilities, Helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.base import Warehouse
from helpdesk_assets.warehouse.table_spec import MergeReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    """How a sync runs.

    Attributes:
        webhooks: what is expected of webhooks, and how far windows overlap at least.
        drains: how much of the waiting webhooks is merged first.
        checkpoint_every: how often a long run saves a checkpoint.
    """

    webhooks: WebhookPolicy
    drains: DrainPolicy = field(default_factory=DrainPolicy)
    checkpoint_every: timedelta = CHECKPOINT_EVERY

    @classmethod
    def from_settings(cls, settings: Settings) -> SyncPolicy:
        """Take the policy from settings."""
        return cls(settings.webhooks, DrainPolicy.from_settings(settings))

    def lookback(self, capabilities: Capabilities) -> timedelta:
        """Return how far a window reaches back behind the watermark."""
        return lookback(self.webhooks.lookback, capabilities)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one run did.

    Attributes:
        manifest: the batch.
        stored: what was written into raw_ticket_changes.
        missed: what was written into missed_updates.
        merged: what was written into tickets.
        facts: what the warehouse counted when the run committed.
        state: the state row afterwards.
        seconds: by phase: drain, fetch, store, missed, merge, close.
        query_jobs: query jobs of this run.
        load_jobs: load jobs of this run.
    """

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
        """Distinct tickets that were fetched and that the table now holds at least as new."""
        return self.facts.tickets

    def result(self) -> dict[str, Any]:
        """Return the result object of the command line.

        `reason` is why everything was read again, `notice` what a person should do, and `webhooks`
        why no missed update is known; there are none if all is as it should be.
        """
        webhooks = self.facts.webhooks
        more = {
            "reason": self.manifest.ground_reason,
            "notice": self.manifest.mapping_notice,
            "webhooks": None if webhooks.is_judged else webhooks.text,
        }
        return {
            "status": "ok",
            "tickets_synced": self.tickets_synced,
            "missed_updates_detected": self.facts.missed_total,
            "mode": self.manifest.mode.value,
        } | {name: text for name, text in more.items() if text}


def fetch_batch(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    spool: Spool,
    sync_request: SyncRequest,
    policy: SyncPolicy,
    *,
    run_id: str,
    attempt: int = 0,
    on_page: Callable[[Progress], None] = lambda _: None,
) -> Batch:
    """Read the state, plan the window, fetch it into the spool, and prepare the tables.

    Args:
        helpdesk: where from.
        warehouse: where to; only read, but for checkpoints and missing tables.
        spool: takes the rows.
        sync_request: what the user asked for.
        policy: overlap, webhooks and checkpoints.
        run_id: names the batch.
        attempt: names it too, if the step is retried.
        on_page: called after every page.

    Raises:
        UserError: the request contradicts itself or the state.
        WarehouseRefused: the dataset would not take or keep what the run writes.
        AccountMismatch: the dataset holds the tickets of another account.
        SchemaMismatch: a table has a column of another type.
        EndpointFailed, CredentialsRefused, TicketUnreadable, WindowTooDense: see
            `BatchFetcher.run`.
        ConcurrentUpdate: another run has moved the state while a checkpoint was saved.
    """
    account = check_account(warehouse, helpdesk.capabilities)
    state, ground = read_state_and_ground(warehouse)
    expect_ready(warehouse, state, run_id=run_id)
    warehouse.check_columns()
    plans = plans_of(warehouse, state, ground, sync_request, policy.webhooks, helpdesk.capabilities)
    fetch = BatchFetcher(
        helpdesk,
        spool,
        run_id=run_id,
        attempt=attempt,
        checkpoint_policy=CheckpointPolicy(
            warehouse.checkpoint_store(run_id), policy.checkpoint_every
        ),
        on_page=on_page,
    )
    try:
        batch = fetch.run(plans.plan)
    except PositionLost as error:
        log.warning("%s Starting over.", error)
        batch = fetch.run(plans.anew)
    warehouse.prepare(account.digest)
    # Of the table that was judged, though it may have been replaced since: the next run shall see.
    tickets = ground.tickets or warehouse.ground().tickets
    manifest = replace(
        batch.manifest,
        tickets_created=tickets.created if tickets else None,
        provider=account.provider,
        account=account.digest,
        mapping=helpdesk.capabilities.mapping_version,
        mapping_before=state.mapping if state else None,
    )
    if manifest.mapping_notice:
        log.warning("%s", manifest.mapping_notice)
    return replace(batch, manifest=manifest)


def run_sync(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    sync_request: SyncRequest,
    policy: SyncPolicy,
    *,
    run_id: str,
    purpose: str = "sync",
    on_page: Callable[[Progress], None] = lambda _: None,
    on_phase: Callable[[str], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
) -> SyncReport:
    """Run one sync from fetch to commit.

    Args:
        helpdesk: where from.
        warehouse: where to.
        sync_request: what the user asked for.
        policy: overlap, webhooks and checkpoints.
        run_id: names the run in every table.
        purpose: what it is for those who wait for it.
        on_page: called after every page.
        on_phase: called with `fetch`, `store`, `missed`, `merge` and `close` as each is done.
        now: this machine's clock, for the webhooks that wait.
        monotonic: seconds, for the report.

    Raises:
        HelpdeskAssetsError: as `fetch_batch` and `write_and_close`.
        WriterBusy: another run, or what else writes tickets, had not finished in time.
        ConcurrentUpdate: another run has moved the watermark meanwhile; nothing is lost.
    """
    seconds: dict[str, float] = {}
    used = warehouse.use
    mark = monotonic()

    def done(phase: str) -> None:
        nonlocal mark
        seconds[phase], mark = monotonic() - mark, monotonic()
        on_phase(phase)

    drain_first(helpdesk, warehouse, policy.drains, run_id=run_id, now=now)
    seconds["drain"], mark = monotonic() - mark, monotonic()
    with Spool(warehouse.small_batch_bytes) as spool:
        batch = fetch_batch(
            helpdesk, warehouse, spool, sync_request, policy, run_id=run_id, on_page=on_page
        )
        manifest = batch.manifest
        done("fetch")
        # Not while the helpdesk is read: a full load takes hours, and others could not write.
        with warehouse.lease(purpose, run_id=run_id):
            closed = write_and_close(warehouse, manifest, spool, policy.webhooks, on_phase=done)
            facts = heal_repeated_rows(warehouse, manifest, closed.counts)
    done("close")
    use = warehouse.use.since(used)
    return SyncReport(
        manifest=manifest,
        stored=closed.written.stored,
        missed=closed.written.missed,
        merged=closed.written.merged,
        facts=facts,
        state=closed.state,
        seconds=seconds,
        query_jobs=use.query_jobs,
        load_jobs=use.load_jobs,
    )
