"""Run the simulated helpdesk in the foreground, or in a background thread of a test."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

import requests
import uvicorn

from helpdesk_assets.http_server import Server, listen
from helpdesk_assets.local.simulator.admin_client import AdminClient
from helpdesk_assets.local.simulator.app import build_app
from helpdesk_assets.local.simulator.dialects import id_maker
from helpdesk_assets.local.simulator.helpdesk import HelpdeskBackend
from helpdesk_assets.local.simulator.journal import Journal

DEFAULT_TOKEN = "local-demo-token"  # noqa: S105 - gives access to nothing real
_START_SECONDS = 30.0
# When the server stops, calls that the fault `latency` delays are aborted after this time.
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
    journal: Path | None = None,
) -> None:
    """Run the simulated helpdesk until interrupted.

    Args:
        host: address to listen on.
        port: port to listen on; 0 for a free one.
        tickets: number of initial tickets.
        seed: equal seeds and starts give equal tickets, byte for byte.
        token: token that calls of the vendor's API must carry.
        announce: called with the base URL once the server answers.
        start: initial time of the helpdesk's clock; default: real time.
        history_until: end of the initial tickets' history; default: the clock's start.
        dialect: name of the provider whose API it has.
        webhooks: `url` and `secret` for webhooks; default: none are sent.
        journal: the file that keeps changes for the next start; default: they are forgotten.

    Raises:
        OSError: the address is not available.
        SettingsError: the journal belongs to a helpdesk that began with other tickets.
    """
    with listen(host, port) as listener:
        kept = None
        if journal is not None:
            until = history_until.isoformat() if history_until else None
            origin = {
                "dialect": dialect,
                "tickets": tickets,
                "seed": seed,
                "history_until": until,
            }
            kept = Journal(journal, origin)
        backend = HelpdeskBackend(
            tickets,
            seed,
            start,
            history_until=history_until,
            journal=kept,
            make_id=id_maker(dialect),
        )
        config = _config(backend, token, dialect, webhooks)
        url = _url(listener)
        server = Server(config, lambda: announce(url) if announce else None)
        # uvicorn raises the interrupt again after an orderly shutdown.
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


class SimulatedHelpdesk(AdminClient):
    """A simulated helpdesk in a background thread, on the loopback.

    A context manager that starts and stops it, and the client of its admin API.
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
        friendly: Iterable[str] = (),
    ) -> None:
        """Bind the port; `start` runs the server.

        Args:
            tickets: number of initial tickets.
            seed: equal seeds and starts give equal tickets, byte for byte.
            token: token that calls of the vendor's API must carry.
            start: initial time of the helpdesk's clock; default: real time.
            frozen: stop the clock at `start`.
            port: port to listen on; 0 for a free one.
            dialect: name of the provider whose API it has.
            cap: number of rows that one query can reach; default: the vendor's documented limit.
            friendly: keys of the unverified facts that begin with the friendly answer.
        """
        self.token = token
        backend = HelpdeskBackend(
            tickets, seed, start, frozen, cap=cap, friendly=friendly, make_id=id_maker(dialect)
        )
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
        """Start the server, and return once it answers."""
        self._thread.start()
        try:
            # The port already listens, so the call waits there until the server accepts it.
            self._session.get(f"{self.base_url}/healthz", timeout=_START_SECONDS)
        except requests.RequestException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and free the port, also if it was never started."""
        self.close()
        self._server.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(
    backend: HelpdeskBackend, token: str, dialect: str, webhooks: Mapping[str, str] | None = None
) -> uvicorn.Config:
    """Return the server's configuration, independent of optional packages of uvicorn."""
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
        # Long enough for a client that pauses between two calls: a connection closed meanwhile
        # would be a fault that nobody activated.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


def _is_unexpected_error(record: logging.LogRecord) -> bool:
    """Return False for the errors that uvicorn logs because of two faults.

    `drop_connection` leaves an answer incomplete, and a call that `latency` delays is aborted when
    the server stops.
    """
    message = record.getMessage()
    is_aborted = record.exc_info is not None and isinstance(
        record.exc_info[1], asyncio.CancelledError
    )
    return not (
        is_aborted
        or "without completing response" in message
        or "timeout graceful shutdown exceeded" in message
    )
