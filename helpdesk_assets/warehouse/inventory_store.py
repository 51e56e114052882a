"""The part of the seam between operations and a warehouse that is about reconciliations.

`stores.inventories.InventoryTables` keeps it in BigQuery. No signature here knows SQL, a client or
a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from helpdesk_assets.model.reconciliation import (
    DifferenceCount,
    DifferenceKind,
    InventoryPart,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.spool import Spool


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Up to when a reconciliation compares, by the helpdesk's clock.

    Rows changed after `stable_until` may have changed while the inventory was read. Tickets
    changed after `synced_until` are left to the next sync. Tickets that have not changed after
    `listed_after` may be in no list though they exist; None: all are listed.
    `statements.inventory_diff` says how each is used.
    """

    stable_until: datetime
    synced_until: datetime
    listed_after: datetime | None = None


class InventoryStore(Protocol):
    """The snapshots of a reconciliation and the differences found in them."""

    def unfinished(self) -> InventoryPart | None:
        """Return where the last inventory was interrupted, None if nothing is kept of any."""
        ...

    def begin_parts(self, staging: str) -> None:
        """Create the table of an inventory that is stored in parts."""
        ...

    def save_part(self, part: InventoryPart, entries: Spool) -> None:
        """Store entries read since the last part, then where to go on from.

        Raises:
            BatchGone: the earlier parts are gone.
        """
        ...

    def store(self, snapshot: InventorySnapshot, entries: Spool) -> RowCounts:
        """Store the snapshot's entries; return how many tickets it and the table have.

        Args:
            snapshot: the whole inventory.
            entries: those of its entries that no part has stored.

        Raises:
            BatchGone: the parts are gone.
        """
        ...

    def compare(self, snapshot: InventorySnapshot, cutoffs: Cutoffs) -> None:
        """Record every difference between the snapshot and the tickets table."""
        ...

    def found(
        self, snapshot: InventorySnapshot, kinds: tuple[DifferenceKind, ...]
    ) -> Iterator[str]:
        """Yield the ids of tickets that differ in one of these ways, as they are needed."""
        ...

    def record_outcomes(self, snapshot: InventorySnapshot, *, deletions_verified: bool) -> None:
        """Record what became of each difference, by what the tickets table holds now."""
        ...

    def archive_mark(self) -> str | None:
        """Return what `note_archive` noted last; None: nothing. Costs no query."""
        ...

    def note_archive(self, mark: str) -> None:
        """Note how far the archive has been asked; a mark is of digits and hyphens."""
        ...

    def difference_counts(self, snapshot: InventorySnapshot) -> tuple[DifferenceCount, ...]:
        """Count the differences by kind and outcome."""
        ...
