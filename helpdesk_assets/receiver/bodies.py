"""Reads a request's body without believing what it says of its length: counted as it comes, given
up when it is too large, and when it takes too long.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from helpdesk_assets.receiver.refusals import Refusal
from helpdesk_assets.receiver.room import Hold

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
