"""The service's jobs: accepted, waiting, running, committed, cancelled.

A statement that changes a table runs for as long as it is told to and is committed at its end, also
when nobody asks for it any more. Of one table two run, 20 wait, and the next is refused (BigQuery's
page on DML: "DML concurrency"). Everything else runs at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpdesk_assets_tests.reverse_proxy import Call
from helpdesk_assets_tests.service_proxy import answers
from helpdesk_assets_tests.service_proxy.answers import Refusal
from helpdesk_assets_tests.service_proxy.clocks import Clock
from helpdesk_assets_tests.service_proxy.dml import Dml, TableName
from helpdesk_assets_tests.service_proxy.durations import Durations
from helpdesk_assets_tests.service_proxy.jobs import Job
from helpdesk_assets_tests.service_proxy.overlaps import Overlaps
from helpdesk_assets_tests.service_proxy.stand_in import StandIn

RUN_AT_ONCE = 2
WAIT_AT_MOST = 20
# Told the text, and the parameters in the API's format; returns the bytes that are billed.
Price = Callable[[str, Sequence[Mapping[str, Any]]], int]
# Returns why the service refuses a statement, None if it does not.
Check = Callable[[Job], Refusal | None]


@dataclass(slots=True)
class Engine:
    """Not safe for several threads at once: the proxy holds its lock.

    Attributes:
        stand_in: what runs the statements.
        clock: the time of the service.
        durations: how long a statement runs.
        keys: the keys of tables by name, for statements that do not name them.
        price: what a statement bills; None: nobody says.
        check: rules of the dataset.
        committed: told of each statement that has changed a table.
        quota_text: a full queue is told as an exceeded quota, which the service does too.
    """

    stand_in: StandIn
    clock: Clock
    durations: Durations
    keys: Mapping[str, tuple[str, ...]]
    price: Price | None
    check: Check
    committed: Callable[[TableName], None]
    quota_text: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)
    _overlaps: Overlaps = field(init=False)

    def __post_init__(self) -> None:
        self._overlaps = Overlaps(self.stand_in, self.keys, self._execute)

    def accept(self, job: Job) -> Refusal | None:
        """Take a job in; the refusal is that of the request."""
        if known := self.jobs.get(job.job_id):
            return answers.job_exists(known.full_name)
        if refusal := self.check(job):
            return refusal
        self._price(job)
        is_dry = bool(job.configuration.get("dryRun"))
        if not is_dry:
            self.jobs[job.job_id] = job
        if job.error is not None:
            job.ended = job.created
        elif job.dml is None or is_dry:
            job.started = job.created
            self._execute(job)
            job.ended = job.created
        else:
            self._queue(job, job.dml)
        return None

    def cancel(self, job_id: str) -> Job | None:
        """End a job without effect; one that has ended stays as it is."""
        job = self.jobs.get(job_id)
        if job is not None and job.ended is None:
            self._fail(job, answers.cancelled(), self.clock.now())
        return job

    def settle(self) -> None:
        """Do all that was due before now, in order."""
        while (due := self._next()) is not None and due[0] <= self.clock.now():
            at, job = due
            if job.timeout is not None and at == job.timeout and at != job.ends:
                seconds = job.timeout - job.created
                self._fail(job, answers.timed_out(seconds), at)
            else:
                self._commit(job, at)

    def next_event(self) -> float | None:
        """Return when something happens next."""
        due = self._next()
        return None if due is None else due[0]

    def under_way(self) -> list[Job]:
        """Return the jobs that have not ended, oldest first."""
        return [job for job in self.jobs.values() if job.ended is None]

    def _next(self) -> tuple[float, Job] | None:
        events = (
            (at, number, job)
            for number, job in enumerate(self.under_way())
            for at in (job.ends, job.timeout)
            if at is not None
        )
        first = min(events, key=lambda event: event[:2], default=None)
        return None if first is None else (first[0], first[2])

    def make(self, call: Call, body: Mapping[str, Any]) -> Job:
        """Return the job that a request asks for, which nobody has accepted yet."""
        configuration = dict(body["configuration"])
        query = configuration.get("query") or {}
        dml = Dml.parse(
            query.get("query") or "",
            body["jobReference"]["projectId"],
            (query.get("defaultDataset") or {}).get("datasetId", ""),
        )
        return Job(body["jobReference"], configuration, call, self.clock.now(), dml)

    def _price(self, job: Job) -> None:
        query = job.configuration.get("query")
        if self.price is None or query is None:
            return
        job.price = self.price(query["query"], query.get("queryParameters") or [])
        limit = query.get("maximumBytesBilled")
        if limit is not None and job.price > int(limit):
            job.error = answers.over_limit(int(limit), job.price)

    def _queue(self, job: Job, dml: Dml) -> None:
        others = [each for each in self._of(dml.target) if each is not job]
        if len(others) >= RUN_AT_ONCE + WAIT_AT_MOST:
            told = answers.queue_quota if self.quota_text else answers.queue_full
            job.error, job.ended = told(dml.target.legacy), job.created
        elif sum(each.started is not None for each in others) < RUN_AT_ONCE:
            self._start(job, dml, job.created)

    def _of(self, table: TableName) -> Iterator[Job]:
        return (job for job in self.under_way() if job.dml and job.dml.target == table)

    def _start(self, job: Job, dml: Dml, at: float) -> None:
        job.started, job.ends = at, at + self.durations(dml.sql)
        self._overlaps.begin(job, dml)

    def _commit(self, job: Job, at: float) -> None:
        assert job.dml is not None
        if not self._overlaps.commit(job, job.dml, at):
            self._start(job, job.dml, at)
            return
        job.ended, job.ends = at, None
        if not job.has_failed:
            self.committed(job.dml.target)
        self._start_waiting(job.dml.target, at)

    def _fail(self, job: Job, error: Refusal, at: float) -> None:
        job.error, job.ended, job.ends = error, at, None
        if job.dml is not None:
            if job.started is not None:
                self._overlaps.end(job, job.dml)
            self._start_waiting(job.dml.target, at)

    def _start_waiting(self, table: TableName, at: float) -> None:
        running = sum(job.started is not None for job in self._of(table))
        waiting = [job for job in self._of(table) if job.started is None]
        for job in waiting[: max(0, RUN_AT_ONCE - running)]:
            assert job.dml is not None
            self._start(job, job.dml, at)

    def _execute(self, job: Job) -> None:
        reply = self.stand_in.send(job.call)
        answer = json.loads(reply.content)
        if "error" in answer:
            first = answer["error"]["errors"][0]
            job.error = Refusal(
                answer["error"]["code"], first.get("reason", ""), first.get("message", "")
            )
            return
        job.answer = answer
