"""The snapshots of reconciliations, and how tickets differs from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.model.reconciliation import (
    REPAIRED_BY_FETCH,
    DifferenceCount,
    DifferenceKind,
    DifferenceOutcome,
    InventoryPart,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.inventory_store import Cutoffs
from helpdesk_assets.warehouse.statements.inventory_diff import FUTURE_TOLERANCE, NAMED_TICKETS
from helpdesk_assets_tests.in_memory.dataset import InMemoryDataset, read_rows
from helpdesk_assets_tests.in_memory.newer_wins import Row


class InMemoryInventories:
    """An `InventoryStore`."""

    def __init__(self, dataset: InMemoryDataset) -> None:
        self._dataset = dataset

    def unfinished(self) -> InventoryPart | None:
        """Return where the last inventory was interrupted."""
        kept = self._dataset.parts.items()
        parts = (part for name, part in sorted(kept) if name in self._dataset.stagings)
        return max(parts, key=lambda part: str(part.snapshot.staging), default=None)

    def begin_parts(self, staging: str) -> None:
        """Create the table of an inventory that is stored in parts."""
        self._dataset.stagings[staging] = []

    def save_part(self, part: InventoryPart, entries: Spool) -> None:
        """Append entries, then note where to go on from."""
        staging = str(part.snapshot.staging)
        self._append(staging, entries)
        self._dataset.parts[staging] = part

    def _append(self, staging: str, entries: Spool) -> list[Row]:
        if staging not in self._dataset.stagings:
            raise BatchGone(f"{staging} is gone. Run again: it starts over.")
        held = self._dataset.stagings[staging]
        held.extend(read_rows(entries, tables.TICKET_INVENTORY))
        return held

    def store(self, snapshot: InventorySnapshot, entries: Spool) -> RowCounts:
        """Store the snapshot's entries; return how many tickets it and the table have."""
        spec, staging = tables.TICKET_INVENTORY, snapshot.staging
        if staging is None:
            self._dataset.merge(spec, read_rows(entries, spec))
        else:
            self._dataset.merge(spec, self._append(staging, entries))
            del self._dataset.stagings[staging]
        stored = self._dataset.rows(tables.TICKETS)
        alive = [row for row in stored if row["deletedTime"] is None]
        numbers = [int(row["ticket_id"]) for row in stored if row["ticket_id"].isdecimal()]
        return RowCounts(len(self._listed(snapshot)), len(alive), max(numbers, default=0))

    def compare(self, snapshot: InventorySnapshot, cutoffs: Cutoffs) -> None:
        """Record every difference between the snapshot and the tickets table."""
        listed = self._listed(snapshot)
        stored = {row["ticket_id"]: row for row in self._dataset.rows(tables.TICKETS)}
        differences = []
        for ticket_id in listed.keys() | stored.keys():
            theirs, ours = listed.get(ticket_id), stored.get(ticket_id)
            kind = _kind(theirs, ours, snapshot, cutoffs)
            if kind is not None:
                differences.append(
                    {
                        "sweep_id": snapshot.sweep_id,
                        "ticket_id": ticket_id,
                        "kind": kind.value,
                        "helpdesk_modifiedTime": theirs["modifiedTime"] if theirs else None,
                        "stored_modifiedTime": ours["modifiedTime"] if ours else None,
                        "found_at": snapshot.listed_at,
                        "outcome": DifferenceOutcome.FOUND.value,
                        "_run_id": snapshot.run_id,
                    }
                )
        self._dataset.merge(tables.INVENTORY_DIFFERENCES, differences)

    def found(
        self, snapshot: InventorySnapshot, kinds: tuple[DifferenceKind, ...]
    ) -> Iterator[str]:
        """Yield the ids of tickets that differ in one of these ways."""
        yield from [row["ticket_id"] for row in self._differences(snapshot) if row["kind"] in kinds]

    def record_outcomes(self, snapshot: InventorySnapshot, *, deletions_verified: bool) -> None:
        """Record what became of each difference, by what tickets holds now."""
        rows = [
            {**row, "outcome": self._outcome(row, deletions_verified).value}
            for row in self._differences(snapshot)
        ]
        self._dataset.merge(tables.INVENTORY_DIFFERENCES, rows)

    def archive_mark(self) -> str | None:
        """Return what was noted last."""
        return self._dataset.labels.get(tables.TICKET_INVENTORY.name)

    def note_archive(self, mark: str) -> None:
        """Note how far the archive has been asked."""
        if tables.TICKET_INVENTORY.name in self._dataset.tables:
            self._dataset.labels[tables.TICKET_INVENTORY.name] = mark

    def difference_counts(self, snapshot: InventorySnapshot) -> tuple[DifferenceCount, ...]:
        """Count the differences by kind and outcome."""
        rows = sorted(self._differences(snapshot), key=lambda row: row["ticket_id"])
        counts = Counter((row["kind"], row["outcome"]) for row in rows)
        return tuple(
            DifferenceCount(
                DifferenceKind(kind),
                DifferenceOutcome(outcome),
                counts[kind, outcome],
                tuple(
                    row["ticket_id"]
                    for row in rows
                    if (row["kind"], row["outcome"]) == (kind, outcome)
                )[:NAMED_TICKETS],
            )
            for kind, outcome in sorted(counts)
        )

    def _listed(self, snapshot: InventorySnapshot) -> dict[str, Row]:
        return {
            row["ticket_id"]: row
            for row in self._dataset.rows(tables.TICKET_INVENTORY)
            if row["sweep_id"] == snapshot.sweep_id
        }

    def _differences(self, snapshot: InventorySnapshot) -> list[Row]:
        return [
            row
            for row in self._dataset.rows(tables.INVENTORY_DIFFERENCES)
            if row["sweep_id"] == snapshot.sweep_id
        ]

    def _outcome(self, row: Row, deletions_verified: bool) -> DifferenceOutcome:
        held = self._dataset.ticket(row["ticket_id"])
        if row["kind"] in REPAIRED_BY_FETCH:
            if held is not None and _is_repaired(row, held):
                return DifferenceOutcome.REPAIRED
        elif row["kind"] == DifferenceKind.DELETED:
            if held is not None and held["deletedTime"] is not None:
                return DifferenceOutcome.DELETED
            if deletions_verified:
                return DifferenceOutcome.STILL_EXISTS
        return DifferenceOutcome.UNRESOLVED


def _is_repaired(row: Row, held: Row) -> bool:
    if row["kind"] == DifferenceKind.DEAD and held["deletedTime"] is not None:
        return False
    stored = held["modifiedTime"]
    return stored is not None and stored >= row["helpdesk_modifiedTime"]


def _kind(
    theirs: Row | None, ours: Row | None, snapshot: InventorySnapshot, cutoffs: Cutoffs
) -> DifferenceKind | None:
    listed = theirs["modifiedTime"] if theirs else None
    is_due = listed is not None and listed <= cutoffs.synced_until
    if ours is None:
        return DifferenceKind.ABSENT if theirs and not theirs["gone"] and is_due else None
    stored, is_alive = ours["modifiedTime"], ours["deletedTime"] is None
    if stored is not None and stored > cutoffs.stable_until:
        is_ahead = listed is not None and listed < stored
        is_future = stored > snapshot.ended_at + FUTURE_TOLERANCE
        return DifferenceKind.AHEAD if is_ahead and is_future else None
    if theirs is None:
        since = cutoffs.listed_after
        is_listed = stored is None or since is None or stored > since
        return DifferenceKind.DELETED if is_alive and is_listed else None
    if theirs["gone"]:
        return DifferenceKind.DELETED if is_alive and is_due else None
    if not is_alive:
        known_at = ours["_read_at"] or ours["deletedTime"]
        return DifferenceKind.DEAD if is_due and known_at <= cutoffs.stable_until else None
    if listed is None or stored == listed:
        return None
    if stored is None or stored < listed:
        return DifferenceKind.STALE if is_due else None
    return DifferenceKind.AHEAD
