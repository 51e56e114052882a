"""Stands between a run and the warehouse and counts the jobs that pass, by kind."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import requests

HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "content-encoding", "date"}


class CountingProxy:
    """A reverse proxy on a free loopback port, alive inside its `with` block."""

    def __init__(self, target: str) -> None:
        self.jobs: Counter[str] = Counter()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.note(self.command, self.path, body)
                answer = requests.request(
                    self.command,
                    target + self.path,
                    data=body,
                    headers={k: v for k, v in self.headers.items() if k.lower() != "host"},
                    timeout=60,
                )
                self.send_response_only(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - the server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def note(self, method: str, path: str, body: bytes) -> None:
        """Jobs begin with POST: `/jobs` (a query or a load), `/queries`, or an upload."""
        path = path.partition("?")[0]
        if method != "POST":
            return
        if path.startswith(("/upload/", "/resumable/")) and path.endswith("/jobs"):
            self.jobs["load"] += 1
        elif path.endswith("/queries"):
            self.jobs["query"] += 1
        elif path.endswith("/jobs"):
            self.jobs.update(json.loads(body)["configuration"].keys() & {"query", "load"})

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
