"""The client of BigQuery that the rest of the package uses: table calls, statements and loads.

The same for the real service and a local emulator. Must not know tickets or keys.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from helpdesk_assets.warehouse.bigquery.job_ids import JobName, label
from helpdesk_assets.warehouse.bigquery.jobs import JobApi
from helpdesk_assets.warehouse.bigquery.one_job import ONCE
from helpdesk_assets.warehouse.bigquery.upload_chunks import limit_upload_chunks
from helpdesk_assets.warehouse.query import Parameter, Query
from helpdesk_assets.warehouse.table_spec import JobUsage

if TYPE_CHECKING:
    from google.cloud import bigquery

# google's client sends an unset limit as the text "None".
NO_LIMIT = 1 << 60
_DML_VERBS = ("MERGE", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What one query did. `rows` can be read once.

    `console_url` is the job's page in Google's console, empty for an emulator.
    """

    job_id: str
    changed: int
    inserted: int | None
    updated: int | None
    bytes_billed: int
    rows: Iterator[dict[str, Any]]
    console_url: str = ""


class BigQueryClient(JobApi):
    """One dataset and the client that reaches it. Safe to share between threads."""

    _before_write: Callable[[], None] = staticmethod(lambda: None)

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

        The job id of a statement that changes data is made of the arguments: after a lost
        response, a second call waits for the existing job and nothing runs twice. A retry of the
        step looks for the jobs of the attempts before it, and only one that failed leads to a new
        id. A statement that only reads gets a new id each time, since an older job would give old
        rows.

        Args:
            query: the statement.
            run_id: the run on whose behalf it runs.
            step: which step of the run; part of the job id and a label.
            attempt: counts the retries of the step, from 0.
            labels: labels of the job, beside or instead of app, dataset, table and run.

        Raises:
            HelpdeskAssetsError: BigQuery refused, or kept failing.
        """
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=[to_google(parameter) for parameter in query.parameters],
            labels=self._labels(run_id, step, labels),
            use_legacy_sql=False,
            job_timeout_ms=self.job_timeout_ms,
        )
        content = f"{query.sql}\n{query.parameters!r}"
        is_change = query.sql.lstrip().upper().startswith(_DML_VERBS)
        if not is_change:
            content += uuid.uuid4().hex

        def start(job_id: str) -> bigquery.QueryJob:
            if is_change:
                self._before_write()
                self._changes_sent += 1
            return self._client.query(
                query.sql,
                job_config=config,
                job_id=job_id,
                location=self.location,
                retry=ONCE,
                timeout=self._deadlines.request,
                job_retry=None,
            )

        # The jobs of all attempts are in one row: the first that did not fail is the one.
        name = JobName(run_id, step)
        job = self.run_job(start, name, content, look_first=is_change and attempt > 0)
        return self._to_result(job)

    def estimate(self, query: Query) -> int:
        """Return how many bytes a statement would process. It does not run, and costs nothing.

        Raises:
            HelpdeskAssetsError: BigQuery refused the statement, or kept failing.
        """
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=[to_google(parameter) for parameter in query.parameters],
            use_legacy_sql=False,
            dry_run=True,
            use_query_cache=False,
        )
        # Against what may be the client's defaults: the answer is wanted all the same, and now.
        config.maximum_bytes_billed = NO_LIMIT
        config.priority = bigquery.QueryPriority.INTERACTIVE
        if self.location is None:
            self.get_dataset()  # outside US a table is only found with its location
        with self.translate_errors("asking what a statement would read"):
            job = self._client.query(
                query.sql,
                job_config=config,
                location=self.location,
                retry=self._retry(),
                timeout=self._deadlines.request,
                job_retry=None,
            )
            return int(job.total_bytes_processed or 0)

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
        """Append NDJSON rows to a table, all or none.

        Args:
            stream: the rows, seekable.
            table: name of an existing table of the dataset.
            schema: the columns of the rows.
            run_id: the run on whose behalf they are loaded.
            step: which step of the run; part of the job id and a label.
            attempt: counts the retries of the step, from 0.

        Returns:
            The number of loaded rows, as BigQuery reports it.

        Raises:
            HelpdeskAssetsError: BigQuery refused, or kept failing.
        """
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig(
            schema=list(schema),
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            labels=self._labels(run_id, step, None),
            job_timeout_ms=self.job_timeout_ms,
        )

        def start(job_id: str) -> bigquery.LoadJob:
            # Without `size` the upload is resumable, the only kind that every emulator accepts.
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

        # A new id each time: a retried step creates its staging table again, and the job of the
        # first load would answer for a table that is empty by now.
        content = f"{table}{uuid.uuid4().hex}"
        job = self.run_job(start, JobName(run_id, f"{step}-load", attempt), content)
        self.count(JobUsage(load_jobs=1))
        return int(job.output_rows or 0)

    @contextmanager
    def before_each_write(self, check: Callable[[], None]) -> Iterator[None]:
        """Inside the block, call this before each statement that changes data is sent.

        What it raises keeps the statement from being sent.
        """
        before, self._before_write = self._before_write, check
        try:
            yield
        finally:
            self._before_write = before

    def _to_result(self, job: bigquery.QueryJob) -> QueryResult:
        stats = job.dml_stats
        billed = int(job.total_bytes_billed or 0)
        self.count(JobUsage(query_jobs=1, bytes_billed=billed))
        return QueryResult(
            job_id=str(job.job_id),
            changed=int(job.num_dml_affected_rows or 0),
            inserted=None if stats is None else stats.inserted_row_count,
            updated=None if stats is None else stats.updated_row_count,
            bytes_billed=billed,
            rows=self._rows(job),
            console_url=self.console_url(str(job.job_id)),
        )

    def _rows(self, job: bigquery.QueryJob) -> Iterator[dict[str, Any]]:
        with self.translate_errors(f"reading the result of job {job.job_id}"):
            for row in job.result(retry=self._retry(), timeout=self._deadlines.job):
                yield dict(row)

    def _labels(self, run_id: str, step: str, more: Mapping[str, str] | None) -> dict[str, str]:
        labels = {
            **self._own_labels,
            "app": "helpdesk-assets",
            "dataset": self.dataset.name,
            "table": step,
            "run": run_id,
            **(more or {}),
        }
        return {key: label(value) for key, value in labels.items()}


def to_google(
    parameter: Parameter,
) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    """Convert a parameter for google's client."""
    from google.cloud import bigquery

    name, kind, value = parameter.name, str(parameter.type), parameter.value
    if isinstance(value, tuple):
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, kind, value)
