"""A fake of google's client over a service that keeps jobs, in virtual time.

It does what no stand-in can: it registers a job and loses the answer, lets a job go on while nobody
hears of it, and does not find a job that it has just refused as a repeat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from google.api_core import exceptions as google
from google.cloud import bigquery

from helpdesk_assets.warehouse.bigquery.client import BigQueryClient
from helpdesk_assets.warehouse.bigquery.deadlines import Deadlines
from helpdesk_assets.warehouse.query import Dataset

DEADLINES = Deadlines(request=60.0, call=120.0, job=900.0)
CANCELLED = "Job execution was cancelled: User requested cancellation"
TIMED_OUT = "Job execution was cancelled: Job timed out after {:g}s"


def stopped(text: str) -> google.GoogleAPICallError:
    """The error of a job that was ended; BigQuery calls it `stopped`, and it has no status."""
    return google.GoogleAPICallError(text, errors=[{"reason": "stopped"}])  # type: ignore[no-untyped-call]


@dataclass
class Job:
    """A job of the service; ends `seconds` after its creation, with `error` or well."""

    job_id: str
    created: float
    seconds: float
    error: Exception | None
    timeout: float
    rows: int | None = None


@dataclass
class FakeService:
    """The service and the client that reaches it.

    Attributes:
        errors: how the next jobs end; None, and every job after them: well.
        seconds: how long each job takes.
        losses: for a point, what its next answers are replaced by; None leaves one alone. Points:
            `insert` loses the request, `inserted` the answer of a job that was made, `get`,
            `wait`, `reload`, `cancel`.
        ends_late_jobs: whether it ends a job that exceeds its own time limit.
        cancel_seconds: how long it takes to cancel a job, which may end meanwhile.
        hidden: how many answers to jobs.get say 404 although the job is there.
    """

    errors: deque[Exception | None] = field(default_factory=deque)
    seconds: float = 5.0
    losses: dict[str, deque[BaseException | None]] = field(default_factory=dict)
    ends_late_jobs: bool = True
    cancel_seconds: float = 0.0
    hidden: int = 0
    now: float = 0.0
    jobs: dict[str, Job] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    uploads: int = 0
    calls: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    project = "payer"
    _connection = None

    def client(self, **more: Any) -> BigQueryClient:
        """Return the package's client of this service."""
        arguments = {"location": "EU", "deadlines": DEADLINES, **more}
        return BigQueryClient(
            cast("bigquery.Client", self),
            Dataset("p", "d"),
            sleep=self.sleep,
            rng=lambda: 0.5,
            monotonic=lambda: self.now,
            **arguments,
        )

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def lose(self, point: str) -> None:
        self.calls.append(point)
        planned = self.losses.get(point)
        loss = planned.popleft() if planned else None
        if loss is not None:
            self.now += 1.0
            raise loss

    def query(self, sql: str, *, job_id: str, job_config: Any, retry: Any, **_: Any) -> FakeJob:
        return self._insert(job_id, job_config)

    def load_table_from_file(self, stream: Any, table: str, **asked: Any) -> FakeJob:
        assert asked["rewind"]
        self.uploads += 1
        stream.seek(0)
        return self._insert(asked["job_id"], asked["job_config"], rows=len(stream.readlines()))

    def _insert(self, job_id: str, config: Any, rows: int | None = None) -> FakeJob:
        self.lose("insert")
        if job_id in self.jobs:
            raise google.Conflict(f"Already Exists: Job p:EU.{job_id}")  # type: ignore[no-untyped-call]
        error = self.errors.popleft() if self.errors else None
        timeout = int(config.job_timeout_ms) / 1000 if self.ends_late_jobs else float("inf")
        self.jobs[job_id] = Job(job_id, self.now, self.seconds, error, timeout, rows)
        self.ran.append(job_id)
        self.lose("inserted")
        return FakeJob(self, job_id)

    def get_dataset(self, *_: Any, **__: Any) -> bigquery.Dataset:
        dataset = bigquery.Dataset("p.d")
        dataset.location = "EU"
        return dataset

    def get_job(self, job_id: str, *, location: str, retry: Any, timeout: float) -> FakeJob:
        assert location == "EU"
        self.lose("get")
        if self.hidden or job_id not in self.jobs:
            self.hidden = max(self.hidden - 1, 0)
            raise google.NotFound(f"Not found: Job p:EU.{job_id}")  # type: ignore[no-untyped-call]
        job = FakeJob(self, job_id)
        job.refresh()
        return job

    def cancel_job(self, job_id: str, *, location: str, retry: Any, timeout: float) -> None:
        assert location == "EU"
        self.lose("cancel")
        self.cancelled.append(job_id)
        self.now += self.cancel_seconds
        job = self.jobs[job_id]
        if not self.has_ended(job):
            job.seconds, job.error = self.now - job.created, stopped(CANCELLED)

    def has_ended(self, job: Job) -> bool:
        if self.now - job.created >= min(job.seconds, job.timeout):
            if job.timeout < job.seconds:
                job.seconds, job.error = job.timeout, stopped(TIMED_OUT.format(job.timeout))
            return True
        return False


class FakeJob:
    """google's object for a job: what it last heard of it."""

    dml_stats = None
    total_bytes_billed = 10
    num_dml_affected_rows = 3
    location = "EU"

    def __init__(self, service: FakeService, job_id: str) -> None:
        self._service = service
        self._job = service.jobs[job_id]
        self.job_id = job_id
        self.state = "RUNNING"
        self.error_result: dict[str, str] | None = None

    @property
    def output_rows(self) -> int | None:
        return self._job.rows

    def refresh(self) -> None:
        if self._service.has_ended(self._job):
            self.state = "DONE"
            self.error_result = {"reason": "any"} if self._job.error else None

    def reload(self, *, retry: Any, timeout: float) -> None:
        self._service.lose("reload")
        self.refresh()

    def exception(self) -> Exception | None:
        return self._job.error

    def result(self, *, timeout: float, **_: Any) -> Iterator[Any]:
        self._service.lose("wait")
        left = self._job.created + min(self._job.seconds, self._job.timeout) - self._service.now
        if left > timeout:
            self._service.now += timeout
            raise TimeoutError
        self._service.now += max(left, 0.0)
        self.refresh()
        if self._job.error is not None:
            raise self._job.error
        return iter(())
