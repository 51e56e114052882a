"""Stands between a run and the warehouse, and fails as networks and services do.

    closed       the connection ends without an answer, and nothing was done
    500, 503     the service says so, and nothing was done
    job_fails    the job was taken and ended with an error that passes
    answer_lost  the job has run, and the connection ends before its answer

It counts calls, so that a process can be ended before or after any one of them.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

KINDS = ("closed", "500", "503", "job_fails", "answer_lost")
# Named by the protocol for one connection only, or made anew by whoever sends.
_OWN_HEADERS = {"connection", "content-length", "transfer-encoding", "keep-alive", "date", "server"}


@dataclass(slots=True)
class Fault:
    """`count` calls show it, once `after` calls of its kind have passed. Only calls that start jobs
    count where it is one of `on_jobs`."""

    kind: str
    count: int = 1
    after: int = 0
    on_jobs: bool = True


class FaultProxy:
    """A reverse proxy on a free loopback port, alive inside its `with` block."""

    def __init__(self, target: str) -> None:
        self.shown: Counter[str] = Counter()
        # Told `before` and `after` each call, and whether it starts a job; says whether it has
        # ended the caller.
        self.kills: Callable[[str, bool], bool] | None = None
        self._fault: Fault | None = None
        self._lock = threading.Lock()
        # One stand-in has one connection to its data for all its threads, and two answers at once
        # get mixed up. Runs still take turns between any two of their calls.
        self.one_at_a_time = threading.Lock()
        self._target = urlsplit(target).netloc
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def target(self) -> str:
        return self._target

    def order(self, fault: Fault) -> None:
        with self._lock:
            self._fault = fault

    def clear(self) -> None:
        """All is well from now on, and nobody is killed."""
        with self._lock:
            self._fault = None
        self.kills = None

    def take(self, starts_a_job: bool) -> str | None:
        """What shall become of a call; counts it."""
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

    def ends_caller(self, moment: str, starts_a_job: bool) -> bool:
        return self.kills is not None and self.kills(moment, starts_a_job)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Whoever calls may be dead by now, which is no news here.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet."""


class _Handler(BaseHTTPRequestHandler):
    owner: FaultProxy
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: in two, each answer waits 40 ms for the other side's kernel.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._warehouse = HTTPConnection(self.owner.target, timeout=60)

    def finish(self) -> None:
        self._warehouse.close()
        super().finish()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        starts_a_job = self._starts_a_job()
        kind = self.owner.take(starts_a_job)
        if self.owner.ends_caller("before", starts_a_job) or kind == "closed":
            self.close_connection = True
            return
        if kind in ("500", "503"):
            self._say(int(kind), _refusal(int(kind)))
            return
        if kind == "job_fails" and (failed := _failed_job(body)) is not None:
            self._say(200, failed)
            return
        with self.owner.one_at_a_time:
            reply, content = self._asked(body)
        if self.owner.ends_caller("after", starts_a_job) or kind == "answer_lost":
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value.replace(self.owner.target, self.headers["Host"]))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the server's names

    def _starts_a_job(self) -> bool:
        path = self.path.partition("?")[0]
        return self.command == "POST" and path.endswith(("/jobs", "/queries"))

    def _asked(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        try:
            self._warehouse.request(self.command, self.path, body, headers)
            reply = self._warehouse.getresponse()
        except (HTTPException, ConnectionError):
            # A connection that was left idle for too long; it is asked once more on a new one.
            self._warehouse.close()
            self._warehouse.request(self.command, self.path, body, headers)
            reply = self._warehouse.getresponse()
        return reply, reply.read()

    def _say(self, status: int, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def _refusal(status: int) -> dict[str, Any]:
    reason = {"reason": "backendError", "message": "Error encountered. Try again."}
    return {"error": {"code": status, "message": reason["message"], "errors": [reason]}}


def _failed_job(body: bytes) -> dict[str, Any] | None:
    """The job that was asked for, ended with the error that BigQuery's own trouble leaves; None
    where the body is no job, such as a chunk of an upload."""
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
