"""Limits the events and the bytes of bodies in memory, and rejects posts beyond that.

A vendor sends a rejected post again, or the sync finds its change. Without a limit, the process
would run out of memory and lose everything it holds.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from helpdesk_assets.receiver.rejections import QueueFull, Rejection

# A body exists in several forms at once; 64 MiB of bodies take a few hundred MiB of memory.
MAX_HELD_BYTES = 64 * 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024
# A vendor sends a megabyte in less time; slower senders only occupy a connection.
BODY_TIMEOUT_SECONDS = 10.0


class Backpressure:
    """The limits and what is held at present; for one thread, the server's event loop."""

    def __init__(self, max_events: int, max_bytes: int = MAX_HELD_BYTES) -> None:
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.events = 0
        self.bytes = 0


class Reservation:
    """What one post holds, from its first byte until its events are written or failed."""

    def __init__(self, backpressure: Backpressure) -> None:
        self._backpressure = backpressure
        self._events = 0
        self._bytes = 0

    def reserve_bytes(self, count: int) -> None:
        """Reserve bytes of a body.

        Raises:
            QueueFull: the limit of bytes is reached.
        """
        if self._backpressure.bytes + count > self._backpressure.max_bytes:
            raise QueueFull
        self._backpressure.bytes += count
        self._bytes += count

    def reserve_events(self, count: int) -> None:
        """Reserve events; a post with more events than the limit is accepted if nothing is held.

        Raises:
            QueueFull: the limit of events is reached.
        """
        if (
            self._backpressure.events
            and self._backpressure.events + count > self._backpressure.max_events
        ):
            raise QueueFull
        self._backpressure.events += count
        self._events += count

    def release(self) -> None:
        """Release everything; a second call has no effect."""
        self._backpressure.events -= self._events
        self._backpressure.bytes -= self._bytes
        self._events = self._bytes = 0


async def read_body(request: Request, reservation: Reservation) -> bytes:
    """Read a body, reserving its bytes as they arrive.

    Raises:
        Rejection: 413 for more than 1 MiB, 408 if it is too slow, 400 if the sender disconnects,
            or 503 if too much is held.
    """
    content_length = request.headers.get("content-length", "")
    if content_length.isdecimal() and int(content_length) > MAX_BODY_BYTES:
        raise _TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                _reserve(reservation, len(body), len(chunk))
                body += chunk
    except TimeoutError:
        raise Rejection(408, "the body took too long") from None
    except ClientDisconnect:
        raise Rejection(400, "the connection closed before the body was complete") from None
    return bytes(body)


def _reserve(reservation: Reservation, before: int, added: int) -> None:
    if before + added > MAX_BODY_BYTES:
        raise _TooLarge
    reservation.reserve_bytes(added)


class _TooLarge(Rejection):
    def __init__(self) -> None:
        super().__init__(413, f"the body has more than {MAX_BODY_BYTES} bytes")
