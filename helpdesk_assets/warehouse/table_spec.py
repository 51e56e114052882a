"""What a table is to a MERGE: its columns, key and guard, and what one write reports.

The tables themselves are in `tables.py`; no SQL and no client in here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class MergePolicy(StrEnum):
    """What a MERGE may do to a row that is there already."""

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
    name: str
    type: ColumnType
    description: str = ""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table, its key and its guard: all that a MERGE into it needs to know.

    `key` columns are never NULL. `newest_first` is the total order by which one row is picked from
    a source that holds a key more than once: the columns are compared from left to right, all
    descending. With `MergePolicy.NEWER_WINS`, `version` names the timestamp column a newer value of
    which overwrites, and `content_hash_column` the column whose difference decides between equal
    timestamps; of those, a row that has `deleted_column` is not replaced by one that has not.
    `write_once` columns are set by the insert and never by an update. A source row whose
    `tombstone_flag` is true knows only a part: an update by it leaves the `tombstone_keeps`
    columns. With `MergePolicy.STATUS_TRANSITIONS`, a row is updated only where its column `status`
    makes one of `transitions`, each from one word to another.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    merge_policy: MergePolicy
    newest_first: tuple[str, ...] = ()
    version: str | None = None
    content_hash_column: str | None = None
    deleted_column: str | None = None
    write_once: tuple[str, ...] = ()
    tombstone_flag: str | None = None
    tombstone_keeps: tuple[str, ...] = ()
    status: str | None = None
    transitions: tuple[tuple[str, str], ...] = ()
    partition_by: str | None = None
    partition_unit: str = "MONTH"
    cluster_by: tuple[str, ...] = ()
    description: str = ""

    def strictly_newer(self) -> Self:
        """The same table for rows that must not have the last word: of equal timestamps what is
        stored stays."""
        return replace(self, content_hash_column=None)


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What one write did. `inserted` and `updated` are None where the service does not tell them
    apart (`changed`, their sum, is always known)."""

    table: str
    changed: int
    inserted: int | None = None
    updated: int | None = None
    query_jobs: int = 0
    load_jobs: int = 0
    bytes_billed: int = 0
    seconds: float = 0.0
