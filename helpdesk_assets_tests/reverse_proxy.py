"""A proxy in front of the warehouse that subclasses use to observe or disturb calls.

It knows HTTP and which calls start jobs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from helpdesk_assets.local.warehouse import free_port
from helpdesk_assets_tests.port_forwarder import PortForwarder

# Named by the protocol for one connection only, or made anew by whoever sends.
_OWN_HEADERS = {"connection", "content-length", "transfer-encoding", "keep-alive", "date", "server"}


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    body: bytes

    @property
    def starts_a_job(self) -> bool:
        """Whether the call is a query, a load, or the start of an upload."""
        path = self.path.partition("?")[0]
        return self.method == "POST" and path.endswith(("/jobs", "/queries"))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content: bytes
    headers: Sequence[tuple[str, str]] = (("Content-Type", "application/json"),)


class ReverseProxy:
    """A context manager that listens on a free loopback port, and forwards gRPC beside it."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        proxy = self

        class Handler(_Handler):
            owner = proxy

        port = free_port()
        self._server = _Server(("127.0.0.1", port), Handler)
        self._grpc = PortForwarder.beside(port, target)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, call: Call, forward: Callable[[], Reply]) -> Reply | None:
        """Return the answer to the caller; None drops the connection."""
        return forward()

    def __enter__(self) -> Self:
        self._thread.start()
        self._grpc.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._grpc.__exit__()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The caller may have been killed meanwhile, which is expected.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing."""


class _Handler(BaseHTTPRequestHandler):
    owner: ReverseProxy
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: with two, each answer waits 40 ms for a delayed ACK.
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
        call = Call(self.command, self.path, body)
        reply = self.owner.answer(call, lambda: self._forwarded(call))
        if reply is None:
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value.replace(self.owner.target, self.headers["Host"]))
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the server's names

    def _forwarded(self, call: Call) -> Reply:
        try:
            return self._asked(call)
        except (HTTPException, ConnectionError):
            # The connection was idle for too long; the request is repeated on a new one.
            self._warehouse.close()
            return self._asked(call)

    def _asked(self, call: Call) -> Reply:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        self._warehouse.request(call.method, call.path, call.body, headers)
        reply = self._warehouse.getresponse()
        return Reply(reply.status, reply.read(), reply.getheaders())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""
