"""A proxy in front of a stand-in that answers as the service does.

The stand-ins run statements one after the other, in tenths of a second. Behind this proxy a
statement takes its time, two of one table overlap, a job goes on after its answer is lost, and its
bytes have a price. What is not verified about the service is answered in the unfriendlier way.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from helpdesk_assets_tests.reverse_proxy import Call, Reply, ReverseProxy
from helpdesk_assets_tests.service_proxy import answers
from helpdesk_assets_tests.service_proxy.answers import GATEWAY_TIMEOUT, said
from helpdesk_assets_tests.service_proxy.clocks import Clock
from helpdesk_assets_tests.service_proxy.datasets import Datasets
from helpdesk_assets_tests.service_proxy.dml import TableName
from helpdesk_assets_tests.service_proxy.durations import Durations, always
from helpdesk_assets_tests.service_proxy.engine import Engine, Price
from helpdesk_assets_tests.service_proxy.faults import ON_INSERT, ON_POLL, Faults, ServiceFault
from helpdesk_assets_tests.service_proxy.jobs import Job
from helpdesk_assets_tests.service_proxy.key_watch import KeyWatch
from helpdesk_assets_tests.service_proxy.stand_in import StandIn

_JOB = re.compile(r"/projects/[^/]+/(jobs|queries)/([^/?]+?)(/cancel)?$")
_JOBS = re.compile(r"/projects/[^/]+/jobs$")
_UPLOAD = re.compile(r"^/(resumable/)?upload/")
_LOST = (ServiceFault.ANSWER_LOST, ServiceFault.POLL_LOST)
_UNANSWERED = (ServiceFault.ANSWER_504, ServiceFault.POLL_504, ServiceFault.NOT_ACCEPTED)


# Of a MERGE, in seconds, as users report it.
MEDIAN = 3.0


class ServiceProxy(ReverseProxy):
    """A context manager that listens on a free loopback port.

    Args:
        target: the stand-in's address.
        clock: the service's time.
        durations: how long a statement runs that changes a table; None: always 3 s.
        keys: keys of tables by name, for statements that change rows without naming them.
        price: what a statement bills.
        quota_text: how a full queue is told; see `Engine`.
        watches_keys: doubled keys are counted after each statement, in `key_watch`.
    """

    def __init__(
        self,
        target: str,
        clock: Clock,
        *,
        durations: Durations | None = None,
        keys: Mapping[str, tuple[str, ...]] | None = None,
        price: Price | None = None,
        quota_text: bool = False,
        watches_keys: bool = False,
    ) -> None:
        super().__init__(target)
        self.clock = clock
        self.faults = Faults()
        self._stand_in = StandIn(self.target)
        self.datasets = Datasets(self._stand_in)
        self.key_watch = KeyWatch(self._stand_in, (keys or {}) if watches_keys else {})
        self.engine = Engine(
            self._stand_in,
            clock,
            durations or always(MEDIAN),
            keys or {},
            price,
            self.datasets.check,
            self._committed,
            quota_text,
        )
        # The stand-in runs one statement at a time anyway.
        self._lock = threading.RLock()

    def settle(self) -> None:
        """Do all that was due before now; each call does so too."""
        with self._lock:
            self.engine.settle()

    def finish(self) -> None:
        """Wait until no job is under way any more."""
        while (at := self._next_event()) is not None:
            self.clock.jump(at)
            self.settle()

    def answer(self, call: Call, forward: Callable[[], Reply]) -> Reply | None:
        path = unquote(urlsplit(call.path).path)
        self.clock.note_call()
        self.settle()
        if call.method == "POST" and _JOBS.search(path) and not _UPLOAD.search(path):
            return self._insert(call)
        if call.method == "GET" and _JOBS.search(path):
            return self._list(call, forward)
        if (named := _JOB.search(path)) and (job := self.engine.jobs.get(named[2])):
            if named[3]:
                return self._cancel(job)
            return self._poll(job, forward, hangs=named[1] == "queries")
        with self._lock:
            known = self.datasets.answer(call, lambda _: forward())
            return forward() if known is None else known

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        self._stand_in.close()

    def _committed(self, table: TableName) -> None:
        self.datasets.expire(table)
        self.key_watch.look(table)

    def _insert(self, call: Call) -> Reply | None:
        body: dict[str, Any] = json.loads(call.body)
        with self._lock:
            job = self.engine.make(call, body)
            fault = self.faults.take(ON_INSERT, _table(job))
            refusal = None
            if fault is not ServiceFault.NOT_ACCEPTED:
                refusal = self.engine.accept(job)
            if fault is not None:
                return _unanswered(fault)
            return refusal.reply() if refusal else said(job.resource())

    def _poll(self, job: Job, forward: Callable[[], Reply], *, hangs: bool) -> Reply | None:
        fault = self.faults.take(ON_POLL, _table(job))
        if fault is ServiceFault.NOT_FOUND:
            return answers.job_not_found(job.full_name).reply()
        if fault is not None:
            return _unanswered(fault)
        if not hangs:
            with self._lock:
                return said(job.resource())
        next_event = self._next_event()
        if job.ended is None and next_event is not None:
            # getQueryResults waits as long as it can.
            self.clock.hang(next_event)
        with self._lock:
            self.engine.settle()
            if job.ended is None:
                return said({"jobReference": dict(job.reference), "jobComplete": False})
            if job.error is not None:
                return job.error.reply()
            return forward()

    def _cancel(self, job: Job) -> Reply:
        with self._lock:
            self.engine.cancel(job.job_id)
            return said({"kind": "bigquery#jobCancelResponse", "job": job.resource()})

    def _list(self, call: Call, forward: Callable[[], Reply]) -> Reply:
        wanted = {state.upper() for state in _query(call).get("stateFilter", [])}
        with self._lock:
            ours = [job.resource() for job in reversed(self.engine.jobs.values())]
            names = {job["jobReference"]["jobId"] for job in ours}
            reply = forward()
            others = json.loads(reply.content).get("jobs", []) if reply.status == 200 else []
        rest = [job for job in others if job["jobReference"]["jobId"] not in names]
        found = [
            {**job, "state": job["status"]["state"]}
            for job in (*ours, *rest)
            if not wanted or job["status"]["state"] in wanted
        ]
        return said({"kind": "bigquery#jobList", "jobs": found})

    def _next_event(self) -> float | None:
        with self._lock:
            return self.engine.next_event()


def _table(job: Job) -> str:
    return job.dml.target.table if job.dml else ""


def _unanswered(fault: ServiceFault) -> Reply | None:
    return None if fault in _LOST else GATEWAY_TIMEOUT


def _query(call: Call) -> dict[str, list[str]]:
    return parse_qs(urlsplit(call.path).query)
