"""Limits the events and the bytes of bodies in memory, and rejects posts beyond that.

A vendor sends a rejected post again, or the sync finds its change. Without a limit, the process
would run out of memory and lose everything it holds.

Bodies are read before anybody knows who sends them. So a body that is not verified yet gives its
place to the next one, the oldest first, and strangers who hold back what they announced shut nobody
out. Verified bodies keep their place until their events are written or failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from helpdesk_assets.receiver.rejections import QueueFull, Rejection

# A body exists in several forms at once; 64 MiB of bodies take a few hundred MiB of memory.
MAX_HELD_BYTES = 64 * 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024
# A vendor sends a megabyte in less time; slower senders only occupy a connection.
BODY_TIMEOUT_SECONDS = 10.0


class Backpressure:
    """The limits and what is held at present; for one thread, the server's event loop."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.events = 0
        self.bytes = 0
        # Those with a body of an unknown sender, in the order in which they began.
        self.unverified: dict[Reservation, None] = {}

    def make_room(self, count: int, for_whom: Reservation) -> None:
        """Evict bodies of unknown senders until `count` bytes fit.

        Raises:
            QueueFull: they do not fit, though all others are verified.
        """
        while self.bytes + count > self.max_bytes:
            oldest = next((each for each in self.unverified if each is not for_whom), None)
            if oldest is None:
                raise QueueFull
            oldest.evict()


class Reservation:
    """What one post holds, from its first byte until its events are written or failed.

    Attributes:
        was_evicted: whether it lost its place before its sender was verified.
    """

    def __init__(self, backpressure: Backpressure) -> None:
        self._backpressure = backpressure
        self._events = 0
        self._bytes = 0
        self._stop_reading: Callable[[], None] = lambda: None
        self.was_evicted = False
        backpressure.unverified[self] = None

    def on_eviction(self, stop_reading: Callable[[], None]) -> None:
        """Set what ends the reading of the body if this loses its place."""
        self._stop_reading = stop_reading

    def reserve_bytes(self, count: int) -> None:
        """Reserve bytes of a body, if need be in the place of others'.

        Raises:
            QueueFull: the limit of bytes is reached by verified bodies, or this one was evicted.
        """
        if self.was_evicted:
            raise QueueFull
        self._backpressure.make_room(count, self)
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

    def verified(self) -> None:
        """Keep the place from now on."""
        self._backpressure.unverified.pop(self, None)

    def evict(self) -> None:
        """Give the place to another, and end the reading."""
        self.was_evicted = True
        self.release()
        self._stop_reading()

    def release(self) -> None:
        """Release everything; a second call has no effect."""
        self._backpressure.unverified.pop(self, None)
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
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS) as limit:
            reservation.on_eviction(lambda: None if limit.expired() else limit.reschedule(0))
            async for chunk in request.stream():
                _reserve(reservation, len(body), len(chunk))
                body += chunk
    except TimeoutError:
        if reservation.was_evicted:
            raise QueueFull from None
        raise Rejection(408, "the body took too long") from None
    except ClientDisconnect:
        raise Rejection(400, "the connection closed before its body was complete") from None
    return bytes(body)


def _reserve(reservation: Reservation, before: int, added: int) -> None:
    if before + added > MAX_BODY_BYTES:
        raise _TooLarge
    reservation.reserve_bytes(added)


class _TooLarge(Rejection):
    def __init__(self) -> None:
        super().__init__(413, f"the body has more than {MAX_BODY_BYTES} bytes")
