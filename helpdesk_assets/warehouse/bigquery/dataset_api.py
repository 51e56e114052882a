"""Calls to BigQuery that start no job, about a dataset; what all such calls share.

Each call has a timeout and a deadline for its retries, and fails with one of the package's errors.
Must not know tickets or keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as google
from google.api_core.retry import Retry

from helpdesk_assets.warehouse.bigquery.deadlines import (
    BIGQUERY_DEADLINES,
    EMULATOR_DEADLINES,
    Deadlines,
)
from helpdesk_assets.warehouse.bigquery.error_kinds import is_answer_lost
from helpdesk_assets.warehouse.bigquery.errors import CLIENT_ERRORS, Target, to_error
from helpdesk_assets.warehouse.query import Dataset

if TYPE_CHECKING:
    from google.cloud import bigquery


class DatasetApi:
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
    ) -> None:
        self._client = client
        self.dataset = dataset
        self.is_emulator = is_emulator
        self.wanted_location = location
        self._deadlines = deadlines or (EMULATOR_DEADLINES if is_emulator else BIGQUERY_DEADLINES)
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

    def list_tables(self) -> Iterator[Any]:
        """List the tables and views of the dataset."""
        with self.translate_errors("listing tables"):
            yield from self._client.list_tables(
                f"{self.dataset.project}.{self.dataset.name}",
                retry=self._retry(),
                timeout=self._deadlines.request,
            )

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

    def _learn_location(self, found: bigquery.Dataset) -> None:
        if self.location is None:
            self.target = replace(self.target, location=found.location)

    @property
    def _dataset_id(self) -> str:
        return f"{self.dataset.project}.{self.dataset.name}"
