"""Calls to BigQuery that start no job: datasets, tables, and rows read directly from a table.

Each call has a timeout and a deadline for its retries, and fails with one of the package's errors.
Table metadata is cached. Must not know tickets or keys.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as google
from google.api_core.retry import Retry

from helpdesk_assets.errors import WarehouseRefused
from helpdesk_assets.warehouse.bigquery.error_kinds import is_answer_lost
from helpdesk_assets.warehouse.bigquery.errors import CLIENT_ERRORS, Target, to_error
from helpdesk_assets.warehouse.query import Dataset
from helpdesk_assets.warehouse.table_spec import TableFacts

if TYPE_CHECKING:
    from google.cloud import bigquery


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits in seconds: one HTTP request, one API call with its retries, one job to its end."""

    request: float
    call: float
    job: float


# An hour: BigQuery ends a job that exceeds it, and the first load of millions of tickets on a small
# reservation takes long.
BIGQUERY_DEADLINES = Deadlines(request=60.0, call=120.0, job=3600.0)
# An emulator that is silent for longer is stuck; google's default of ten minutes helps no one.
EMULATOR_DEADLINES = Deadlines(request=30.0, call=30.0, job=120.0)


class TableApi:
    """One dataset and the calls on it that start no job.

    Every method raises a `HelpdeskAssetsError` if BigQuery refuses or does not answer.
    """

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
        self._client = client
        self.dataset = dataset
        self.is_emulator = is_emulator
        self.wanted_location = location
        self._deadlines = deadlines or (EMULATOR_DEADLINES if is_emulator else BIGQUERY_DEADLINES)
        self._tables: dict[str, bigquery.Table] = {}
        self._asked_at: dict[str, float] = {}
        self._monotonic = monotonic
        endpoint = str(getattr(client._connection, "API_BASE_URL", ""))  # noqa: SLF001
        paying = str(getattr(client, "project", "") or dataset.project)
        self.target = Target(
            dataset.project, dataset.name, location, endpoint, is_emulator, paying_project=paying
        )

    def __repr__(self) -> str:
        return (
            f"BigQueryClient({self.dataset.project}.{self.dataset.name} at {self.target.endpoint})"
        )

    @property
    def location(self) -> str | None:
        """The dataset's location, None until it is known."""
        return self.target.location

    @property
    def credentials(self) -> Any:
        """What the client proves itself with, for google's other clients."""
        return self._client._credentials  # noqa: SLF001

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
        with self.translate_errors(f"reading the metadata of table {table}"):
            try:
                found = self._client.get_table(
                    self.dataset.table_id(table),
                    retry=self._retry(),
                    timeout=self._deadlines.request,
                )
            except google.NotFound:
                self._tables.pop(table, None)
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
        with self.translate_errors(f"dropping table {table}"):
            self._client.delete_table(
                self.dataset.table_id(table),
                not_found_ok=True,
                retry=self._retry(),
                timeout=self._deadlines.request,
            )

    def list_tables(self) -> Iterator[Any]:
        """List the tables and views of the dataset."""
        with self.translate_errors("listing tables"):
            yield from self._client.list_tables(
                f"{self.dataset.project}.{self.dataset.name}",
                retry=self._retry(),
                timeout=self._deadlines.request,
            )

    def ensure_dataset(self) -> None:
        """Create the dataset if it does not exist.

        On the real service an administrator has usually created it: the permission to write into
        a dataset does not include creating one.
        """
        if self.get_dataset() is not None:
            return
        from google.cloud import bigquery

        wanted = bigquery.Dataset(self._dataset_id)
        if self.location is not None:  # an explicit null is an internal error to bqemulator
            wanted.location = self.location
        with self.translate_errors(f"creating dataset {self.dataset.name}"):
            made = self._client.create_dataset(
                wanted, exists_ok=True, retry=self._retry(), timeout=self._deadlines.request
            )
        self._learn_location(made)

    def get_dataset(self) -> bigquery.Dataset | None:
        """Return the dataset's metadata, None if there is no such dataset."""
        with self.translate_errors(f"looking for dataset {self.dataset.name}"):
            try:
                found = self._client.get_dataset(
                    self._dataset_id, retry=self._retry(), timeout=self._deadlines.request
                )
            except google.NotFound:
                return None
        self._learn_location(found)
        return found

    def _learn_location(self, found: bigquery.Dataset) -> None:
        if self.location is None:
            self.target = replace(self.target, location=found.location)

    @property
    def _dataset_id(self) -> str:
        return f"{self.dataset.project}.{self.dataset.name}"

    def _encryption(self) -> bigquery.EncryptionConfiguration | None:
        """Return the key that jobs write with, which new tables are to have as well."""
        config = self._client.default_load_job_config
        return None if config is None else config.destination_encryption_configuration

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    @contextmanager
    def translate_errors(self, action: str) -> Iterator[None]:
        """Raise the package's errors for google's; `action` completes "failed while …"."""
        try:
            yield
        except CLIENT_ERRORS as error:
            raise to_error(error, action, self.target) from error

    def _retry(self) -> Retry:
        from google.cloud import bigquery

        # Every call here may be made twice. google's own predicate misses a 504 without a reason.
        return bigquery.DEFAULT_RETRY.with_predicate(is_answer_lost).with_timeout(
            self._deadlines.call
        )
