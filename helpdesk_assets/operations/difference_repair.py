"""Repair the differences that a reconciliation found, and say which may not be.

What the helpdesk lists is fetched by id. What it does not list is asked for by id too, and only
what is then gone is marked as deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from helpdesk_assets.model.reconciliation import (
    REPAIRED_BY_FETCH,
    DifferenceKind,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.model.webhooks import WebhookPolicy
from helpdesk_assets.operations.inventory import refusal_reason
from helpdesk_assets.operations.repair import RepairReport, repair_tickets
from helpdesk_assets.providers.base import Helpdesk
from helpdesk_assets.warehouse.base import Warehouse

# At two calls each, these take less than an hour at 200 calls a minute.
MAX_ASKED_FIRST = 5_000


@dataclass(frozen=True, slots=True)
class DifferenceRepair:
    """Repairs the differences of one inventory.

    Attributes:
        helpdesk: where single tickets come from.
        warehouse: where the differences are, and where the tickets go.
        snapshot: the inventory.
        webhooks: what is expected of webhooks.
        concurrency: concurrent calls.
        listing_delay: how late the helpdesk may show a new ticket.
    """

    helpdesk: Helpdesk
    warehouse: Warehouse
    snapshot: InventorySnapshot
    webhooks: WebhookPolicy
    concurrency: int
    listing_delay: timedelta

    def refusal_reason(
        self, row_counts: RowCounts, gone: int, max_share: float, *, may_ask: bool
    ) -> str | None:
        """Return why no row may be marked as deleted; see `inventory.refusal_reason`.

        Too many tickets that are not listed may all be archived. So where there is an archive, they
        are asked for first, and only those that are gone count.

        Args:
            row_counts: tickets listed, and live rows.
            gone: rows whose ticket is not listed or is listed as deleted.
            max_share: share of live rows that may be marked at once, 0 to 1.
            may_ask: tickets may be fetched, and merged as they are.
        """
        reason = refusal_reason(self.snapshot, row_counts, gone, max_share)
        if not gone:
            return reason
        if blind_spot := self.helpdesk.blind_spot():
            return blind_spot
        are_too_many = gone > MAX_ASKED_FIRST or self.helpdesk.archive is None
        if reason is None or are_too_many or not may_ask:
            return reason
        asked = self._fetch((DifferenceKind.DELETED,), mark_deleted=False)
        return refusal_reason(self.snapshot, row_counts, asked.not_found, max_share)

    def repair(self, kinds: Collection[DifferenceKind]) -> RepairReport:
        """Repair what the helpdesk lists, then check deleted tickets, the only ones to be marked.

        Args:
            kinds: the kinds that may be repaired.
        """
        report = RepairReport()
        for mark_deleted, some in ((False, REPAIRED_BY_FETCH), (True, (DifferenceKind.DELETED,))):
            requested = tuple(kind for kind in some if kind in kinds)
            if requested:
                report += self._fetch(requested, mark_deleted=mark_deleted)
        return report

    def _fetch(self, kinds: tuple[DifferenceKind, ...], *, mark_deleted: bool) -> RepairReport:
        return repair_tickets(
            self.helpdesk,
            self.warehouse,
            self.warehouse.inventories().found(self.snapshot, kinds),
            run_id=self.snapshot.run_id,
            webhooks=self.webhooks,
            concurrency=self.concurrency,
            mark_deleted=mark_deleted,
            listing_delay=self.listing_delay,
        )
