"""A tiny HTTP server that returns exactly the given answers, byte for byte if need be."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, count, repeat

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    path: str
    authorization: str | None
    cookie: str | None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    body: bytes = b""


@dataclass(slots=True)
class CannedResponse:
    """One answer. `Content-Length` is the body's unless `headers` say otherwise.

    With `raw`, these pieces are sent instead of all else, up to the end of the connection.
    """

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str | None] = field(default_factory=dict)
    raw: Iterable[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Loopback:
    url: str
    seen: list[ReceivedRequest]


def on_request(_: ReceivedRequest) -> None:
    """Do nothing; fixtures replace this to see every request."""


class _Server(ThreadingHTTPServer):
    """A server that ignores clients that disconnect, as they do after a bad certificate."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


Respond = Callable[[ReceivedRequest], CannedResponse | None]


@contextmanager
def loopback(respond: Respond, *, tls: ssl.SSLContext | None = None) -> Iterator[Loopback]:
    """Serve inside the block; if `respond` returns None, drop the connection."""
    seen: list[ReceivedRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = self.headers
            body = self.rfile.read(int(headers["Content-Length"] or 0))
            credentials = headers["Authorization"], headers["Cookie"]
            asked = ReceivedRequest(self.path, *credentials, self.command, dict(headers), body)
            seen.append(asked)
            on_request(asked)
            said = respond(asked)
            if said is None:
                return
            if said.raw is not None:
                for piece in said.raw:
                    self.wfile.write(piece)
                self.close_connection = True
                return
            out = {"Date": DATE, "Content-Length": str(len(said.body)), **said.headers}
            self.send_response_only(said.status)
            for name, value in out.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *args: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            scheme = "http" if tls is None else "https"
            yield Loopback(f"{scheme}://127.0.0.1:{server.server_port}", seen)
        finally:
            server.shutdown()
            thread.join()


def dripping(head: bytes, drop: bytes) -> Respond:
    """Send the head, and then bytes for ever."""
    return lambda _: CannedResponse(raw=chain([head], repeat(drop)))


class DripClock:
    """A clock of which each look takes a while, so that bytes that come at once come slowly."""

    def __init__(self, step: float) -> None:
        self._seconds = count(step=step)

    def __call__(self) -> float:
        return float(next(self._seconds))
