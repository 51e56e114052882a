"""An HTTP server that receives alerts, and that can refuse them, fail or be down."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

TOKEN = "a-hook-that-nobody-may-see"


@dataclass(frozen=True, slots=True)
class ReceivedAlert:
    """One message that was accepted."""

    title: str
    body: str
    level: str

    @property
    def headline(self) -> str:
        return self.body.splitlines()[0]

    @property
    def reference(self) -> str:
        return self.body.splitlines()[-1]


class AlertServer:
    """A server that answers with `status`: a number, or a function of the title.

    Only messages answered with 2xx count as received. After `stop`, the port refuses connections
    until `start`.
    """

    def __init__(self) -> None:
        self.status: int | Callable[[str], int] = 200
        self.received: list[ReceivedAlert] = []
        self.rejected: list[str] = []
        self.heartbeats: list[str] = []
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def alert_url(self) -> str:
        return f"json://{self.address}/{TOKEN}"

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.received]

    @property
    def headlines(self) -> list[str]:
        return [message.headline for message in self.received]

    def start(self) -> None:
        alert_server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                payload = json.loads(self.rfile.read(length))
                message = ReceivedAlert(payload["title"], payload["message"], payload["type"])
                status = alert_server.answer(message.title)
                if status < 300:
                    alert_server.received.append(message)
                else:
                    alert_server.rejected.append(message.title)
                self._end(status)

            def do_GET(self) -> None:
                alert_server.heartbeats.append(self.path)
                self._end(alert_server.answer(""))

            def _end(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, title: str) -> int:
        return self.status(title) if callable(self.status) else self.status

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
