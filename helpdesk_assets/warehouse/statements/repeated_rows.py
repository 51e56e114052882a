"""Counts, finds and removes rows beyond the first of their key.

BigQuery enforces no keys, and MERGEs that only insert do not wait for each other: two writers may
insert the same key at the same moment. Pure text: this module must not know a client or a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from helpdesk_assets.model.batch import BATCH_TTL, Manifest
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query, quote
from helpdesk_assets.warehouse.table_spec import ColumnType, TableSpec

NO_WRITER = "another program or a person"
_TICKET = "PARTITION BY B.`ticket_id`"
_DELETED = f"MAX(B.`deletedTime`) OVER ({_TICKET})"


@dataclass(frozen=True, slots=True)
class CountedTable:
    """A table whose repeated keys a run counts.

    Attributes:
        spec: the table.
        counted_as: the field of `RunCounts`.
        order: which row of a key is kept, as expressions over `B`: the first one.
        since_column: the partition column by which counting is bounded; None: the whole table.
        merged: columns of the kept row that come from all rows of its key, as expressions.
        writer: who wrote a row, as an expression over `B`; NULL: nobody of this project.
    """

    spec: TableSpec
    counted_as: str
    order: tuple[str, ...]
    since_column: str | None
    merged: tuple[tuple[str, str], ...] = ()
    writer: str = "CONCAT('run ', B.`_run_id`)"


TICKETS = CountedTable(
    tables.TICKETS,
    "repeated_keys",
    (
        "B.`modifiedTime` DESC NULLS LAST",
        "B.`deletedTime` DESC NULLS LAST",
        "B.`_synced_at` DESC NULLS LAST",
    ),
    None,
    (
        # A row may know of the deletion and not of the version.
        (
            "deletedTime",
            f"IFNULL(B.`deletedTime`, IF({_DELETED} >= B.`modifiedTime`, {_DELETED}, NULL))",
        ),
        ("_read_at", f"MAX(B.`_read_at`) OVER ({_TICKET})"),
        ("_first_synced_at", f"MIN(B.`_first_synced_at`) OVER ({_TICKET})"),
    ),
    "CONCAT(B.`_synced_by`, ' run ', B.`_run_id`)",
)
VERSIONS = CountedTable(
    tables.RAW_TICKET_CHANGES, "repeated_versions", ("B.`_fetched_at`", "B.`_seq`"), "_fetched_at"
)
MISSES = CountedTable(
    tables.MISSED_UPDATES, "repeated_misses", ("B.`detected_at`", "B.`reason`"), "detected_at"
)
# Not webhook_events and webhook_outcomes: rows are appended there at least once, and whoever reads
# them takes the first of each event.
COUNTED_TABLES = (TICKETS, VERSIONS, MISSES)


def counted_since(manifest: Manifest) -> datetime:
    """Return from when on a run counts keys in tables that only grow.

    Whatever another writer has inserted since the last run is of the window, or was fetched by a
    batch that had not ended then.
    """
    since = manifest.served_at
    if not manifest.is_range and manifest.window.since is not None:
        since = min(since, manifest.window.since)
    first = since - BATCH_TTL
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def repeated_counts(dataset: Dataset, manifest: Manifest) -> tuple[str, Query]:
    """Count rows beyond the first of their key in all tables but tickets, as one row `R`.

    Args:
        dataset: where the tables are.
        manifest: the run.

    Returns:
        The fields of the JSON, and the query that they are read from.
    """
    counted = (VERSIONS, MISSES)
    names = [each.counted_as for each in counted]
    fields = "".join(f",\n  R.{name} AS {name}" for name in names)
    columns = ",\n".join(_count(dataset, each) for each in counted)
    return fields, Query(f"SELECT\n{columns}", (_since(counted_since(manifest)),))


def _count(dataset: Dataset, counted: CountedTable) -> str:
    spec = counted.spec
    return f"""\
  (
    SELECT IFNULL(SUM(K.row_count - 1), 0)
    FROM (
      SELECT COUNT(*) AS row_count
      FROM {dataset.table(spec.name)}
      WHERE {counted.since_column} >= @repeated_since
      GROUP BY {", ".join(spec.key)}
    ) AS K
  ) AS {counted.counted_as}"""


def find_repeated(dataset: Dataset, counted: CountedTable, since: datetime) -> Query:
    """Select every key that has more than one row: its ticket, how many, and who wrote them.

    Of more than two writers, the first and the last by name.
    """
    spec = counted.spec
    writer = f"IFNULL({counted.writer}, '{NO_WRITER}')"
    bound, parameters = _bound(counted, "B", since)
    sql = f"""\
SELECT
  B.`ticket_id`,
  COUNT(*) AS row_count,
  MIN({writer}) AS one_writer,
  MAX({writer}) AS other_writer
FROM {dataset.table(spec.name)} AS B
WHERE B.`ticket_id` IS NOT NULL{bound}
GROUP BY {_key(spec)}
HAVING COUNT(*) > 1"""
    return Query(sql, parameters)


def remove_repeated(
    dataset: Dataset,
    counted: CountedTable,
    ids: Sequence[str],
    since: datetime,
    columns: Sequence[str],
) -> Query:
    """Keep one row of each key of these tickets.

    One statement, so that no reader sees a ticket without a row, and no row is lost if the run
    dies. It deletes only rows that it has read: what others insert meanwhile stays.

    Args:
        dataset: where the table is.
        counted: the table.
        ids: the tickets.
        since: as of `find_repeated`.
        columns: all that the table has, those of others included.
    """
    spec = counted.spec
    table = dataset.table(spec.name)
    # BigQuery takes no analytic function in `SELECT * REPLACE`.
    merged = dict(counted.merged)
    values = ",\n    ".join(
        f"{merged[name]} AS {quote(name)}" if name in merged else f"B.{quote(name)}"
        for name in columns
    )
    names = ", ".join(map(quote, columns))
    inserted = ", ".join(f"S.{quote(name)}" for name in columns)
    kept, parameters = _bound(counted, "B", since)
    removed, _ = _bound(counted, "T", since)
    sql = f"""\
MERGE INTO {table} AS T
USING (
  SELECT
    {values}
  FROM {table} AS B
  WHERE B.`ticket_id` IN UNNEST(@ids){kept}
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY {_key(spec)}
    ORDER BY {", ".join(counted.order)}
  ) = 1
) AS S
ON FALSE
WHEN NOT MATCHED BY SOURCE AND T.`ticket_id` IN UNNEST(@ids){removed} THEN DELETE
WHEN NOT MATCHED BY TARGET THEN INSERT ({names})
VALUES ({inserted})"""
    return Query(sql, (Parameter("ids", ColumnType.STRING, tuple(ids)), *parameters))


def _key(spec: TableSpec) -> str:
    return ", ".join(f"B.{quote(name)}" for name in spec.key)


def _bound(counted: CountedTable, alias: str, since: datetime) -> tuple[str, tuple[Parameter, ...]]:
    if counted.since_column is None:
        return "", ()
    return f" AND {alias}.{quote(counted.since_column)} >= @repeated_since", (_since(since),)


def _since(since: datetime) -> Parameter:
    return Parameter("repeated_since", ColumnType.TIMESTAMP, since)
