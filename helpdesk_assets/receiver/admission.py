"""How much may be held at a time, in events and in bytes of bodies: beyond it, posts are refused.

What is refused is sent again by its vendor or found by the sync; what is held without bound ends
the process, and with it all that it holds.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from helpdesk_assets.receiver.rejections import QueueFull, Rejection

# A body is held in a few forms at once; 64 MiB of them are some hundred in memory.
MAX_HELD_BYTES = 64 * 1024 * 1024


class Backpressure:
    """Made for one thread, the server's event loop."""

    def __init__(self, max_events: int, max_bytes: int = MAX_HELD_BYTES) -> None:
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.events = 0
        self.bytes = 0


class Reservation:
    """What one post takes up of the room, from its first byte until its events are done with."""

    def __init__(self, backpressure: Backpressure) -> None:
        self._backpressure = backpressure
        self._events = 0
        self._bytes = 0

    def reserve_bytes(self, count: int) -> None:
        """
        Raises:
            Full: as many are held already.
        """
        if self._backpressure.bytes + count > self._backpressure.max_bytes:
            raise QueueFull
        self._backpressure.bytes += count
        self._bytes += count

    def reserve_events(self, count: int) -> None:
        """A post with more events than there is room for at all is taken alone.

        Raises:
            Full: as many are held already.
        """
        if (
            self._backpressure.events
            and self._backpressure.events + count > self._backpressure.max_events
        ):
            raise QueueFull
        self._backpressure.events += count
        self._events += count

    def release(self) -> None:
        """Give all of it back; a second time gives back nothing."""
        self._backpressure.events -= self._events
        self._backpressure.bytes -= self._bytes
        self._events = self._bytes = 0


MAX_BODY_BYTES = 1024 * 1024
# A vendor sends a megabyte in less; whoever takes longer wants to hold a place.
BODY_TIMEOUT_SECONDS = 10.0


async def read_body(request: Request, reservation: Reservation) -> bytes:
    """The body, with room taken for it as it comes.

    Raises:
        Refusal: 413 over 1 MiB, 408 too slow, 400 broken off, or 503 where too much is held.
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
        raise Rejection(400, "the body was broken off") from None
    return bytes(body)


def _reserve(reservation: Reservation, before: int, added: int) -> None:
    if before + added > MAX_BODY_BYTES:
        raise _TooLarge
    reservation.reserve_bytes(added)


class _TooLarge(Rejection):
    def __init__(self) -> None:
        super().__init__(413, f"the body has more than {MAX_BODY_BYTES} bytes")
