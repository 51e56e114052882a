"""Reads HTTP with bounds on the size of headers and on the time of a request.

uvicorn's h11 protocol bounds neither how long a client takes for its headers, nor how long it goes
on sending after its answer, nor how many headers fit into one read. The parser for httptools, which
uvicorn prefers, has no bound at all.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from helpdesk_assets.receiver.connections import OpenConnections
from helpdesk_assets.receiver.stats import ReceiverStats

# Zoho's token may have 8 KiB; no vendor's headers come near this.
MAX_HEADER_BYTES = 32 * 1024
# For the headers of a request, counted from the connection's start or the answer before.
HEADER_SECONDS = 10.0
# For a request from its headers to the end of its answer; longer than any vendor waits.
REQUEST_SECONDS = 60.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


def bounded_protocol(connections: OpenConnections, stats: ReceiverStats) -> type[asyncio.Protocol]:
    """Return the protocol of a server that counts its connections and rejections there."""

    class Bounded(_BoundedProtocol):
        _open = connections
        _stats = stats

    return Bounded


class _BoundedProtocol(H11Protocol):
    _open: OpenConnections
    _stats: ReceiverStats
    _deadline: asyncio.TimerHandle | None = None
    _in_request = False

    @property
    def is_verified(self) -> bool:
        """See `OpenConnection.is_verified`."""
        return self._in_request and bool(self.scope["state"].get("verified"))

    def abort(self) -> None:
        """See `OpenConnection.abort`."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or answer 503 if there is no place for it."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if self._open.admit(self):
            self._expect(HEADER_SECONDS)
        else:
            self._stats.record_rejection(503, "connections")
            self.transport.write(_FULL)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_clock()
        self._open.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read in pieces, since the bound on headers counts only what one piece left unread."""
        for start in range(0, len(data), MAX_HEADER_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + MAX_HEADER_BYTES])

    def handle_events(self) -> None:
        """Read what has arrived, and give a request that begins its time."""
        super().handle_events()
        has_request = self.cycle is not None and not self.cycle.response_complete
        if has_request and not self._in_request:
            self._in_request = True
            self._expect(REQUEST_SECONDS)

    def on_response_complete(self) -> None:
        """Give the next request its time; also what a client still sends of this one counts."""
        self._in_request = False
        self._open.waits_again(self)
        self._expect(HEADER_SECONDS)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or has too long headers, and count it."""
        self._stats.record_rejection(400, "not HTTP")
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _expect(self, seconds: float) -> None:
        self._stop_clock()
        if not self.transport.is_closing():
            self._deadline = self.loop.call_later(seconds, self._time_out)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _time_out(self) -> None:
        self._open.timed_out += 1
        self.transport.abort()
