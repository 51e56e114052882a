"""How much may be held at a time, in events and in bytes of bodies: beyond it, posts are refused.

What is refused is sent again by its vendor or found by the sync; what is held without bound ends
the process, and with it all that it holds.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from helpdesk_assets.receiver.rejections import Full, Refusal

# A body is held in a few forms at once; 64 MiB of them are some hundred in memory.
MOST_BYTES = 64 * 1024 * 1024


class Room:
    """Made for one thread, the server's event loop."""

    def __init__(self, most_events: int, most_bytes: int = MOST_BYTES) -> None:
        self.most_events = most_events
        self.most_bytes = most_bytes
        self.events = 0
        self.bytes = 0


class Hold:
    """What one post takes up of the room, from its first byte until its events are done with."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._events = 0
        self._bytes = 0

    def take_bytes(self, count: int) -> None:
        """
        Raises:
            Full: as many are held already.
        """
        if self._room.bytes + count > self._room.most_bytes:
            raise Full
        self._room.bytes += count
        self._bytes += count

    def take_events(self, count: int) -> None:
        """A post with more events than there is room for at all is taken alone.

        Raises:
            Full: as many are held already.
        """
        if self._room.events and self._room.events + count > self._room.most_events:
            raise Full
        self._room.events += count
        self._events += count

    def release(self) -> None:
        """Give all of it back; a second time gives back nothing."""
        self._room.events -= self._events
        self._room.bytes -= self._bytes
        self._events = self._bytes = 0


MOST_BYTES = 1024 * 1024
# A vendor sends a megabyte in less; whoever takes longer wants to hold a place.
READ_SECONDS = 10.0


async def read_body(request: Request, hold: Hold) -> bytes:
    """The body, with room taken for it as it comes.

    Raises:
        Refusal: 413 over 1 MiB, 408 too slow, 400 broken off, or 503 where too much is held.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MOST_BYTES:
        raise _TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                _make_room(hold, len(body), len(chunk))
                body += chunk
    except TimeoutError:
        raise Refusal(408, "the body took too long") from None
    except ClientDisconnect:
        raise Refusal(400, "the body was broken off") from None
    return bytes(body)


def _make_room(hold: Hold, before: int, more: int) -> None:
    if before + more > MOST_BYTES:
        raise _TooLarge
    hold.take_bytes(more)


class _TooLarge(Refusal):
    def __init__(self) -> None:
        super().__init__(413, f"the body has more than {MOST_BYTES} bytes")
