"""Staging tables: hold a large batch between its load job and its MERGE.

Each has a new name, because BigQuery counts load jobs per table name and day, and because a failed
load can leave an emulator's table empty. Each expires after a day; `drop_orphans` is for emulators
that expire nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

from helpdesk_assets.errors import BatchGone, WarehouseUnavailable
from helpdesk_assets.naming import TIMESTAMP_FORMAT
from helpdesk_assets.spool import Spool
from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.merge.schema import fields
from helpdesk_assets.warehouse.table_spec import Column

STAGING_TTL = timedelta(hours=24)
# An extraction that was interrupted on a Friday resumes after the weekend. Counted from the last
# rows that were added, since an extraction may take long.
CHECKPOINT_TTL = timedelta(days=4)
DESCRIBE_TRIES = 3
MIN_CHECKPOINT_TTL = CHECKPOINT_TTL - timedelta(hours=1)

_NAME = re.compile(r"(?P<table>.+)__stg_(?P<stamp>\d{8}T\d{6}Z)_[a-z0-9]{1,8}_\d+")


def _now() -> datetime:
    return datetime.now(UTC)


def created_at(name: str, of_tables: Collection[str]) -> datetime | None:
    """Return the time in the name of a staging table of `of_tables`; None for any other table."""
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
        """Create the table and load all rows into it; leave no table on failure.

        Args:
            name: the table's name.
            columns: the columns of the rows.
            spool: the rows.
            run_id: the run on whose behalf they are loaded.
            step: which step of the run.
            attempt: counts the retries of the step, from 0.

        Raises:
            WarehouseUnavailable: BigQuery loaded a different number of rows than were sent.
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
        """Create a table for rows that are added over days; it lives for `CHECKPOINT_TTL`."""
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
        """Append all rows to a table from `begin`, and extend its expiry.

        On failure the table stays as it was, unlike with `load`. The number of loaded rows is not
        compared: one emulator reports the rows of the whole table.

        Args:
            name: the table's name.
            columns: the columns of the rows.
            spool: the rows.
            run_id: the run on whose behalf they are loaded.
            step: which step of the run.

        Raises:
            BatchGone: the table has expired or was dropped. A new one would lack the rows that
                were added before.
        """
        found = self._warehouse.get_table(name, fresh=True)
        if found is None:
            raise _gone(name)
        now = self._now()
        if found.expires is not None and found.expires < now + MIN_CHECKPOINT_TTL:
            found.expires = now + CHECKPOINT_TTL
            self._warehouse.update_expiry(found)
        self._warehouse.load(spool.stream(), name, fields(columns), run_id=run_id, step=step)

    def describe(self, name: str, text: str) -> None:
        """Write a text beside the rows of a table; no query job.

        Raises:
            BatchGone: the table has expired or was dropped.
            WarehouseUnavailable: others change the table at every moment.
        """
        for _ in range(DESCRIBE_TRIES):
            found = self._warehouse.get_table(name, fresh=True)
            if found is None:
                raise _gone(name)
            found.description = text
            if self._warehouse.swap_description(found) is not None:
                return
        raise WarehouseUnavailable(
            f"Others kept changing table {name} while its description was written. Run again."
        )

    def _create(self, name: str, columns: Sequence[Column], ttl: timedelta) -> None:
        from google.cloud import bigquery

        table = bigquery.Table(self._warehouse.dataset.table_id(name), fields(columns))
        table.expires = self._now() + ttl
        table.labels = {"app": "helpdesk-assets"}
        self._warehouse.create_table(table)

    def exists(self, name: str) -> bool:
        """Return whether the table exists, by a fresh look."""
        return self._warehouse.get_table(name, fresh=True) is not None

    def drop(self, name: str) -> None:
        """Drop the table if it exists."""
        self._warehouse.drop_table(name)

    def drop_orphans(
        self,
        older_than: timedelta = STAGING_TTL,
        *,
        of_tables: Collection[str],
        retained: Collection[str] = (),
    ) -> list[str]:
        """Drop staging tables that dead runs left behind.

        Both the time in the name (this machine's clock) and the creation time (BigQuery's clock)
        must be old: one wrong clock alone must not take the table of a run in progress.

        Args:
            older_than: minimum age of an orphan.
            of_tables: the target tables whose staging tables may be dropped.
            retained: staging tables that a checkpoint still needs.

        Returns:
            The names of the dropped tables.
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
            f"Loading {name}: {sent} rows were sent and {loaded} arrived. Nothing was merged. "
            "Run again."
        )


def _gone(name: str) -> BatchGone:
    return BatchGone(
        f"Staging table {name} no longer exists, so the rows stored for this extraction are gone. "
        "Run again: it starts over, and nothing is lost."
    )
