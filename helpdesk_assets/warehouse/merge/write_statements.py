"""Builds the statement of one write by what the target's metadata says; sends none.

Whoever writes and who asks beforehand what a write would read take the same statement from
here. Must not know what the rows mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.inline import listed_key
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.statement import first_load_statement, merge_statement
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import Column, ColumnType, TableSpec

# A receiver lives for weeks, in which an empty table becomes a large one.
SIZE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class TableWrite:
    """One write, of which `WriteStatements` makes a statement.

    Attributes:
        spec: the table.
        source_columns: the columns of the source.
        json_as_text: columns that are JSON in the source and text in the table.
        partition_bounds: see `PartitionBounds`.
        keys: all values of `listed_key`; empty if they are not known.
        has_rows: the source is known to have some.
        has_tombstones: see `merge_statement`, as `has_alive_at` and `forced`.
        order: total order of the source's rows, newest first.
    """

    spec: TableSpec
    source_columns: tuple[Column, ...]
    json_as_text: tuple[str, ...]
    partition_bounds: PartitionBounds | None
    keys: tuple[str, ...]
    has_rows: bool
    has_tombstones: bool
    has_alive_at: bool
    forced: bool
    order: tuple[str, ...]

    def of_inline_rows(self, keys: tuple[str, ...]) -> TableWrite:
        """Return the write of rows that stand in the statement, where JSON is text already."""
        return replace(self, json_as_text=(), keys=keys)


class WriteStatements:
    """The statements of writes into the tables of one dataset, as these are now."""

    def __init__(self, warehouse: BigQueryClient, prune_above_bytes: int) -> None:
        self._warehouse = warehouse
        self._prune_above_bytes = prune_above_bytes

    def first(self, write: TableWrite, source: Query) -> Query:
        """Return the statement that a write sends first, and mostly alone."""
        return self.first_load(write, source) or self.merge(write, source)

    def first_load(self, write: TableWrite, source: Query) -> Query | None:
        """Return the statement that fills an empty table; None if there is something in it.

        Whoever sends it must send `merge` as well if it has changed nothing.
        """
        if not (write.has_rows and self._is_empty(write.spec)):
            return None
        sql = first_load_statement(
            write.spec,
            self._warehouse.dataset.table(write.spec.name),
            source.sql,
            _names(write),
            order=write.order,
            json_as_text=write.json_as_text,
            has_tombstones=write.has_tombstones,
        )
        return Query(sql, source.parameters)

    def merge(self, write: TableWrite, source: Query) -> Query:
        """Return the MERGE of a source."""
        bounds = self._bounds(write.spec, write.partition_bounds)
        sql = merge_statement(
            write.spec,
            self._warehouse.dataset.table(write.spec.name),
            source.sql,
            _names(write),
            order=write.order,
            json_as_text=write.json_as_text,
            partition_bounds=bounds,
            key_listed=listed_key(write.spec) if write.keys else None,
            has_tombstones=write.has_tombstones,
            has_alive_at=write.has_alive_at,
            forced=write.forced,
        )
        keys = (Parameter("keys", ColumnType.STRING, write.keys),) if write.keys else ()
        constants = (*keys, *(bounds.parameters() if bounds else ()))
        return Query(sql, (*source.parameters, *constants))

    def _is_empty(self, spec: TableSpec) -> bool:
        """Return whether the table seems to be empty. Only the statement itself can be sure."""
        table = self._warehouse.get_table(spec.name, max_age=SIZE_SECONDS)
        if table is not None and not table.num_rows:
            table = self._warehouse.get_table(spec.name, fresh=True)
        return table is not None and table.num_rows == 0 and table.streaming_buffer is None

    def _bounds(
        self, spec: TableSpec, partition_bounds: PartitionBounds | None
    ) -> PartitionBounds | None:
        """Widen the bounds to whole partitions; None if they are not worth their risk."""
        if partition_bounds is None or partition_bounds.is_exact:
            return partition_bounds
        table = self._warehouse.get_table(spec.name, max_age=SIZE_SECONDS)
        if table is None or table.time_partitioning is None:
            return None
        partitioning = table.time_partitioning
        big = int(table.num_bytes or 0) >= self._prune_above_bytes
        if not big or partitioning.field != partition_bounds.column:
            return None
        return partition_bounds.whole_partitions(partitioning.type_)


def target_columns(spec: TableSpec, source_columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns to write: all but those that only order or guard the source's rows."""
    own = {column.name for column in spec.columns}
    others = {*spec.newest_first, spec.tombstone_flag, spec.alive_at_column}
    return tuple(c for c in source_columns if c.name in own or c.name not in others)


def order_of(spec: TableSpec, source_columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the spec's order as far as the batch has its columns.

    If one is missing, the content hash replaces it, so that a repeat chooses the same row.
    """
    names = {column.name for column in source_columns}
    order = tuple(name for name in spec.newest_first if name in names)
    if len(order) < len(spec.newest_first) and spec.content_hash_column in names:
        order += (str(spec.content_hash_column),)
    return order


def _names(write: TableWrite) -> Sequence[str]:
    return [each.name for each in target_columns(write.spec, write.source_columns)]
