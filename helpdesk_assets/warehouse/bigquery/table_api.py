"""Calls to BigQuery that start no job, about tables and their rows.

Table metadata is cached. Must not know tickets or keys.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as google

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.warehouse.bigquery.dataset_api import DatasetApi
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines
from helpdesk_assets.warehouse.query import Dataset
from helpdesk_assets.warehouse.table_spec import TableFacts

if TYPE_CHECKING:
    from google.cloud import bigquery


class TableApi(DatasetApi):
    """The calls on a dataset and its tables that start no job."""

    def __init__(
        self,
        client: bigquery.Client,
        dataset: Dataset,
        *,
        location: str | None,
        is_emulator: bool,
        deadlines: Deadlines | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            client, dataset, location=location, is_emulator=is_emulator, deadlines=deadlines
        )
        self._tables: dict[str, bigquery.Table] = {}
        self._asked_at: dict[str, float] = {}
        self._monotonic = monotonic
        self._absent: dict[str, object] | None = None
        self._blocks = 0
        # Requests that may have changed rows, whatever came of them.
        self._changes_sent = 0

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Inside the block, take what was read as it was until a request of ours changes rows.

        So a table that does not exist is asked for only once until then. For steps that nobody else
        disturbs: a table that somebody creates meanwhile is seen by the next step.
        """
        before, self._absent = self._absent, {}
        self._blocks += 1
        try:
            yield
        finally:
            self._absent = before

    @property
    def reading_mark(self) -> object | None:
        """What stays equal while rows that were read can be taken as they were; None: never.

        Another block, or a request of this client that may have changed rows, makes another mark.
        """
        return None if self._absent is None else (self._blocks, self._changes_sent)

    def list_rows(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        max_results: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Read rows directly from the table, without a query job.

        The Storage API is not used: its client calls googleapis.com even if the warehouse is
        local.

        Args:
            table: name of the table.
            columns: which columns to read; None: all.
            max_results: at most so many rows; None: all.

        Raises:
            WarehouseRefused: there is no such table.
        """
        found = self.get_table(table)
        if found is None:
            raise WarehouseRefused(
                f"There is no table {self.dataset.table_id(table)} to read. Run a sync first, or "
                f"check BIGQUERY_DATASET ({self.dataset.name})."
            )
        with self.translate_errors(f"reading table {table}"):
            # The service returns columns in the table's order, whatever order is requested.
            fields = [f for f in found.schema if columns is None or f.name in columns]
            rows = self._client.list_rows(
                found,
                selected_fields=fields,
                max_results=max_results,
                retry=self._retry(),
                timeout=self._deadlines.request,
            )
            for row in rows:
                yield dict(row)

    def get_table(
        self, table: str, *, fresh: bool = False, max_age: float = math.inf
    ) -> bigquery.Table | None:
        """Return the table's metadata, None if there is no such table.

        Args:
            table: name of the table.
            fresh: ask BigQuery even if the metadata is cached.
            max_age: after how many seconds cached metadata is too old.
        """
        asked_at = self._asked_at.get(table, -math.inf)
        is_recent = self._monotonic() - asked_at <= max_age
        if not fresh and is_recent and table in self._tables:
            return self._tables[table]
        absent = self._absent
        if not fresh and absent is not None and absent.get(table) == self.reading_mark:
            return None
        with self.translate_errors(f"reading the metadata of table {table}"):
            try:
                found = self._client.get_table(
                    self.dataset.table_id(table),
                    retry=self._retry(),
                    timeout=self._deadlines.request,
                )
            except google.NotFound:
                self._tables.pop(table, None)
                if absent is not None:
                    absent[table] = self.reading_mark
                return None
        self._tables[table] = found
        self._asked_at[table] = self._monotonic()
        return found

    def table_facts(self, table: str) -> TableFacts | None:
        """Return what the table's metadata says now, None if there is no such table."""
        found = self.get_table(table, fresh=True)
        if found is None:
            return None
        partitioning = found.time_partitioning
        return TableFacts(
            rows=None if found.streaming_buffer is not None else found.num_rows,
            created=found.created,
            rows_expire=partitioning is not None and partitioning.expiration_ms is not None,
        )

    def create_table(self, table: bigquery.Table) -> bigquery.Table:
        """Create a table or view, or return the one that already exists."""
        encryption = self._encryption()
        if encryption is not None and not table.view_query:
            table.encryption_configuration = encryption
        with self.translate_errors(f"creating table {table.table_id}"):
            created = self._client.create_table(
                table, exists_ok=True, retry=self._retry(), timeout=self._deadlines.request
            )
        self._tables[table.table_id] = created
        self._changes_sent += 1
        return created

    def update_schema(self, table: bigquery.Table) -> bool:
        """Write the table's schema as `table` has it, if nothing of the table has changed.

        Returns:
            Whether it was written. False: the table has changed since it was read, perhaps by this
            very request, whose answer was lost.
        """
        self._tables.pop(table.table_id, None)
        with self.translate_errors(f"adding columns to table {table.table_id}"):
            try:
                # The request names the table's etag, so that BigQuery compares.
                self._client.update_table(
                    table, ["schema"], retry=self._retry(), timeout=self._deadlines.request
                )
            except google.PreconditionFailed:
                return False
        return True

    def update_expiry(self, table: bigquery.Table) -> None:
        """Write the table's expiry time as `table` has it."""
        self._write(table, ["expires"], "setting the expiry of table")

    def update_labels(self, table: bigquery.Table) -> None:
        """Write the table's labels as `table` has them."""
        self._write(table, ["labels"], "labelling table")

    def swap_description(self, table: bigquery.Table) -> bigquery.Table | None:
        """Write the table's description as `table` has it, if nothing of the table has changed.

        Returns:
            The table as it is then; None if it has changed since it was read, or is gone.
        """
        # The request names the etag, so that BigQuery compares.
        with self.translate_errors(f"writing to the description of table {table.table_id}"):
            try:
                return self._client.update_table(
                    table, ["description"], retry=self._retry(), timeout=self._deadlines.request
                )
            except (google.PreconditionFailed, google.NotFound):
                return None

    def update_partitioning(self, table: bigquery.Table) -> None:
        """Write the expiry of the table's partitions as `table` has it."""
        self._write(table, ["time_partitioning"], "setting the partition expiry of table")

    def update_view(self, view: bigquery.Table) -> None:
        """Write the view's query, description and labels as `view` has them."""
        self._write(view, ["view_query", "description", "labels"], "changing view")

    def _write(self, table: bigquery.Table, names: Sequence[str], action: str) -> None:
        """Write properties that need no others to stay as they were read."""
        # With the etag of an earlier reading, google's client would have BigQuery refuse the
        # second of two such writes.
        body = {name: value for name, value in table.to_api_repr().items() if name != "etag"}
        self._tables.pop(table.table_id, None)
        with self.translate_errors(f"{action} {table.table_id}"):
            self._client.update_table(
                type(table).from_api_repr(body),
                list(names),
                retry=self._retry(),
                timeout=self._deadlines.request,
            )

    def drop_table(self, table: str) -> None:
        """Drop a table or view if it exists."""
        self._tables.pop(table, None)
        self._changes_sent += 1
        with self.translate_errors(f"dropping table {table}"):
            self._client.delete_table(
                self.dataset.table_id(table),
                not_found_ok=True,
                retry=self._retry(),
                timeout=self._deadlines.request,
            )

    def _encryption(self) -> bigquery.EncryptionConfiguration | None:
        """Return the key that jobs write with, which new tables are to have as well."""
        config = self._client.default_load_job_config
        return None if config is None else config.destination_encryption_configuration
