"""Runs jobs under ids chosen by the client, and retries those that may succeed in a moment.

A job whose response was lost is found again by its id and does not run twice. Must not know
tickets or keys.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import tenacity
from google.api_core import exceptions as google
from google.cloud import bigquery

from helpdesk_assets.errors import WarehouseUnavailable
from helpdesk_assets.warehouse.bigquery.errors import is_transient
from helpdesk_assets.warehouse.bigquery.job_ids import JobName
from helpdesk_assets.warehouse.bigquery.table_api import Deadlines, TableApi
from helpdesk_assets.warehouse.query import Dataset
from helpdesk_assets.warehouse.table_spec import JobUsage

# 8 tries, at most 1 + 2 + ... + 32 + 32 seconds apart: longer than BigQuery's own queue of
# statements for one table usually lasts, shorter than a run's patience.
MAX_TRIES = 8
MAX_WAIT = 32.0
# Between two looks at a job that was cancelled.
CANCEL_PAUSE = 2.0


class JobApi(TableApi):
    """Table calls, and jobs of any kind, run to their end and counted."""

    def __init__(
        self,
        client: bigquery.Client,
        dataset: Dataset,
        *,
        location: str | None = None,
        is_emulator: bool = False,
        deadlines: Deadlines | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(
            client, dataset, location=location, is_emulator=is_emulator, deadlines=deadlines
        )
        self._sleep = sleep
        self._rng = rng
        self._use = JobUsage()
        self._lock = threading.Lock()

    @property
    def use(self) -> JobUsage:
        """What has been used so far."""
        with self._lock:
            return self._use

    def count(self, use: JobUsage) -> None:
        """Add to what has been used."""
        with self._lock:
            self._use = JobUsage(
                self._use.query_jobs + use.query_jobs,
                self._use.load_jobs + use.load_jobs,
                self._use.bytes_billed + use.bytes_billed,
            )

    def run_job(self, start: Callable[[str], Any], name: JobName, content: str) -> Any:
        """Start a job and wait for its end; retry under the next name while that may help.

        Args:
            start: starts the job under the id it is given, and returns it.
            name: the name of the first attempt.
            content: what the job does, as text; part of its id.

        Returns:
            The finished job.

        Raises:
            HelpdeskAssetsError: the job failed for good, or at each of `MAX_TRIES` attempts.
        """
        names = [name]

        def once() -> Any:
            current, names[0] = names[0], names[0].next()
            job_id = current.job_id(content)
            try:
                job = start(job_id)
            except google.Conflict:
                return self._attach_to_existing_job(job_id)
            job.result(retry=self._retry(), timeout=self._deadlines.job)
            return job

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            stop=tenacity.stop_after_attempt(MAX_TRIES),
            wait=self._backoff,
            sleep=self._sleep,
            reraise=True,
        )
        with self.translate_errors(f"running {name.step} of run {name.run_id}"):
            try:
                return retrying(once)
            except _JobAlreadyFailed as failed:
                raise failed.error from None

    def _attach_to_existing_job(self, job_id: str) -> Any:
        """Wait for the job that an earlier request started whose response was lost."""
        if self.location is None:
            self.ensure_dataset()  # outside US a job is only found with its location
        job = self._client.get_job(
            job_id,
            location=self.location,
            retry=self._retry(),
            timeout=self._deadlines.request,
        )
        try:
            job.result(retry=self._retry(), timeout=self._deadlines.job)
        except google.GoogleAPICallError as error:
            raise _JobAlreadyFailed(error) from error
        return job

    def unfinished_jobs(self) -> Iterator[Any]:
        """Yield the jobs that wait or run, of the identity that asks."""
        with self.translate_errors("listing jobs"):
            for state in ("pending", "running"):
                yield from self._client.list_jobs(
                    state_filter=state, retry=self._retry(), timeout=self._deadlines.request
                )

    def end_job(self, job: Any) -> None:
        """Cancel a job, and wait until it has ended one way or the other."""
        waited = 0.0
        with self.translate_errors(f"cancelling job {job.job_id}"):
            job.cancel(retry=self._retry(), timeout=self._deadlines.request)
            while job.state != "DONE":
                if waited >= self._deadlines.job:
                    raise WarehouseUnavailable(
                        f"Job {job.job_id} was cancelled and still runs after {waited:.0f} s. "
                        "Nothing of this run is lost; run it again."
                    )
                self._sleep(CANCEL_PAUSE)
                waited += CANCEL_PAUSE
                job.reload(retry=self._retry(), timeout=self._deadlines.request)

    def _backoff(self, state: tenacity.RetryCallState) -> float:
        return self._rng() * min(MAX_WAIT, 2.0 ** (state.attempt_number - 1))


class _JobAlreadyFailed(Exception):
    """An existing job of this id has failed, so the id is used up."""

    def __init__(self, error: google.GoogleAPICallError) -> None:
        super().__init__(str(error))
        self.error = error


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, _JobAlreadyFailed) or is_transient(error)
