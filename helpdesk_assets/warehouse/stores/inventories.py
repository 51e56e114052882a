"""The tables of reconciliations: snapshots of the helpdesk's inventory, and differences in them.

Must not know helpdesks, nor what is done about a difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from helpdesk_assets.model.reconciliation import (
    DifferenceCount,
    DifferenceKind,
    DifferenceOutcome,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.base import Cutoffs
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient, QueryResult
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import inventory_diff


class InventoryTables:
    """The `warehouse.base.InventoryStore` of one dataset."""

    def __init__(self, client: BigQueryClient, writer: TableWriter) -> None:
        self._client = client
        self._dataset = client.dataset
        self._writer = writer

    def store(self, snapshot: InventorySnapshot, entries: Spool) -> RowCounts:
        """Store the snapshot's entries; return how many tickets it and the table have."""
        spec, at = tables.TICKET_INVENTORY, snapshot.listed_at
        self._writer.merge(
            spec,
            entries,
            run_id=snapshot.run_id,
            step=spec.name,
            partition_bounds=PartitionBounds.at("listed_at", at),
        )
        row = next(
            self._query(snapshot, inventory_diff.row_counts(self._dataset, snapshot), "sizes").rows
        )
        return RowCounts(int(row["listed"]), int(row["alive"]))

    def compare(self, snapshot: InventorySnapshot, cutoffs: Cutoffs) -> None:
        """Record every difference between the snapshot and the tickets table."""
        self._record(snapshot, inventory_diff.compare(self._dataset, snapshot, cutoffs))

    def found(
        self, snapshot: InventorySnapshot, kinds: tuple[DifferenceKind, ...]
    ) -> Iterator[str]:
        """Yield the ids of tickets that differ in one of these ways; there may be any number."""
        query = inventory_diff.differing_tickets(self._dataset, snapshot, kinds)
        for row in self._query(snapshot, query, "found").rows:
            yield row["ticket_id"]

    def record_outcomes(self, snapshot: InventorySnapshot, *, deletions_verified: bool) -> None:
        """Record what became of each difference, by what the tickets table holds now."""
        query = inventory_diff.outcomes(
            self._dataset, snapshot, deletions_verified=deletions_verified
        )
        self._record(snapshot, query)

    def difference_counts(self, snapshot: InventorySnapshot) -> tuple[DifferenceCount, ...]:
        """Count the differences by kind and outcome."""
        rows = self._query(
            snapshot, inventory_diff.difference_counts(self._dataset, snapshot), "counted"
        ).rows
        return tuple(
            DifferenceCount(
                DifferenceKind(row["kind"]),
                DifferenceOutcome(row["outcome"]),
                int(row["count"]),
                tuple(row["ticket_ids"]),
            )
            for row in rows
        )

    def _record(self, snapshot: InventorySnapshot, query: Query) -> None:
        spec = tables.INVENTORY_DIFFERENCES
        self._writer.merge(spec, query, run_id=snapshot.run_id, step=spec.name)

    def _query(self, snapshot: InventorySnapshot, query: Query, step: str) -> QueryResult:
        return self._client.run(query, run_id=snapshot.run_id, step=step)
