"""Writes a batch or a query into a table with one MERGE, whatever the batch's size.

A small batch travels inside the statement and costs one query job; a large one goes through a
staging table. Either way the target changes by that one statement or not at all. Must not know
what the rows mean: key, guard and order come from the table's description.
"""

from __future__ import annotations

import json
import time
from calendar import monthrange
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from helpdesk_assets.errors import NullKey
from helpdesk_assets.naming import batch_id, staging_name
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient, QueryResult
from helpdesk_assets.warehouse.bigquery.job_ids import JobName
from helpdesk_assets.warehouse.bigquery.jobs import JobUsage
from helpdesk_assets.warehouse.merge.schema import Schema, is_json_as_text
from helpdesk_assets.warehouse.merge.staging import Staging
from helpdesk_assets.warehouse.merge.statement import (
    PartitionBounds,
    merge_statement,
    rows_source,
    table_source,
)
from helpdesk_assets.warehouse.query import NULL_KEY, Parameter, Query
from helpdesk_assets.warehouse.table_spec import (
    Column,
    ColumnType,
    MergePolicy,
    MergeReport,
    TableSpec,
)

# Below about 1 GB an unpruned MERGE costs cents a day, and bounds that are wrong cost doubled rows.
PRUNE_ABOVE_BYTES = 1 << 30
# BigQuery takes requests of 10 MB. google's client escapes all that is not ASCII, so that a batch
# in Cyrillic is three times as long there, and one of 4 MB was refused.
REQUEST_BYTES = 9_500_000
MAX_ESCAPE_GROWTH = 3


@dataclass(frozen=True, slots=True)
class _Write:
    """One write: into what, which columns the source holds (and which of
    those as JSON where the table has text), as which job, within which bounds."""

    spec: TableSpec
    source_columns: tuple[Column, ...]
    json_as_text: tuple[str, ...]
    job: JobName
    partition_bounds: PartitionBounds | None
    has_tombstones: bool


class TableWriter:
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
        has_tombstones: bool = False,
    ) -> MergeReport:
        """Write `source` into the table of `spec`. Doing it again changes nothing.

        Args:
            columns: what the source holds, the spec's columns when None. Columns that the table
                lacks are added to it, except those that only order the source's rows.
            staging: name for the staging table of a large batch; made up when None.
            keep_staging: leave the staging table to the caller once the MERGE has succeeded.
            prune: bounds of the source's partition column; see `PartitionBounds` for what they
                promise.
            partial: some rows know only a part, as the spec's `tombstone_flag` tells.

        Raises:
            NullKey: a row without its key; nothing was written.
            SchemaMismatch: a column has another type than the table's; nothing was written.
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
            has_tombstones,
        )
        if isinstance(source, Query):
            # A query of which nothing else was said gives whatever the spec orders by.
            order = spec.newest_first if columns is None else _order(spec, source_columns)
            outcome = self._run(write, source, order)
        elif source.rows == 0:
            outcome = None
        elif source.size <= self._small_batch_bytes and _fits_a_request(source):
            outcome = self._run(
                replace(write, json_as_text=()),
                _inline(write, source),
                _order(spec, source_columns),
            )
        else:
            batch = batch_id(self._now(), run_id, attempt)
            name = staging or staging_name(spec.name, batch)
            outcome = self._through_staging(write, source, name, keep=keep_staging)
        use = self._warehouse.use.since(used)
        return _report(spec, outcome, use, self._monotonic() - started)

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
        spec, job = write.spec, write.job
        columns = _target_columns(spec, write.source_columns)
        partition_bounds = self._bounds(spec, write.partition_bounds)
        sql = merge_statement(
            spec,
            self._warehouse.dataset.table(spec.name),
            source.sql,
            [column.name for column in columns],
            order=order,
            json_as_text=write.json_as_text,
            partition_bounds=partition_bounds,
            has_tombstones=write.has_tombstones,
        )
        return self._warehouse.run(
            Query(sql, (*source.parameters, *_parameters(partition_bounds))),
            run_id=job.run_id,
            step=job.step,
            attempt=job.attempt,
            labels={"table": spec.name},
        )

    def _bounds(
        self, spec: TableSpec, partition_bounds: PartitionBounds | None
    ) -> PartitionBounds | None:
        """The bounds in whole partitions, None where they would not be worth their risk."""
        table = self._warehouse.get_table(spec.name)
        if partition_bounds is None or table is None or table.time_partitioning is None:
            return None
        partitioning = table.time_partitioning
        big = int(table.num_bytes or 0) >= self._prune_above_bytes
        return (
            whole_partitions(partition_bounds, partitioning.type_)
            if (big and partitioning.field == partition_bounds.column)
            else None
        )


def whole_partitions(partition_bounds: PartitionBounds, unit: str) -> PartitionBounds:
    """The same bounds, widened to where their partitions begin and end."""
    start = _start_of(partition_bounds.start.astimezone(UTC), unit)
    last = _start_of(partition_bounds.end.astimezone(UTC), unit)
    length = {
        "HOUR": timedelta(hours=1),
        "DAY": timedelta(days=1),
        "MONTH": timedelta(days=monthrange(last.year, last.month)[1]),
        "YEAR": last.replace(month=12, day=31) - last + timedelta(days=1),
    }[unit]
    # The sum of the two lengths first: behind the last month of 9999 there is no time.
    return PartitionBounds(
        partition_bounds.column, start, last + (length - timedelta(microseconds=1))
    )


def _start_of(moment: datetime, unit: str) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return {
        "HOUR": hour,
        "DAY": hour.replace(hour=0),
        "MONTH": hour.replace(day=1, hour=0),
        "YEAR": hour.replace(month=1, day=1, hour=0),
    }[unit]


def _parameters(partition_bounds: PartitionBounds | None) -> tuple[Parameter, ...]:
    if partition_bounds is None:
        return ()
    return (
        Parameter("prune_from", ColumnType.TIMESTAMP, partition_bounds.start),
        Parameter("prune_to", ColumnType.TIMESTAMP, partition_bounds.end),
    )


def _fits_a_request(spool: Spool) -> bool:
    if spool.size * MAX_ESCAPE_GROWTH <= REQUEST_BYTES:
        return True
    return sum(len(json.dumps(line.decode())) for line in spool.lines()) <= REQUEST_BYTES


def _inline(write: _Write, spool: Spool) -> Query:
    """The batch as one JSON text.

    Raises:
        NullKey: said here too, where the row's place in the batch is still known.
    """
    spec, lines = write.spec, list[str]()
    for row_number, line in enumerate(spool.lines(), start=1):
        row = json.loads(line)
        absent = [name for name in spec.key if row.get(name) is None]
        if absent:
            raise NullKey(
                f"{NULL_KEY} {spec.name}.{absent[0]}: row {row_number} of {spool.rows} has none "
                "and would be inserted again on every run. Nothing was written."
            )
        lines.append(line.decode())
    batch = Parameter("batch", ColumnType.STRING, f"[{','.join(lines)}]")
    return Query(rows_source(write.source_columns, json_as_text=write.json_as_text), (batch,))


def _target_columns(spec: TableSpec, source_columns: Iterable[Column]) -> tuple[Column, ...]:
    """Columns that go into the table; the others only order the source's rows, or tell which of
    them know a part."""
    own = {column.name for column in spec.columns}
    others = {*spec.newest_first, spec.tombstone_flag}
    return tuple(c for c in source_columns if c.name in own or c.name not in others)


def _union(first: Iterable[Column], second: Iterable[Column]) -> tuple[Column, ...]:
    return tuple({column.name: column for column in (*first, *second)}.values())


def _order(spec: TableSpec, source_columns: Iterable[Column]) -> tuple[str, ...]:
    """The spec's order as far as the batch has its columns. Where one is missing the fingerprint
    stands in, so that a repeat picks the same row."""
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
