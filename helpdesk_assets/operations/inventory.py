"""Read the helpdesk's inventory, and decide what it may prove about the tickets table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from helpdesk_assets.errors import EndpointFailed
from helpdesk_assets.model.reconciliation import InventorySnapshot, RowCounts
from helpdesk_assets.model.tickets import InventoryPage
from helpdesk_assets.providers.base import Capabilities, Helpdesk
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.base import Cutoffs


def read_inventory(
    helpdesk: Helpdesk,
    entries: Spool,
    sweep_id: str,
    run_id: str,
    on_page: Callable[[int], None] = lambda _: None,
) -> InventorySnapshot:
    """Read the whole inventory into the spool, as rows of ticket_inventory.

    Args:
        helpdesk: where from.
        entries: takes the rows.
        sweep_id: names the snapshot.
        run_id: the run that takes it.
        on_page: called with the number of entries after every page.

    Raises:
        EndpointFailed: the helpdesk returned no page at all.
    """
    snapshot: InventorySnapshot | None = None
    for page in helpdesk.inventory():
        if snapshot is None:
            at = page.served_at
            snapshot = InventorySnapshot(
                sweep_id, run_id, at, at, entries=0, pages=0, total=page.total
            )
        entries.extend(_rows(page, snapshot))
        snapshot = replace(
            snapshot,
            ended_at=max(snapshot.ended_at, page.served_at),
            entries=entries.rows,
            pages=snapshot.pages + 1,
            total=page.total if snapshot.total is None else snapshot.total,
            unreadable=snapshot.unreadable + len(page.unreadable),
        )
        on_page(entries.rows)
    if snapshot is None:
        raise EndpointFailed("The helpdesk gave no page of its inventory. Try again later.")
    return snapshot


def cutoffs_of(
    snapshot: InventorySnapshot,
    watermark: datetime,
    capabilities: Capabilities,
    listing_delay: timedelta,
) -> Cutoffs:
    """Return up to when changes count, by the helpdesk's clock.

    Args:
        snapshot: the inventory.
        watermark: the sync's.
        capabilities: the helpdesk's own delays.
        listing_delay: how late the helpdesk may list a change.
    """
    lookback = max(listing_delay, capabilities.settle_delay + capabilities.minimum_overlap)
    stable_until = snapshot.listed_at - lookback
    return Cutoffs(stable_until, min(stable_until, watermark))


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
