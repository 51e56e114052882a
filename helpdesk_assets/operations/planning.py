"""Decide what a run reads, by the state row and the tables as they are; writes nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from helpdesk_assets.extract.checkpoint import RESUME_WITHIN
from helpdesk_assets.extract.plan import Plan, SyncRequest, plan_run
from helpdesk_assets.model.state import Checkpoint, SyncState
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.operations.ground import full_load_reason
from helpdesk_assets.providers.base import Capabilities
from helpdesk_assets.warehouse.base import Ground, Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plans:
    """What a run reads: by `plan`, or by `anew` if the position of an interrupted run is lost."""

    plan: Plan
    anew: Plan


def read_state_and_ground(warehouse: Warehouse) -> tuple[SyncState | None, Ground]:
    """Return the state row, without a checkpoint whose rows have expired, and the metadata."""
    state = warehouse.read_state()
    if state and state.checkpoint and not _can_resume(state.checkpoint, warehouse):
        log.warning("The interrupted run's rows have expired; fetching them again.")
        state = replace(state, checkpoint=None)
    return state, warehouse.ground()


def plans_of(
    warehouse: Warehouse,
    state: SyncState | None,
    ground: Ground,
    sync_request: SyncRequest,
    webhooks: WebhookPolicy,
    capabilities: Capabilities,
) -> Plans:
    """Plan a run.

    Args:
        warehouse: is asked for an older sync's table before the first run has closed.
        state: see `read_state_and_ground`, as `ground`.
        ground: the tables' metadata.
        sync_request: what the user asked for.
        webhooks: says how far windows overlap at least.
        capabilities: what the helpdesk needs.

    Raises:
        UserError: the request contradicts itself or the state.
    """
    # A damaged row is no first run, even if its version cannot be read.
    has_closed = state is not None and (state.version > 0 or bool(state.damaged))
    adopted = None if has_closed else warehouse.adopted_until()
    full_reason = _reason_for_full_load(state, ground)

    def plan(state: SyncState | None) -> Plan:
        return plan_run(
            state,
            sync_request,
            adopted=adopted,
            overlap=webhooks.lookback,
            capabilities=capabilities,
            full_reason=full_reason,
        )

    return Plans(plan(state), plan(replace(state, checkpoint=None) if state else None))


def _reason_for_full_load(state: SyncState | None, ground: Ground) -> str | None:
    """Return why everything is to be read again, and warn of what somebody has changed."""
    reason = full_load_reason(state, ground)
    if reason is not None:
        log.warning("Changes may be missing: %s. Reading everything.", reason)
    if state and state.cursor != state.own_cursor:
        log.warning("The cursor in sync_state is not the last run's; reading from the watermark.")
    return reason


def _can_resume(checkpoint: Checkpoint, warehouse: Warehouse) -> bool:
    is_recent = datetime.now(UTC) - checkpoint.saved_at < RESUME_WITHIN
    return is_recent and warehouse.can_resume(checkpoint)
