"""Say what a sync would do now: what it would read, and what its statements would cost.

Nothing is written, neither tables nor labels, leases, checkpoints or the watermark. An incremental
run's changes are read from the helpdesk, since only they tell how many there are; a full load is
not read. Must not know Dagster, a vendor or BigQuery.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from helpdesk_assets.errors import PositionLost
from helpdesk_assets.extract.fetch import BatchFetcher
from helpdesk_assets.extract.plan import AllToBeRead, Plan, SyncRequest
from helpdesk_assets.extract.progress import Progress
from helpdesk_assets.model.batch import Manifest, Mode, batch_staging_name
from helpdesk_assets.model.estimates import StatementEstimate
from helpdesk_assets.model.job_costs import dollars
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.tickets import ApiUsage, Window
from helpdesk_assets.naming import batch_id
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.operations.planning import Plans, plans_of, read_state_and_ground
from helpdesk_assets.operations.readiness import expect_fit
from helpdesk_assets.operations.sync import SyncPolicy
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.base import Ground, Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncPreview:
    """What a sync would do.

    Attributes:
        mode: incremental or full.
        reason: why.
        since: where the window begins; None: at the beginning.
        until: where it ends; None if nothing was read, and it would end by the helpdesk's clock.
        is_read: the changes were read, so tickets and calls are exact. Otherwise they are an
            estimate.
        tickets: rows that the helpdesk gives; None if nobody can say.
        calls: calls to the helpdesk; None if nobody can say.
        statements: what each statement would read, in their order.
    """

    mode: Mode
    reason: str
    since: datetime | None
    until: datetime | None
    is_read: bool
    tickets: int | None
    calls: int | None
    statements: tuple[StatementEstimate, ...]

    @property
    def is_lower_bound(self) -> bool:
        """Whether the statements read more than they say."""
        return any(each.is_lower_bound or each.unknown for each in self.statements)

    @property
    def bytes_billed(self) -> int:
        """What on-demand prices would be asked for, at least."""
        return sum(each.bytes_billed for each in self.statements)

    def dollars(self, price_per_tib: float) -> float:
        """Return the on-demand price of the statements."""
        return dollars(self.bytes_billed, price_per_tib)


def preview_sync(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    sync_request: SyncRequest,
    policy: SyncPolicy,
    *,
    run_id: str,
    on_page: Callable[[Progress], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> SyncPreview:
    """Return what `operations.sync.run_sync` with these arguments would do.

    Where an older sync's table is to be adopted, its newest row is asked for by a query that is
    billed, as a sync would.

    Args:
        helpdesk: where from.
        warehouse: where to.
        sync_request: what the user asks for; no range.
        policy: overlap and webhooks.
        run_id: names the batch, which is not kept.
        on_page: called after every page.
        now: this machine's clock, for names.

    Raises:
        HelpdeskAssetsError: as `fetch_batch`, wherever the sync would be refused.
    """
    check_account(warehouse, helpdesk.capabilities)
    warehouse.check_columns()
    state, ground = read_state_and_ground(warehouse)
    expect_fit(warehouse.write_access().report())
    plans = plans_of(warehouse, state, ground, sync_request, policy.webhooks, helpdesk.capabilities)
    used = helpdesk.use.calls
    with Spool(warehouse.small_batch_bytes) as spool:
        fetch = BatchFetcher(helpdesk, spool, run_id=run_id, may_read_all=False, on_page=on_page)
        try:
            manifest = _read_changes(fetch, plans)
        except AllToBeRead as answer:
            spool.clear()
            plan, rows = answer.plan, _expected_rows(state, ground)
            unread = _unread(plan, rows or 1, run_id, helpdesk.served_at or now())
            return SyncPreview(
                mode=plan.mode,
                reason=plan.reason,
                since=plan.since,
                until=None,
                is_read=False,
                tickets=rows,
                calls=None if rows is None else _expected_calls(helpdesk, plan, rows),
                statements=warehouse.estimate(unread, spool, policy.webhooks),
            )
        return SyncPreview(
            mode=manifest.mode,
            reason=manifest.reason,
            since=manifest.window.since,
            until=manifest.window.until,
            is_read=True,
            tickets=manifest.rows,
            calls=helpdesk.use.calls - used,
            statements=warehouse.estimate(manifest, spool, policy.webhooks),
        )


def _read_changes(fetch: BatchFetcher, plans: Plans) -> Manifest:
    try:
        return fetch.run(plans.plan).manifest
    except PositionLost as error:
        log.warning("%s Starting over.", error)
        return fetch.run(plans.anew).manifest


def _expected_rows(state: SyncState | None, ground: Ground) -> int | None:
    """Return how many tickets there are, by the last run or else by the table."""
    counted = state.facts.rows if state else 0
    held = ground.tickets.rows if ground.tickets else None
    return max(counted, held or 0) or None


def _expected_calls(helpdesk: Helpdesk, plan: Plan, rows: int) -> int:
    """Return how many calls it takes to read what an interrupted run has left."""
    left = max(0, rows - (plan.checkpoint.rows if plan.checkpoint else 0))
    capabilities = helpdesk.capabilities
    details = 0 if capabilities.list_rows_are_complete else left
    return max(1, math.ceil(left / capabilities.page_size)) + details


def _unread(plan: Plan, rows: int, run_id: str, served_at: datetime) -> Manifest:
    """Return what is known of a full load's batch before it is read; it would be staged."""
    name = batch_id(served_at, run_id, 0)
    return Manifest(
        batch_id=name,
        run_id=run_id,
        mode=plan.mode,
        reason=plan.reason,
        window=Window(plan.since, served_at),
        served_at=served_at,
        advances_watermark=plan.advances_watermark,
        expected_version=plan.expected_version,
        initial_watermark=plan.initial_watermark,
        first_load=plan.first_load,
        rows=rows,
        pages=0,
        api=ApiUsage(),
        versions=None,
        staging=batch_staging_name(name),
        read_since=served_at,
        forced=plan.forced,
        ground_reason=plan.ground_reason,
    )
