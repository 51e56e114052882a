"""Proxy between a run and the warehouse that fails as networks and services do.

    closed       the connection ends without an answer, and nothing was done
    500, 503     the answer is this status, and nothing was done
    job_fails    the job was accepted and ended with a transient error
    answer_lost  the job ran, and the connection ended before its answer

It counts calls, so that a process can be killed before or after any one of them.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpdesk_assets_tests.reverse_proxy import Call, Reply, ReverseProxy

KINDS = ("closed", "500", "503", "job_fails", "answer_lost")


@dataclass(slots=True)
class Fault:
    """A fault shown by `count` calls, after `after` calls of its kind.

    With `on_jobs`, only calls that start jobs count.
    """

    kind: str
    count: int = 1
    after: int = 0
    on_jobs: bool = True


class FaultProxy(ReverseProxy):
    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.shown: Counter[str] = Counter()
        # Told `before` and `after` each call, and whether it starts a job; says whether it has
        # ended the caller.
        self.kills: Callable[[str, bool], bool] | None = None
        self._fault: Fault | None = None
        self._lock = threading.Lock()

    def order(self, fault: Fault) -> None:
        with self._lock:
            self._fault = fault

    def clear(self) -> None:
        """Remove all faults, and kill nobody."""
        with self._lock:
            self._fault = None
        self.kills = None

    def answer(self, call: Call, forward: Callable[[], Reply]) -> Reply | None:
        kind = self._take(call.starts_a_job)
        if self._kills_caller("before", call) or kind == "closed":
            return None
        if kind in ("500", "503"):
            return _said(int(kind), _refusal(int(kind)))
        if kind == "job_fails" and (failed := _failed_job(call.body)) is not None:
            return _said(200, failed)
        reply = forward()
        if self._kills_caller("after", call) or kind == "answer_lost":
            return None
        return reply

    def _take(self, starts_a_job: bool) -> str | None:
        """Count a call, and return what to do with it."""
        with self._lock:
            fault = self._fault
            if fault is None or (fault.on_jobs and not starts_a_job):
                return None
            if not starts_a_job and fault.kind == "job_fails":
                return None
            if fault.after > 0:
                fault.after -= 1
                return None
            fault.count -= 1
            if fault.count <= 0:
                self._fault = None
            self.shown[fault.kind] += 1
            return fault.kind

    def _kills_caller(self, moment: str, call: Call) -> bool:
        return self.kills is not None and self.kills(moment, call.starts_a_job)


def _said(status: int, content: Any) -> Reply:
    return Reply(status, json.dumps(content).encode())


def _refusal(status: int) -> dict[str, Any]:
    reason = {"reason": "backendError", "message": "Error encountered. Try again."}
    return {"error": {"code": status, "message": reason["message"], "errors": [reason]}}


def _failed_job(body: bytes) -> dict[str, Any] | None:
    """Return the requested job as failed with a transient BigQuery error.

    None if the body is not a job, such as a chunk of an upload.
    """
    try:
        job: dict[str, Any] = json.loads(body)
        reference = job["jobReference"]
    except (ValueError, KeyError, TypeError):
        return None
    error = {"reason": "backendError", "message": "An internal error occurred. Try again."}
    return {
        **job,
        "kind": "bigquery#job",
        "id": f"{reference['projectId']}:US.{reference['jobId']}",
        "status": {"state": "DONE", "errorResult": error, "errors": [error]},
        "statistics": {},
    }
