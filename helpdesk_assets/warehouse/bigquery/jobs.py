"""Runs jobs under ids chosen by the client, and retries those that may succeed in a moment.

A new id is taken only once the job of the old one is known to have failed. Must not know tickets or
keys.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from helpdesk_assets.errors import HelpdeskAssetsError, WarehouseUnavailable
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines
from helpdesk_assets.warehouse.bigquery.error_kinds import is_transient
from helpdesk_assets.warehouse.bigquery.errors import to_error
from helpdesk_assets.warehouse.bigquery.job_ids import JobName, console_url
from helpdesk_assets.warehouse.bigquery.one_job import Clock, JobFailed, OneJob, Service
from helpdesk_assets.warehouse.bigquery.table_api import TableApi
from helpdesk_assets.warehouse.query import Dataset
from helpdesk_assets.warehouse.table_spec import JobUsage

if TYPE_CHECKING:
    from google.cloud import bigquery

# 8 tries, at most 1 + 2 + ... + 32 + 32 seconds apart: longer than BigQuery's own queue of
# statements for one table usually lasts, shorter than a run's patience.
MAX_TRIES = 8
# The service ends a job a little before the client gives it up, so that there is an answer.
TIMEOUT_SHARE = 0.95
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
        labels: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            client, dataset, location=location, is_emulator=is_emulator, deadlines=deadlines
        )
        self._own_labels = labels or {}
        self._clock = Clock(sleep, rng, monotonic)
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

    @property
    def job_timeout_ms(self) -> int:
        """After how long the service ends a job by itself, counted from its creation.

        https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobconfiguration
        """
        return int(self._deadlines.job * TIMEOUT_SHARE * 1000)

    def console_url(self, job_id: str) -> str:
        """Return the job's page in Google's console; empty for an emulator, which has none."""
        if self.is_emulator:
            return ""
        # Jobs belong to the project that pays, which the client was made for.
        project = str(getattr(self._client, "project", None) or self.dataset.project)
        return console_url(project, self.location or "US", job_id)

    def run_job(
        self, start: Callable[[str], Any], name: JobName, content: str, *, look_first: bool = False
    ) -> Any:
        """Start a job and wait for its end; retry under the next name while that may help.

        Args:
            start: starts the job under the id it is given, and returns it.
            name: the name of the first attempt.
            content: what the job does, as text; part of its id.
            look_first: an earlier try of the step may have started the job under the name, or
                under one after it. If it runs, wait for it; if it has succeeded, take its result.

        Returns:
            The finished job.

        Raises:
            HelpdeskAssetsError: the job failed for good, or at each of `MAX_TRIES` attempts.
        """
        tries = 0
        while True:
            job_id = name.job_id(content)
            action = f"running {name.step} of run {name.run_id} (job {job_id})"
            service = Service(self._client, self._deadlines, self.target, self._locate)
            job = OneJob(service, self._clock, job_id, action)
            with self.translate_errors(action):
                try:
                    return job.run(start, look_first=look_first)
                except JobFailed as failed:
                    if not failed.was_found:
                        tries += 1
                        if tries == MAX_TRIES or not is_transient(failed.error):
                            raise self._refusal(failed, action, job_id) from failed.error
                        self._clock.pause(tries)
            name = name.next()

    def _refusal(self, failed: JobFailed, action: str, job_id: str) -> HelpdeskAssetsError:
        error = to_error(failed.error, action, self.target)
        url = self.console_url(job_id) if failed.has_run else ""
        return type(error)(f"{error} See {url}") if url else error

    def _locate(self) -> str | None:
        if self.location is None:
            self.ensure_dataset()  # outside US a job is only found with its location
        return self.location

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
                self._clock.sleep(CANCEL_PAUSE)
                waited += CANCEL_PAUSE
                job.reload(retry=self._retry(), timeout=self._deadlines.request)
