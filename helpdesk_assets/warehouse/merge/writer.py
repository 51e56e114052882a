"""Writes a batch or a query into a table with one MERGE, whatever the size.

A small batch is a parameter of the statement and costs one query job; a large one goes through a
staging table. Either way the target changes by that one statement or not at all. Must not know
what the rows mean: key, guard and order come from the table's description.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
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
from helpdesk_assets.warehouse.merge.schema import Schema
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.statement import table_source
from helpdesk_assets.warehouse.merge.table_check import is_json_as_text
from helpdesk_assets.warehouse.merge.write_statements import (
    TableWrite,
    WriteStatements,
    order_of,
    target_columns,
)
from helpdesk_assets.warehouse.query import Query
from helpdesk_assets.warehouse.table_spec import (
    Column,
    JobUsage,
    MergePolicy,
    MergeReport,
    TableSpec,
)

# Below about 1 GB twelve unpruned MERGEs a day cost cents, and wrong bounds cause duplicate rows.
# Listed keys can cause none, and are always used.
PRUNE_ABOVE_BYTES = 1 << 30


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
        self._statements = WriteStatements(warehouse, prune_above_bytes)
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
        expected = spec.columns if columns is None else tuple(columns)
        self._schema.ensure(spec, _union(spec.columns, target_columns(spec, expected)))
        job = JobName(run_id, step, attempt)
        write = self._describe(
            spec,
            source,
            columns,
            partition_bounds,
            keys,
            has_rows=has_rows,
            has_tombstones=has_tombstones,
            forced=forced,
        )
        if isinstance(source, Query):
            outcome = self._run(job, write, source)
        elif source.rows == 0:
            outcome = None
        elif staging is None and self._is_small(source):
            outcome = self._run(job, *_inline(write, source))
        else:
            name = staging or self._staging_name(spec, job)
            outcome = self._through_staging(job, write, source, name, keep=keep_staging)
        use = self._warehouse.use.since(used)
        return _report(spec, outcome, use, self._monotonic() - started)

    def statement(
        self,
        spec: TableSpec,
        source: Spool | Query,
        *,
        run_id: str,
        staging: str | None = None,
        partition_bounds: PartitionBounds | None = None,
        keys: Collection[str] = (),
        has_rows: bool = False,
        has_tombstones: bool = False,
        forced: bool = False,
    ) -> Query | None:
        """Return the statement that `merge` would send first with these arguments; sends nothing.

        None: there are no rows to write. A batch that is too large for the statement is read from
        its staging table, which need not exist.
        """
        write = self._describe(
            spec,
            source,
            None,
            partition_bounds,
            keys,
            has_rows=has_rows,
            has_tombstones=has_tombstones,
            forced=forced,
        )
        if isinstance(source, Query):
            return self._statements.first(write, source)
        if source.rows == 0:
            return None
        if staging is None and self._is_small(source):
            return self._statements.first(*_inline(write, source))
        name = staging or self._staging_name(spec, JobName(run_id, spec.name))
        return self._statements.first(write, self._staged(write, name))

    def _describe(
        self,
        spec: TableSpec,
        source: Spool | Query,
        columns: Sequence[Column] | None,
        partition_bounds: PartitionBounds | None,
        keys: Collection[str],
        *,
        has_rows: bool,
        has_tombstones: bool,
        forced: bool,
    ) -> TableWrite:
        """Return the write that these arguments of `merge` ask for."""
        source_columns = tuple(spec.columns if columns is None else columns)
        actual = self._schema.columns(spec)
        # Without `columns`, a query is expected to return all that the spec reads.
        is_whole = isinstance(source, Query) and columns is None
        is_alive_at_given = spec.alive_at_column in {column.name for column in source_columns}
        return TableWrite(
            spec,
            source_columns,
            tuple(column.name for column in source_columns if is_json_as_text(column, actual)),
            partition_bounds,
            keys_to_list(keys) if listed_key(spec) else (),
            has_rows or isinstance(source, Spool),
            has_tombstones,
            is_alive_at_given or (is_whole and bool(spec.alive_at_column)),
            forced,
            tuple(spec.newest_first) if is_whole else order_of(spec, source_columns),
        )

    def _is_small(self, source: Spool) -> bool:
        return source.size <= self._small_batch_bytes and fits_a_request(source)

    def _staging_name(self, spec: TableSpec, job: JobName) -> str:
        return staging_name(spec.name, batch_id(self._now(), job.run_id, job.attempt))

    def _staged(self, write: TableWrite, name: str) -> Query:
        return Query(table_source(self._warehouse.dataset.table(name), write.source_columns))

    def _through_staging(
        self, job: JobName, write: TableWrite, spool: Spool, name: str, *, keep: bool
    ) -> QueryResult:
        self._staging.load(
            name, write.source_columns, spool, run_id=job.run_id, step=job.step, attempt=job.attempt
        )
        try:
            outcome = self._run(job, write, self._staged(write, name))
        except BaseException:
            self._staging.drop(name)
            raise
        if not keep:
            self._staging.drop(name)
        return outcome

    def _run(self, job: JobName, write: TableWrite, source: Query) -> QueryResult:
        filling = self._statements.first_load(write, source)
        if filling is not None:
            outcome = self._send(job, write.spec, filling)
            if outcome.changed:
                return replace(outcome, inserted=outcome.changed, updated=0)
        return self._send(job, write.spec, self._statements.merge(write, source))

    def _send(self, job: JobName, spec: TableSpec, query: Query) -> QueryResult:
        return self._warehouse.run(
            query,
            run_id=job.run_id,
            step=job.step,
            attempt=job.attempt,
            labels={"table": spec.name},
        )


def _inline(write: TableWrite, spool: Spool) -> tuple[TableWrite, Query]:
    rows = inline_rows(write.spec, write.source_columns, spool, json_as_text=write.json_as_text)
    return write.of_inline_rows(rows.keys), rows.query


def _union(first: Iterable[Column], second: Iterable[Column]) -> tuple[Column, ...]:
    return tuple({column.name: column for column in (*first, *second)}.values())


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
        job_ids=() if outcome is None else (outcome.job_id,),
    )
    if outcome is None or spec.merge_policy is MergePolicy.INSERT_ONLY:
        return replace(report, inserted=changed, updated=0)
    return replace(report, inserted=outcome.inserted, updated=outcome.updated)
