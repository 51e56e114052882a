"""The warehouse as the rest of the package uses it: `TableApi`, and jobs with names and retries.

A job's name is made here, so that one whose answer was lost is found again and not run twice. The
same for the real service and a local stand-in. Must not know tickets or keys.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import tenacity
from google.api_core import exceptions as google
from google.cloud import bigquery

from helpdesk_assets.warehouse.bigquery.errors import is_transient
from helpdesk_assets.warehouse.bigquery.job_ids import JobName, label
from helpdesk_assets.warehouse.bigquery.table_api import Deadlines, TableApi
from helpdesk_assets.warehouse.bigquery.upload_chunks import limit_upload_chunks
from helpdesk_assets.warehouse.query import Dataset, Parameter, Query

# 8 tries, at most 1 + 2 + ... + 32 + 32 seconds apart: longer than BigQuery's own queue of
# statements for one table usually lasts, shorter than a run's patience.
MAX_TRIES = 8
MAX_WAIT = 32.0
_DML_VERBS = ("MERGE", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class JobUsage:
    """What this warehouse object has asked of BigQuery so far."""

    query_jobs: int = 0
    load_jobs: int = 0
    bytes_billed: int = 0

    def since(self, earlier: JobUsage) -> JobUsage:
        return JobUsage(
            self.query_jobs - earlier.query_jobs,
            self.load_jobs - earlier.load_jobs,
            self.bytes_billed - earlier.bytes_billed,
        )


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What one query did. `rows` can be read once."""

    job_id: str
    changed: int
    inserted: int | None
    updated: int | None
    bytes_billed: int
    rows: Iterator[dict[str, Any]]


class BigQueryClient(TableApi):
    """A dataset and the client that reaches it. Safe to share between threads."""

    def __init__(
        self,
        client: bigquery.Client,
        dataset: Dataset,
        *,
        location: str | None = None,
        is_emulator: bool = False,
        deadlines: Deadlines | None = None,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(
            client, dataset, location=location, is_emulator=is_emulator, deadlines=deadlines
        )
        self._sleep = sleep
        self._rng = random
        self._use = JobUsage()
        self._lock = threading.Lock()

    @property
    def use(self) -> JobUsage:
        with self._lock:
            return self._use

    def run(
        self,
        query: Query,
        *,
        run_id: str,
        step: str,
        attempt: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> QueryResult:
        """Run one statement to its end.

        A statement that changes data has a job id made of its arguments: asked again after a lost
        answer, the job that is there already is waited for and nothing runs twice. One that only
        reads gets a fresh id each time, since an older job's answer would be an old answer.
        """
        config = bigquery.QueryJobConfig(
            query_parameters=[to_google(parameter) for parameter in query.parameters],
            labels=self._labels(run_id, step, labels),
            use_legacy_sql=False,
        )
        content = f"{query.sql}\n{query.parameters!r}"
        if not query.sql.lstrip().upper().startswith(_DML_VERBS):
            content += uuid.uuid4().hex

        def start(job_id: str) -> bigquery.QueryJob:
            return self._client.query(
                query.sql,
                job_config=config,
                job_id=job_id,
                location=self.location,
                retry=self._retry(),
                timeout=self._deadlines.request,
                job_retry=None,
            )

        job = self._run_job(start, JobName(run_id, step, attempt), content)
        return self._to_result(job)

    def load(
        self,
        stream: IO[bytes],
        table: str,
        schema: Sequence[bigquery.SchemaField],
        *,
        run_id: str,
        step: str,
        attempt: int = 0,
    ) -> int:
        """Append NDJSON rows to a table, all or none; how many rows there were."""
        config = bigquery.LoadJobConfig(
            schema=list(schema),
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            labels=self._labels(run_id, step, None),
        )

        def start(job_id: str) -> bigquery.LoadJob:
            # Without `size` the upload is resumable, the one kind that every stand-in takes.
            limit_upload_chunks()
            return self._client.load_table_from_file(
                stream,
                self.dataset.table_id(table),
                rewind=True,
                job_id=job_id,
                location=self.location,
                job_config=config,
                timeout=self._deadlines.request,
            )

        # Made unique, because a staging table is made anew when its step is run again: the id of
        # the first load would answer for a table that is empty by now.
        content = f"{table}{uuid.uuid4().hex}"
        job = self._run_job(start, JobName(run_id, f"{step}-load", attempt), content)
        self._count(JobUsage(load_jobs=1))
        return int(job.output_rows or 0)

    def _run_job(self, start: Callable[[str], Any], name: JobName, content: str) -> Any:
        """Start a job and wait for it; again under the next name while that may help."""
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
        """The answer to an earlier request for this job was lost: take the job that it started."""
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

    def _backoff(self, state: tenacity.RetryCallState) -> float:
        return self._rng() * min(MAX_WAIT, 2.0 ** (state.attempt_number - 1))

    def _to_result(self, job: bigquery.QueryJob) -> QueryResult:
        stats = job.dml_stats
        billed = int(job.total_bytes_billed or 0)
        self._count(JobUsage(query_jobs=1, bytes_billed=billed))
        return QueryResult(
            job_id=str(job.job_id),
            changed=int(job.num_dml_affected_rows or 0),
            inserted=None if stats is None else stats.inserted_row_count,
            updated=None if stats is None else stats.updated_row_count,
            bytes_billed=billed,
            rows=self._rows(job),
        )

    def _rows(self, job: bigquery.QueryJob) -> Iterator[dict[str, Any]]:
        with self.translate_errors(f"reading the answer of job {job.job_id}"):
            for row in job.result(retry=self._retry(), timeout=self._deadlines.job):
                yield dict(row)

    def _count(self, use: JobUsage) -> None:
        with self._lock:
            self._use = JobUsage(
                self._use.query_jobs + use.query_jobs,
                self._use.load_jobs + use.load_jobs,
                self._use.bytes_billed + use.bytes_billed,
            )

    def _labels(self, run_id: str, step: str, more: Mapping[str, str] | None) -> dict[str, str]:
        labels = {"app": "helpdesk-assets", "table": step, "run": run_id, **(more or {})}
        return {key: label(value) for key, value in labels.items()}


class _JobAlreadyFailed(Exception):
    """A job of this name has failed already, and its name is used up."""

    def __init__(self, error: google.GoogleAPICallError) -> None:
        super().__init__(str(error))
        self.error = error


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, _JobAlreadyFailed) or is_transient(error)


def to_google(
    parameter: Parameter,
) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    name, kind, value = parameter.name, str(parameter.type), parameter.value
    if isinstance(value, tuple):
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, kind, value)
