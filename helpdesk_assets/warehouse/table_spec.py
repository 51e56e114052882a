"""A table as a MERGE sees it: columns, key and guard; and the report of one write.

The tables themselves are in `tables.py`. Must not know SQL or a client.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MergePolicy(StrEnum):
    """What a MERGE may do to a row that the table already has."""

    INSERT_ONLY = "insert_only"
    NEWER_WINS = "newer_wins"
    STATUS_TRANSITIONS = "status_moves"


class ColumnType(StrEnum):
    """The BigQuery column types that our tables use."""

    STRING = "STRING"
    INT64 = "INT64"
    FLOAT64 = "FLOAT64"
    BOOL = "BOOL"
    TIMESTAMP = "TIMESTAMP"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `description` is shown in BigQuery's schema."""

    name: str
    type: ColumnType
    description: str = ""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table, its key and its guard: all that a MERGE into it needs to know.

    Attributes:
        name: the table's name within its dataset.
        columns: the columns that the table should have.
        key: columns that identify a row; never NULL.
        merge_policy: what a MERGE may do to a stored row.
        newest_first: total order by which a source with repeated keys is deduplicated: columns
            compared from left to right, all descending.
        version: for NEWER_WINS, the timestamp column; the newer row wins.
        content_hash_column: for NEWER_WINS, on equal timestamps a different value wins.
        read_at_column: exception to that: only if the row was read later than the stored one.
        deleted_column: for NEWER_WINS, the timestamp of a deletion; see `merge.newer_wins`.
        alive_at_column: source column with the time at which the row's thing existed for sure; a
            later one than the stored `read_at_column` takes a deletion back.
        tombstone_flag: source column that is true for rows which know only the deletion.
        write_once: columns that an insert sets and an update leaves alone.
        stamps: columns that tell of the write and not of the row; every update sets them.
        status: for STATUS_TRANSITIONS, the column that decides about an update.
        transitions: for STATUS_TRANSITIONS, the allowed changes of `status`: (from, to).
        partition_by: timestamp column of the partitioning; None: not partitioned.
        partition_unit: HOUR, DAY, MONTH or YEAR.
        partition_days: after how many days BigQuery drops a partition, as the table is made; a
            person may change it. None: never.
        cluster_by: columns of the clustering.
        description: shown in BigQuery.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    merge_policy: MergePolicy
    newest_first: tuple[str, ...] = ()
    version: str | None = None
    content_hash_column: str | None = None
    read_at_column: str | None = None
    deleted_column: str | None = None
    alive_at_column: str | None = None
    tombstone_flag: str | None = None
    write_once: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    status: str | None = None
    transitions: tuple[tuple[str, str], ...] = ()
    partition_by: str | None = None
    partition_unit: str = "MONTH"
    partition_days: int | None = None
    cluster_by: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What one write did.

    `changed` is the sum of `inserted` and `updated`, which are None if the service reports only
    the sum. `seconds` is wall time. `job_ids` are those of its statements.
    """

    table: str
    changed: int
    inserted: int | None = None
    updated: int | None = None
    query_jobs: int = 0
    load_jobs: int = 0
    bytes_billed: int = 0
    seconds: float = 0.0
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobUsage:
    """Jobs run and bytes billed by one warehouse object so far."""

    query_jobs: int = 0
    load_jobs: int = 0
    bytes_billed: int = 0

    def since(self, earlier: JobUsage) -> JobUsage:
        """The difference to an earlier reading."""
        return JobUsage(
            self.query_jobs - earlier.query_jobs,
            self.load_jobs - earlier.load_jobs,
            self.bytes_billed - earlier.bytes_billed,
        )


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a table's metadata says.

    Attributes:
        rows: None if not known: rows that were streamed in are not counted at once.
        created: when it was created, or replaced by another one.
        rows_expire: whether rows vanish by themselves after some time.
    """

    rows: int | None
    created: datetime | None
    rows_expire: bool = False
