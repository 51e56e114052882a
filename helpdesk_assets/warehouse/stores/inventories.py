"""The tables of reconciliations: snapshots of the helpdesk's inventory, and differences in them.

Must not know helpdesks, nor what is done about a difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from helpdesk_assets.errors import BatchGone
from helpdesk_assets.model.codec import part_from_text, part_to_text
from helpdesk_assets.model.reconciliation import (
    DifferenceCount,
    DifferenceKind,
    DifferenceOutcome,
    InventoryPart,
    InventorySnapshot,
    RowCounts,
)
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient, QueryResult
from helpdesk_assets.warehouse.inventory_store import Cutoffs
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging, created_at
from helpdesk_assets.warehouse.merge.statement import table_source
from helpdesk_assets.warehouse.merge.writer import TableWriter
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.statements import inventory_diff

# How far the archive has been asked, on the table of inventories.
ARCHIVE_LABEL = "archive-asked"


class InventoryTables:
    """The `warehouse.inventory_store.InventoryStore` of one dataset."""

    def __init__(self, client: BigQueryClient, writer: TableWriter) -> None:
        self._client = client
        self._dataset = client.dataset
        self._staging = Staging(client)
        self._schema = Schema(client)
        self._writer = writer

    def unfinished(self) -> InventoryPart | None:
        """Return where the last inventory was interrupted; no query job.

        Its table's description says so. Tables that nobody can go on with are dropped.
        """
        of_tables = (tables.TICKET_INVENTORY.name,)
        names = [item.table_id for item in self._client.list_tables()]
        kept = sorted(name for name in names if created_at(name, of_tables) is not None)
        parts = (self._part_in(name) for name in reversed(kept))
        newest = next((part for part in parts if part), None)
        retained = (str(newest.snapshot.staging),) if newest else ()
        self._staging.drop_orphans(of_tables=of_tables, retained=retained)
        return newest

    def _part_in(self, name: str) -> InventoryPart | None:
        found = self._client.get_table(name, fresh=True)
        part = part_from_text(found.description) if found else None
        return part if part and part.snapshot.staging == name else None

    def begin_parts(self, staging: str) -> None:
        """Create the table of an inventory that is stored in parts."""
        self._staging.begin(staging, tables.TICKET_INVENTORY.columns)

    def save_part(self, part: InventoryPart, entries: Spool) -> None:
        """Append entries to the inventory's own table, then note where to go on from.

        In this order: what was appended behind the noted position is read again and does no harm.
        """
        staging = str(part.snapshot.staging)
        self._append(part.snapshot, staging, entries)
        self._staging.describe(staging, part_to_text(part))

    def _append(self, snapshot: InventorySnapshot, staging: str, entries: Spool) -> None:
        spec = tables.TICKET_INVENTORY
        self._staging.add(staging, spec.columns, entries, run_id=snapshot.run_id, step=spec.name)

    def _parts(self, snapshot: InventorySnapshot, staging: str, entries: Spool) -> Query:
        """Return all entries of an inventory that was stored in parts, the last of them added."""
        if entries.rows:
            self._append(snapshot, staging, entries)
        elif not self._staging.exists(staging):
            raise BatchGone(
                f"The parts of inventory {snapshot.sweep_id} were in {staging}, which is gone. Run "
                "the reconciliation again: it starts over."
            )
        return Query(table_source(self._dataset.table(staging), tables.TICKET_INVENTORY.columns))

    def store(self, snapshot: InventorySnapshot, entries: Spool) -> RowCounts:
        """Store the snapshot's entries; return how many tickets it and the table have."""
        spec, at = tables.TICKET_INVENTORY, snapshot.listed_at
        staging = snapshot.staging
        source = entries if staging is None else self._parts(snapshot, staging, entries)
        self._writer.merge(
            spec,
            source,
            run_id=snapshot.run_id,
            step=spec.name,
            partition_bounds=PartitionBounds.at("listed_at", at),
            has_rows=True,
        )
        if staging is not None:
            self._staging.drop(staging)
        row = next(
            self._query(snapshot, inventory_diff.row_counts(self._dataset, snapshot), "sizes").rows
        )
        return RowCounts(int(row["listed"]), int(row["alive"]), int(row["highest"]))

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

    def archive_mark(self) -> str | None:
        """Return what was noted last."""
        return self._schema.label(tables.TICKET_INVENTORY, ARCHIVE_LABEL)

    def note_archive(self, mark: str) -> None:
        """Note how far the archive has been asked."""
        # Fresh, since a load changes the table and an outdated one must not be written.
        self._client.get_table(tables.TICKET_INVENTORY.name, fresh=True)
        self._schema.ensure_label(tables.TICKET_INVENTORY, ARCHIVE_LABEL, mark)

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
