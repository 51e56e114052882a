"""What decides whether a dataset takes what a sync writes, and keeps it.

Values and the seam to the warehouse: `stores.write_access.DatasetWriteAccess` asks BigQuery,
`operations.readiness` judges. Must not know SQL or a client.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DatasetTraits:
    """What the metadata of a dataset says.

    Attributes:
        location: where its data is; every job on it runs there.
        table_lifetime: new tables are dropped after that time, unless they say otherwise.
        partition_lifetime: the same for the partitions of new tables.
        collation: how new text columns compare: empty for byte by byte, `und:ci` to ignore case.
        time_travel_hours: how long deleted rows can be looked at.
        storage_billing: LOGICAL or PHYSICAL.
        kms_key: the key that new tables are encrypted with; None for Google's own.
    """

    location: str | None = None
    table_lifetime: timedelta | None = None
    partition_lifetime: timedelta | None = None
    collation: str = ""
    time_travel_hours: int | None = None
    storage_billing: str | None = None
    kms_key: str | None = None


@dataclass(frozen=True, slots=True)
class TableTraits:
    """What the metadata of a table says that a sync writes.

    Attributes:
        name: its name.
        kind: TABLE, VIEW, EXTERNAL, SNAPSHOT or MATERIALIZED_VIEW; only the first takes rows.
        expires: when BigQuery drops it; None: never.
        partition_lifetime: after that time BigQuery drops a partition; None: never.
        must_keep_partitions: a dropped partition would be rows that are missing.
        needs_filter: statements must name the partitions that they read.
        is_streamed_into: the streaming buffer holds rows, which no MERGE may touch.
        applies_changes: it has a primary key and a staleness, as the target of CDC has.
        ignoring_case: columns of ours that do not distinguish upper and lower case.
    """

    name: str
    kind: str = "TABLE"
    expires: datetime | None = None
    partition_lifetime: timedelta | None = None
    must_keep_partitions: bool = False
    needs_filter: bool = False
    is_streamed_into: bool = False
    applies_changes: bool = False
    ignoring_case: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """A dataset and those of its tables that exist.

    Attributes:
        name: project and dataset, for people.
        wanted_location: the setting; None: any.
        dataset: None if there is no such dataset yet.
        tables: the tables that are asked for and exist.
    """

    name: str
    wanted_location: str | None = None
    dataset: DatasetTraits | None = None
    tables: tuple[TableTraits, ...] = ()


class WriteAccess(Protocol):
    """What a run asks of the warehouse before it reads the helpdesk."""

    def report(self) -> DatasetReport:
        """Return what metadata says of the dataset and the tables of a sync; no query job."""
        ...

    def keep_rows(self) -> None:
        """Take away what would let tables or rows of a sync vanish; no query job.

        Raises:
            WarehouseRefused: BigQuery does not let it.
        """
        ...

    def try_writing(self, *, run_id: str) -> None:
        """Create a table, run a statement there that may change rows and changes none, drop it.

        Raises:
            HelpdeskAssetsError: a right is missing, or the project may not change data.
        """
        ...
