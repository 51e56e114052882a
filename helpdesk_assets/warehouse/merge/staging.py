"""Staging tables: where a large batch waits between its load job and its MERGE.

Each has a fresh name, because BigQuery counts load jobs per table name and day, and because a
failed load can leave an emulator's table empty. Each expires by itself after a day; the sweep is
for stand-ins that do not expire anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

from google.cloud import bigquery

from helpdesk_assets.errors import BatchExpired, WarehouseUnavailable
from helpdesk_assets.naming import TIMESTAMP_FORMAT
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import fields
from helpdesk_assets.warehouse.table_spec import Column

STAGING_TTL = timedelta(hours=24)
# A reading that was interrupted on a Friday goes on after the weekend. Counted from the last rows
# that were added, as a reading may take long.
CHECKPOINT_TTL = timedelta(days=4)
MIN_CHECKPOINT_TTL = CHECKPOINT_TTL - timedelta(hours=1)
OUR_TABLES = tuple(spec.name for spec in (*tables.SYNC_TABLES, *tables.RECONCILIATION_TABLES))
_NAME = re.compile(r"(?P<table>.+)__stg_(?P<stamp>\d{8}T\d{6}Z)_[a-z0-9]{1,8}_\d+")


def _now() -> datetime:
    return datetime.now(UTC)


def created_at(name: str, of_tables: Collection[str]) -> datetime | None:
    """When a staging table of one of `of_tables` was named; None for any other table."""
    match = _NAME.fullmatch(name)
    if match is None or match["table"] not in of_tables:
        return None
    try:
        return datetime.strptime(match["stamp"], TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


class Staging:
    """The staging tables of one dataset."""

    def __init__(self, warehouse: BigQueryClient, *, now: Callable[[], datetime] = _now) -> None:
        self._warehouse = warehouse
        self._now = now

    def load(
        self,
        name: str,
        columns: Sequence[Column],
        spool: Spool,
        *,
        run_id: str,
        step: str,
        attempt: int = 0,
    ) -> None:
        """Make the table and load every row of the spool into it, or leave no table at all.

        Raises:
            WarehouseUnavailable: BigQuery took another number of rows than were sent.
        """
        self._warehouse.drop_table(name)
        self._create(name, columns, STAGING_TTL)
        try:
            loaded = self._warehouse.load(
                spool.stream(),
                name,
                fields(columns),
                run_id=run_id,
                step=step,
                attempt=attempt,
            )
            _check_count(name, sent=spool.rows, loaded=loaded)
        except BaseException:
            self.drop(name)
            raise

    def begin(self, name: str, columns: Sequence[Column]) -> None:
        """Make the table for rows that are added over days; it is kept for longer."""
        self._create(name, columns, CHECKPOINT_TTL)

    def add(
        self,
        name: str,
        columns: Sequence[Column],
        spool: Spool,
        *,
        run_id: str,
        step: str,
    ) -> None:
        """Add every row of the spool to a table that was begun, and keep it for as long again.

        Unlike `load` this leaves the table as it was when it fails. How many rows it took is not
        compared: a stand-in tells how many there are by now.

        Raises:
            BatchGone: the table has expired or been dropped; one that is made anew would lack what
                was added before.
        """
        found = self._warehouse.get_table(name, fresh=True)
        if found is None:
            raise BatchExpired(
                f"Staging table {name} is gone, and with it what this reading had stored. Run "
                "again: it begins anew, and nothing is lost."
            )
        now = self._now()
        if found.expires is not None and found.expires < now + MIN_CHECKPOINT_TTL:
            found.expires = now + CHECKPOINT_TTL
            self._warehouse.update_expiry(found)
        self._warehouse.load(spool.stream(), name, fields(columns), run_id=run_id, step=step)

    def _create(self, name: str, columns: Sequence[Column], ttl: timedelta) -> None:
        table = bigquery.Table(self._warehouse.dataset.table_id(name), fields(columns))
        table.expires = self._now() + ttl
        table.labels = {"app": "helpdesk-assets"}
        self._warehouse.create_table(table)

    def exists(self, name: str) -> bool:
        return self._warehouse.get_table(name, fresh=True) is not None

    def drop(self, name: str) -> None:
        self._warehouse.drop_table(name)

    def drop_orphans(
        self,
        older_than: timedelta = STAGING_TTL,
        *,
        of_tables: Collection[str] = OUR_TABLES,
        retained: Collection[str] = (),
    ) -> list[str]:
        """Drop what runs that died have left, but for those that are `retained` for a reading to go
        on with; the names of the dropped.

        Both the stamp (our clock) and the creation (BigQuery's clock) must be old: one wrong
        clock alone must not take the table from a run that is under way.
        """
        before = self._now() - older_than
        orphans = [
            item.table_id
            for item in self._warehouse.list_tables()
            if (stamp := created_at(item.table_id, of_tables)) is not None
            and stamp <= before
            and item.table_id not in retained
            and (item.created is None or item.created <= before)
        ]
        for name in orphans:
            self.drop(name)
        return orphans


def _check_count(name: str, *, sent: int, loaded: int) -> None:
    if loaded != sent:
        raise WarehouseUnavailable(
            f"Loading {name}: {sent} rows were sent and {loaded} arrived. Nothing was merged; "
            "run again."
        )
