"""Compare every ticket that the helpdesk lists with the tickets table, and repair what differs.

A sync reads changes; a reconciliation finds what the sync has missed for any reason. It is never
silent: each difference is a row of inventory_differences, and the report says what became of it.

A truncated listing must not delete a table. Each unlisted ticket is fetched by id before its row is
marked as deleted. No row is marked if the listing is known to be incomplete, or if more than a
share of the table would be, or if the login does not see every ticket. A ticket that is not found
by its id and may be archived keeps its row. The watermark is read and never moved. Must not know
Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpdesk_assets.errors import UserError
from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY
from helpdesk_assets.model.reconciliation import (
    REPAIRED_BY_FETCH,
    DifferenceCount,
    DifferenceKind,
    DifferenceOutcome,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.model.state import SyncState
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.naming import batch_id
from helpdesk_assets.operations.account import check_account
from helpdesk_assets.operations.archive import ArchivePolicy, ArchiveReport, read_archive
from helpdesk_assets.operations.difference_repair import DifferenceRepair
from helpdesk_assets.operations.inventory import (
    PartPolicy,
    cutoffs_of,
    read_inventory,
)
from helpdesk_assets.operations.readiness import expect_ready
from helpdesk_assets.operations.repair import RepairReport
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.settings import Settings
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.base import Warehouse

# What those who wait for it are told.
PURPOSE = "reconciliation"


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """How a reconciliation runs.

    Attributes:
        webhooks: what is expected of webhooks.
        listing_delay: how late the helpdesk may list a change.
        concurrency: concurrent calls for single tickets.
        max_delete_share: share of live rows that may be marked as deleted at once, 0 to 1.
        dry_run: record differences and repair nothing.
        save_every: how often a long reading stores a part of the inventory.
        longest_archive: how long archived tickets are asked for; None: to the end.
    """

    webhooks: WebhookPolicy
    listing_delay: timedelta
    concurrency: int = 8
    max_delete_share: float = 0.01
    dry_run: bool = False
    save_every: timedelta = CHECKPOINT_EVERY
    longest_archive: timedelta | None = None

    @classmethod
    def from_settings(cls, settings: Settings, *, dry_run: bool = False) -> ReconcilePolicy:
        """Take the policy from settings."""
        return cls(
            settings.webhooks,
            settings.listing_delay,
            settings.helpdesk_concurrency,
            settings.reconcile_most_gone_share,
            dry_run,
        )


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What one reconciliation found and did.

    Attributes:
        snapshot: the inventory as it was read.
        row_counts: tickets in the inventory, and live rows of the table.
        until: the helpdesk's changes up to here were compared.
        found: the differences by kind and outcome.
        repaired: what became of the tickets that were fetched.
        refused: why no row was marked as deleted; None if there was no reason against it.
        was_dry_run: nothing was repaired on purpose.
        api_calls: calls to the helpdesk.
        query_jobs: query jobs of the warehouse.
        load_jobs: load jobs of the warehouse.
        seconds: wall time.
        archive: how much the table has of what no list has; None if lists have all.
    """

    snapshot: InventorySnapshot
    row_counts: RowCounts
    until: datetime
    found: tuple[DifferenceCount, ...]
    repaired: RepairReport
    refused: str | None
    was_dry_run: bool
    api_calls: int
    query_jobs: int
    load_jobs: int
    seconds: float
    archive: ArchiveReport | None = None

    def count(
        self, kind: DifferenceKind | None = None, outcome: DifferenceOutcome | None = None
    ) -> int:
        """Count the differences of this kind and outcome; None: any."""
        return sum(
            each.count
            for each in self.found
            if kind in (None, each.kind) and outcome in (None, each.outcome)
        )

    @property
    def unrepaired(self) -> int:
        """Absent, stale and dead rows that are still so, less tickets deleted meanwhile."""
        left = sum(self.count(kind, DifferenceOutcome.UNRESOLVED) for kind in REPAIRED_BY_FETCH)
        return max(0, left - self.repaired.not_found)

    @property
    def unreadable(self) -> int:
        """Tickets that could not be compared because they could not be read."""
        archived = self.archive.repaired.unreadable if self.archive else 0
        return self.snapshot.unreadable + self.repaired.unreadable + archived

    @property
    def is_wrong(self) -> bool:
        """Whether the table may still differ in what a repair would have corrected."""
        unasked = self.archive.repaired.unproven if self.archive else 0
        return bool(self.refused or self.unrepaired or self.unreadable or unasked)


def reconcile(
    helpdesk: Helpdesk,
    warehouse: Warehouse,
    policy: ReconcilePolicy,
    *,
    run_id: str,
    attempt: int = 0,
    on_page: Callable[[int], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
) -> ReconcileReport:
    """Take a snapshot of the inventory, compare it with the table, and repair what differs.

    It may be killed at any point. Within a day the next reconciliation goes on with the inventory
    where it was interrupted; it finds what is left to be repaired.

    Args:
        helpdesk: where the inventory and single tickets come from.
        warehouse: the tickets table.
        policy: limits and delays.
        run_id: names the run in every table.
        attempt: which try of the step this is; names the snapshot.
        on_page: called with the number of entries after every page.
        now: this machine's clock, for names alone.
        monotonic: seconds, for the report.

    Raises:
        UserError: no run has committed a watermark yet.
        AccountMismatch: the dataset holds the tickets of another account.
        WarehouseRefused: the dataset would not take or keep what is written.
        WriterBusy: somebody else wrote tickets for longer than one waits.
        BatchGone: the parts of the inventory are gone; the next one starts over.
        EndpointFailed, CredentialsRefused: as `Helpdesk.inventory` and `Helpdesk.ticket`.
    """
    started, calls, used = monotonic(), helpdesk.use.calls, warehouse.use
    account = check_account(warehouse, helpdesk.capabilities)
    state = warehouse.read_state()
    watermark = _watermark(state)
    expect_ready(warehouse, state, run_id=run_id)
    warehouse.prepare(account.digest)
    store = warehouse.inventories()
    with Spool(warehouse.small_batch_bytes) as entries:
        sweep_id = batch_id(now(), run_id, attempt)
        parts = PartPolicy(store, policy.save_every)
        snapshot = read_inventory(helpdesk, entries, sweep_id, run_id, on_page, parts)
        archive = helpdesk.archive
        cutoffs = cutoffs_of(
            snapshot,
            watermark,
            helpdesk.capabilities,
            policy.listing_delay,
            archive.unchanged_for if archive else None,
        )
        # Nobody writes a batch half while the two are compared.
        with warehouse.lease(PURPOSE, run_id=run_id):
            row_counts = store.store(snapshot, entries)
            store.compare(snapshot, cutoffs)
    found = store.difference_counts(snapshot)
    gone = sum(each.count for each in found if each.kind is DifferenceKind.DELETED)
    repair = DifferenceRepair(
        helpdesk, warehouse, snapshot, policy.webhooks, policy.concurrency, policy.listing_delay
    )
    refused = repair.refusal_reason(
        row_counts, gone, policy.max_delete_share, may_ask=not policy.dry_run
    )
    repaired = RepairReport()
    if found and not policy.dry_run:
        kinds = {each.kind for each in found} - ({DifferenceKind.DELETED} if refused else set())
        repaired = repair.repair(kinds)
        with warehouse.lease(PURPOSE, run_id=run_id):
            are_verified = refused is None and not repaired.unproven
            store.record_outcomes(snapshot, deletions_verified=are_verified)
        found = store.difference_counts(snapshot)
    archived = read_archive(
        helpdesk,
        warehouse,
        ArchivePolicy(policy.webhooks, policy.concurrency, policy.longest_archive, monotonic),
        row_counts=row_counts,
        run_id=snapshot.run_id,
        only_look=policy.dry_run,
    )
    use = warehouse.use.since(used)
    return ReconcileReport(
        snapshot=snapshot,
        row_counts=row_counts,
        until=cutoffs.synced_until,
        found=found,
        repaired=repaired,
        refused=refused,
        was_dry_run=policy.dry_run,
        api_calls=helpdesk.use.calls - calls,
        query_jobs=use.query_jobs,
        load_jobs=use.load_jobs,
        seconds=monotonic() - started,
        archive=archived,
    )


def _watermark(state: SyncState | None) -> datetime:
    if state is None or state.watermark is None:
        raise UserError(
            "There is no watermark yet, so nobody can say what the sync should have seen. Run "
            "`helpdesk-assets sync` until it has read everything once, then reconcile."
        )
    return state.watermark
