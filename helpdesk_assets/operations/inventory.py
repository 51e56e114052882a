"""Read the helpdesk's inventory, and decide what it may prove about the tickets table."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import orjson

from helpdesk_assets.errors import EndpointFailed, PositionLost
from helpdesk_assets.extract.checkpoint import CHECKPOINT_EVERY
from helpdesk_assets.model.reconciliation import (
    InventoryPart,
    InventorySnapshot,
    RowCounts,
    inventory_staging_name,
)
from helpdesk_assets.model.tickets import InventoryPage
from helpdesk_assets.providers.base import Capabilities, Helpdesk
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.inventory_store import Cutoffs, InventoryStore

log = logging.getLogger(__name__)

# After a longer pause the first part says little of what there is now.
RESUME_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PartPolicy:
    """Where and how often an inventory is stored in parts; clocks as of `CheckpointPolicy`."""

    store: InventoryStore
    interval: timedelta = CHECKPOINT_EVERY
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def read_inventory(
    helpdesk: Helpdesk,
    entries: Spool,
    sweep_id: str,
    run_id: str,
    on_page: Callable[[int], None],
    part_policy: PartPolicy,
) -> InventorySnapshot:
    """Read the whole inventory, as rows of ticket_inventory; go on with an interrupted one.

    What one run has read and the other goes on with is one inventory, which began when the first
    of them did: changes since then are no difference.

    Args:
        helpdesk: where from.
        entries: takes the rows that no part has stored.
        sweep_id: names the snapshot, if a new one begins.
        run_id: the run that takes it.
        on_page: called with the number of entries after every page.
        part_policy: where parts are stored.

    Raises:
        EndpointFailed: the helpdesk returned no page at all.
        BatchGone: the parts are gone.
    """
    part = _usable(part_policy, helpdesk.capabilities)
    reader = _InventoryReader(helpdesk, entries, sweep_id, run_id, on_page, part_policy)
    try:
        return reader.read(part)
    except PositionLost as error:
        log.warning("%s Starting over.", error)
        entries.clear()
        return reader.read(None)


def _usable(part_policy: PartPolicy, capabilities: Capabilities) -> InventoryPart | None:
    """Return where an inventory of this account was interrupted not long ago."""
    part = part_policy.store.unfinished()
    if part is None or part_policy.now() - part.saved_at >= RESUME_WITHIN:
        return None
    is_own = (part.provider, part.account) == (capabilities.name, capabilities.account)
    return part if is_own else None


class _InventoryReader:
    """Reads one inventory, and stores it in parts while it takes long."""

    def __init__(
        self,
        helpdesk: Helpdesk,
        entries: Spool,
        sweep_id: str,
        run_id: str,
        on_page: Callable[[int], None],
        part_policy: PartPolicy,
    ) -> None:
        self._helpdesk = helpdesk
        self._entries = entries
        self._sweep_id = sweep_id
        self._run_id = run_id
        self._on_page = on_page
        self._parts = part_policy
        self._due = self._next_due()

    def read(self, part: InventoryPart | None) -> InventorySnapshot:
        """Read what the part has left, or everything."""
        snapshot = replace(part.snapshot, run_id=self._run_id) if part else None
        pages = 0
        for page in self._helpdesk.inventory(part.resume if part else None):
            snapshot = _with_page(snapshot or self._begun(page), page)
            self._entries.extend(_rows(page, snapshot))
            snapshot = self._save_if_due(snapshot, page)
            pages += 1
            self._on_page(snapshot.entries)
        if snapshot is None or not pages:
            raise EndpointFailed("The helpdesk gave no page of its inventory. Try again later.")
        return snapshot

    def _begun(self, page: InventoryPage) -> InventorySnapshot:
        at = page.served_at
        return InventorySnapshot(
            self._sweep_id, self._run_id, at, at, entries=0, pages=0, total=page.total
        )

    def _save_if_due(self, snapshot: InventorySnapshot, page: InventoryPage) -> InventorySnapshot:
        parts = self._parts
        if page.resume is None or not self._entries.rows or parts.monotonic() < self._due:
            return snapshot
        if snapshot.staging is None:
            # Only once: a table created again later would silently lack the earlier rows.
            snapshot = replace(snapshot, staging=inventory_staging_name(snapshot.sweep_id))
            parts.store.begin_parts(str(snapshot.staging))
        capabilities = self._helpdesk.capabilities
        part = InventoryPart(
            snapshot, page.resume, parts.now(), capabilities.name, capabilities.account
        )
        parts.store.save_part(part, self._entries)
        self._entries.clear()
        self._due = self._next_due()
        return snapshot

    def _next_due(self) -> float:
        return self._parts.monotonic() + self._parts.interval.total_seconds()


def _with_page(snapshot: InventorySnapshot, page: InventoryPage) -> InventorySnapshot:
    return replace(
        snapshot,
        ended_at=max(snapshot.ended_at, page.served_at),
        entries=snapshot.entries + len(page.entries) + len(page.unreadable),
        pages=snapshot.pages + 1,
        total=page.total if snapshot.total is None else snapshot.total,
        unreadable=snapshot.unreadable + len(page.unreadable),
    )


def cutoffs_of(
    snapshot: InventorySnapshot,
    watermark: datetime,
    capabilities: Capabilities,
    listing_delay: timedelta,
    listed_for: timedelta | None = None,
) -> Cutoffs:
    """Return up to when changes count, by the helpdesk's clock.

    Args:
        snapshot: the inventory.
        watermark: the sync's.
        capabilities: the helpdesk's own delays.
        listing_delay: how late the helpdesk may list a change.
        listed_for: how long an unchanged ticket stays in the lists; None: for ever.
    """
    lookback = max(listing_delay, capabilities.settle_delay + capabilities.minimum_overlap)
    stable_until = snapshot.listed_at - lookback
    listed_after = None if listed_for is None else snapshot.listed_at - listed_for
    return Cutoffs(stable_until, min(stable_until, watermark), listed_after)


def refusal_reason(
    snapshot: InventorySnapshot, row_counts: RowCounts, gone: int, max_share: float
) -> str | None:
    """Return why no row may be marked as deleted; None if there is no reason against it.

    Args:
        snapshot: the inventory.
        row_counts: tickets listed, and live rows.
        gone: rows whose ticket is not listed or is listed as deleted.
        max_share: share of live rows that may be marked at once, 0 to 1.
    """
    if snapshot.total is not None and row_counts.listed < snapshot.total:
        return (
            f"the helpdesk says that it has {snapshot.total:,} tickets and listed "
            f"{row_counts.listed:,}: the listing was cut short, or tickets left while it was read"
        )
    if not row_counts.listed and row_counts.alive:
        return f"the helpdesk listed no ticket, and the table has {row_counts.alive:,}"
    max_deletions = math.ceil(max_share * row_counts.alive)
    if gone > max_deletions:
        return (
            f"{gone:,} of {row_counts.alive:,} tickets are not listed, more than the "
            f"{max_deletions:,} that RECONCILE_MOST_GONE_SHARE allows at once"
        )
    return None


def _rows(page: InventoryPage, snapshot: InventorySnapshot) -> list[bytes]:
    listed = [(line.ticket_id, line.modified_time, line.gone) for line in page.entries]
    unreadable = [(ticket_id, None, False) for ticket_id in page.unreadable]
    return [
        orjson.dumps(
            {
                "sweep_id": snapshot.sweep_id,
                "ticket_id": ticket_id,
                "modifiedTime": modified,
                "gone": gone,
                "listed_at": snapshot.listed_at,
            },
            option=orjson.OPT_UTC_Z,
        )
        for ticket_id, modified, gone in (*listed, *unreadable)
    ]
