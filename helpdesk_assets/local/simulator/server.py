"""Running the simulated helpdesk: as a process of its own, or behind a test in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Self

import requests
import uvicorn

from helpdesk_assets.http_server import Server, listen
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.local.simulator.app import build_app
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend

DEFAULT_TOKEN = "local-demo-token"  # noqa: S105 - opens no door to anything real
_START_SECONDS = 30.0
# Calls still waiting (the fault `latency`) are given up after this when the server stops.
_STOP_SECONDS = 1


def serve(
    host: str,
    port: int,
    tickets: int,
    seed: int,
    token: str = DEFAULT_TOKEN,
    announce: Callable[[str], None] | None = None,
    start: datetime | None = None,
    history_until: datetime | None = None,
    dialect: str = "rest",
    webhooks: Mapping[str, str] | None = None,
) -> None:
    """Run until interrupted.

    Args:
        host: address to listen on.
        port: 0 for a free one.
        tickets: how many there are at first.
        seed: equal seeds and starts give equal tickets, byte for byte.
        token: what production calls must carry.
        announce: told the base URL once calls are answered.
        start: what the helpdesk's clock shows at first; real time when not given.
        history_until: where the tickets' made-up past ends; at the clock's start when not given.
        dialect: the provider whose API it speaks.
        webhooks: `url` and `secret` of who is told of changes; nobody when not given.

    Raises:
        OSError: the address cannot be listened on.
    """
    with listen(host, port) as listener:
        backend = HelpdeskBackend(tickets, seed, start, history_until=history_until)
        config = _config(backend, token, dialect, webhooks)
        url = _url(listener)
        server = Server(config, lambda: announce(url) if announce else None)
        # uvicorn has shut down in order by the time it passes the interrupt on.
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


class SimulatedHelpdesk(AdminClient):
    """A helpdesk in a background thread, on a free port of the loopback.

    Use it as a context manager; it is at once the control of what it runs.
    """

    def __init__(
        self,
        tickets: int = 200,
        seed: int = 7,
        token: str = DEFAULT_TOKEN,
        start: datetime | None = None,
        frozen: bool = False,
        port: int = 0,
        dialect: str = "rest",
        cap: int | None = None,
    ) -> None:
        """
        Args:
            tickets: how many there are at first.
            seed: equal seeds and starts give equal tickets, byte for byte.
            token: what production calls must carry.
            start: what the helpdesk's clock shows at first; real time when not given.
            frozen: let the clock stand still until it is moved.
            port: 0 for a free one.
            dialect: the provider whose API it speaks.
            cap: rows that one query may reach, where that is not to be what the vendor documents.
        """
        self.token = token
        backend = HelpdeskBackend(tickets, seed, start, frozen, cap=cap)
        self._server = Server(_config(backend, token, dialect))
        self._listener = listen("127.0.0.1", port)
        super().__init__(_url(self._listener))
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._listener]},
            name="simulated-helpdesk",
            daemon=True,
        )

    def accept_token(self, token: str) -> None:
        """See `AdminClient.accept_token`."""
        super().accept_token(token)
        self.token = token

    def start(self) -> Self:
        """Run it, and return once it answers."""
        self._thread.start()
        try:
            # The port listens already: the call waits in its queue until the server takes it.
            self._session.get(f"{self.base_url}/healthz", timeout=_START_SECONDS)
        except requests.RequestException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it and give everything back; harmless when it was never started."""
        self.close()
        self._server.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(
    backend: HelpdeskBackend, token: str, dialect: str, webhooks: Mapping[str, str] | None = None
) -> uvicorn.Config:
    """The same plain server wherever it runs, whatever else is installed beside it."""
    logging.getLogger("uvicorn.error").addFilter(_is_unexpected_error)
    return uvicorn.Config(
        build_app(backend, token, dialect, webhooks),
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        # A client that thinks for a while between two calls must not find its connection gone:
        # closing it at that moment would be a fault that nobody switched on.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


def _is_unexpected_error(record: logging.LogRecord) -> bool:
    """uvicorn calls an error what two faults do on purpose: `drop_connection` leaves its answer
    incomplete, and a call that `latency` holds back is given up when the server stops."""
    message = record.getMessage()
    given_up = record.exc_info is not None and isinstance(
        record.exc_info[1], asyncio.CancelledError
    )
    return not (
        given_up
        or "without completing response" in message
        or "timeout graceful shutdown exceeded" in message
    )
