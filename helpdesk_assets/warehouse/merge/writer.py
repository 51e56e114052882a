"""Writes a batch or a query into a table with one MERGE, whatever the size.

A small batch is a parameter of the statement and costs one query job; a large one goes through a
staging table. Either way the target changes by that one statement or not at all. Must not know
what the rows mean: key, guard and order come from the table's description.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from helpdesk_assets.naming import batch_id, staging_name
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient, QueryResult
from helpdesk_assets.warehouse.bigquery.job_ids import JobName
from helpdesk_assets.warehouse.merge.inline import (
    fits_a_request,
    inline_rows,
    keys_to_list,
    listed_key,
)
from helpdesk_assets.warehouse.merge.partitions import PartitionBounds
from helpdesk_assets.warehouse.merge.schema import Schema, is_json_as_text
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.statement import (
    first_load_statement,
    merge_statement,
    table_source,
)
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import (
    Column,
    ColumnType,
    JobUsage,
    MergePolicy,
    MergeReport,
    TableSpec,
)

# Below about 1 GB twelve unpruned MERGEs a day cost cents, and wrong bounds cause duplicate rows.
# Listed keys can cause none, and are always used.
PRUNE_ABOVE_BYTES = 1 << 30
# A receiver lives for weeks, in which an empty table becomes a large one.
SIZE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Write:
    """One write.

    `json_as_text`: columns that are JSON in the source and text in the table. `keys`: all values of
    `listed_key`, if they are known. `has_rows`: the source is known to have some.
    """

    spec: TableSpec
    source_columns: tuple[Column, ...]
    json_as_text: tuple[str, ...]
    job: JobName
    partition_bounds: PartitionBounds | None
    keys: tuple[str, ...]
    has_rows: bool
    has_tombstones: bool
    has_alive_at: bool
    forced: bool


class TableWriter:
    """Merges rows into the tables of one dataset.

    Batches up to `small_batch_bytes` go into the statement; tables of at least
    `prune_above_bytes` are pruned.
    """

    def __init__(
        self,
        warehouse: BigQueryClient,
        *,
        small_batch_bytes: int = 1_048_576,
        prune_above_bytes: int = PRUNE_ABOVE_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._warehouse = warehouse
        self._schema = Schema(warehouse)
        self._staging = Staging(warehouse, now=now)
        self._small_batch_bytes = small_batch_bytes
        self._prune_above_bytes = prune_above_bytes
        self._now = now
        self._monotonic = monotonic

    def merge(
        self,
        spec: TableSpec,
        source: Spool | Query,
        *,
        run_id: str,
        step: str,
        attempt: int = 0,
        columns: Sequence[Column] | None = None,
        staging: str | None = None,
        keep_staging: bool = False,
        partition_bounds: PartitionBounds | None = None,
        keys: Collection[str] = (),
        has_rows: bool = False,
        has_tombstones: bool = False,
        forced: bool = False,
    ) -> MergeReport:
        """Write `source` into the table of `spec`. Repeating it changes nothing.

        Args:
            spec: the table, its key and its guard.
            source: the rows as NDJSON, or a SELECT.
            run_id: the run on whose behalf they are written.
            step: which step of the run; part of the job id and a label.
            attempt: counts the retries of the step, from 0.
            columns: the source's columns; the spec's if None. Columns that the table lacks are
                added to it, except those that only order the source's rows.
            staging: name for the staging table, which then takes a batch of any size; None: a new
                name for a large batch.
            keep_staging: leave the staging table to the caller after a successful MERGE.
            partition_bounds: bounds of the source's partition column; see `PartitionBounds` for
                what they must cover.
            keys: all values that the source has of the column that the table is clustered by; empty
                if not known. Those of a small batch need not be given.
            has_rows: the query is known to select some; rows given as NDJSON always are.
            has_tombstones: some rows know only the deletion (spec's `tombstone_flag`).
            forced: see `merge_statement`.

        Raises:
            NullKey: a row lacks its key; nothing was written.
            SchemaMismatch: a column has a different type in the table; nothing was written.
        """
        started, used = self._monotonic(), self._warehouse.use
        source_columns = tuple(spec.columns if columns is None else columns)
        self._schema.ensure(spec, _union(spec.columns, _target_columns(spec, source_columns)))
        actual = self._schema.columns(spec)
        as_text = tuple(column.name for column in source_columns if is_json_as_text(column, actual))
        write = _Write(
            spec,
            source_columns,
            as_text,
            JobName(run_id, step, attempt),
            partition_bounds,
            keys_to_list(keys) if listed_key(spec) else (),
            has_rows or isinstance(source, Spool),
            has_tombstones,
            # Without `columns`, a query is expected to return all that the spec reads.
            has_alive_at=spec.alive_at_column in {column.name for column in source_columns}
            or (isinstance(source, Query) and columns is None and bool(spec.alive_at_column)),
            forced=forced,
        )
        if isinstance(source, Query):
            order = spec.newest_first if columns is None else _order(spec, source_columns)
            outcome = self._run(write, source, order)
        elif source.rows == 0:
            outcome = None
        elif staging is None and self._is_small(source):
            rows = inline_rows(spec, source_columns, source, json_as_text=as_text)
            outcome = self._run(
                replace(write, json_as_text=(), keys=rows.keys),
                rows.query,
                _order(spec, source_columns),
            )
        else:
            batch = batch_id(self._now(), run_id, attempt)
            name = staging or staging_name(spec.name, batch)
            outcome = self._through_staging(write, source, name, keep=keep_staging)
        use = self._warehouse.use.since(used)
        return _report(spec, outcome, use, self._monotonic() - started)

    def _is_small(self, source: Spool) -> bool:
        return source.size <= self._small_batch_bytes and fits_a_request(source)

    def _through_staging(
        self, write: _Write, spool: Spool, name: str, *, keep: bool
    ) -> QueryResult:
        job, source_columns = write.job, write.source_columns
        self._staging.load(
            name, source_columns, spool, run_id=job.run_id, step=job.step, attempt=job.attempt
        )
        source = Query(table_source(self._warehouse.dataset.table(name), source_columns))
        try:
            outcome = self._run(write, source, _order(write.spec, source_columns))
        except BaseException:
            self._staging.drop(name)
            raise
        if not keep:
            self._staging.drop(name)
        return outcome

    def _run(self, write: _Write, source: Query, order: Sequence[str]) -> QueryResult:
        spec = write.spec
        columns = [each.name for each in _target_columns(spec, write.source_columns)]
        target = self._warehouse.dataset.table(spec.name)
        if write.has_rows and self._is_empty(spec):
            sql = first_load_statement(
                spec,
                target,
                source.sql,
                columns,
                order=order,
                json_as_text=write.json_as_text,
                has_tombstones=write.has_tombstones,
            )
            outcome = self._send(write, Query(sql, source.parameters))
            if outcome.changed:
                return replace(outcome, inserted=outcome.changed, updated=0)
        bounds = self._bounds(spec, write.partition_bounds)
        sql = merge_statement(
            spec,
            target,
            source.sql,
            columns,
            order=order,
            json_as_text=write.json_as_text,
            partition_bounds=bounds,
            key_listed=listed_key(spec) if write.keys else None,
            has_tombstones=write.has_tombstones,
            has_alive_at=write.has_alive_at,
            forced=write.forced,
        )
        keys = (Parameter("keys", ColumnType.STRING, write.keys),) if write.keys else ()
        constants = (*keys, *(bounds.parameters() if bounds else ()))
        return self._send(write, Query(sql, (*source.parameters, *constants)))

    def _send(self, write: _Write, query: Query) -> QueryResult:
        job = write.job
        return self._warehouse.run(
            query,
            run_id=job.run_id,
            step=job.step,
            attempt=job.attempt,
            labels={"table": write.spec.name},
        )

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


def _target_columns(spec: TableSpec, source_columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns to write: all but those that only order or guard the source's rows."""
    own = {column.name for column in spec.columns}
    others = {*spec.newest_first, spec.tombstone_flag, spec.alive_at_column}
    return tuple(c for c in source_columns if c.name in own or c.name not in others)


def _union(first: Iterable[Column], second: Iterable[Column]) -> tuple[Column, ...]:
    return tuple({column.name: column for column in (*first, *second)}.values())


def _order(spec: TableSpec, source_columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the spec's order as far as the batch has its columns.

    If one is missing, the content hash replaces it, so that a repeat chooses the same row.
    """
    names = {column.name for column in source_columns}
    order = tuple(name for name in spec.newest_first if name in names)
    if len(order) < len(spec.newest_first) and spec.content_hash_column in names:
        order += (str(spec.content_hash_column),)
    return order


def _report(
    spec: TableSpec, outcome: QueryResult | None, use: JobUsage, seconds: float
) -> MergeReport:
    changed = 0 if outcome is None else outcome.changed
    report = MergeReport(
        spec.name,
        changed,
        query_jobs=use.query_jobs,
        load_jobs=use.load_jobs,
        bytes_billed=use.bytes_billed,
        seconds=seconds,
    )
    if outcome is None or spec.merge_policy is MergePolicy.INSERT_ONLY:
        return replace(report, inserted=changed, updated=0)
    return replace(report, inserted=outcome.inserted, updated=outcome.updated)
