"""Keeps verified events that could not be stored, by name, so that a person can replay them.

Only a verified post gets this far, so no stranger can fill the table. While the warehouse does not
answer, the newest `MAX_WAITING` wait in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from helpdesk_assets.errors import HelpdeskAssetsError

log = logging.getLogger(__name__)

MAX_WAITING = 1000
MAX_REASON_CHARS = 500
# A vendor that sends an event again is refused again, for the same reason.
MAX_REMEMBERED = 10_000
# Refusals come in crowds, and nobody waits for them.
WRITE_AFTER_SECONDS = 10.0
# A stop waits for the last write; platforms kill a process soon after.
STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that was not stored, or a verified post that could not be read.

    Attributes:
        received_at: when its post arrived, by the receiver's clock.
        helpdesk: the provider's name.
        status: the HTTP status of the answer.
        reason: why, for a person.
        ticket_id: the ticket, None if the post does not name one.
        event_id: the vendor's id of the event, if it has one.
        type: the vendor's name for the kind of event, if the post says.
    """

    received_at: datetime
    helpdesk: str
    status: int
    reason: str
    ticket_id: str | None = None
    event_id: str | None = None
    type: str | None = None

    @property
    def refusal_id(self) -> str:
        """The same each time an event is sent again and refused for the same reason."""
        parts = (self.helpdesk, self.ticket_id, self.event_id, self.type, self.status, self.reason)
        digest = hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16)
        return digest.hexdigest()

    def row(self) -> dict[str, Any]:
        """Return the refusal as a row of webhook_refusals."""
        return {
            "refusal_id": self.refusal_id,
            "ticket_id": self.ticket_id,
            "event_id": self.event_id,
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "received_at": self.received_at,
            "helpdesk": self.helpdesk,
        }


class RefusalSink(Protocol):
    """Where refusals are appended; called in a thread."""

    def append_refusals(self, refusals: Sequence[Refusal]) -> None:
        """Append refusals."""
        ...


class RefusalLog:
    """Collects refusals and writes them in the background; for one event loop."""

    def __init__(self, sink: RefusalSink, *, write_after: float = WRITE_AFTER_SECONDS) -> None:
        """Start empty.

        Args:
            sink: writes the refusals.
            write_after: seconds to collect more before a write.
        """
        self._sink = sink
        self._write_after = write_after
        self._waiting: dict[str, Refusal] = {}
        self._written: dict[str, None] = {}
        self._has_waiting = asyncio.Event()
        self._is_failing = False
        self.recorded = 0
        self.dropped = 0

    def add(self, refusal: Refusal) -> None:
        """Keep a refusal; the oldest gives way if too many wait."""
        self.recorded += 1
        if refusal.refusal_id in self._written:
            return
        self._waiting.setdefault(refusal.refusal_id, refusal)
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.dropped += 1
        self._has_waiting.set()

    async def run(self) -> None:
        """Write what is collected, until cancelled."""
        while True:
            await self._has_waiting.wait()
            await asyncio.sleep(self._write_after)
            await self._write()

    async def stop(self) -> None:
        """Try to write what still waits."""
        if self._waiting:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._write(), STOP_SECONDS)

    def describe(self) -> dict[str, int]:
        """Return the counts for `/healthz`."""
        return {
            "recorded": self.recorded,
            "waiting": len(self._waiting),
            "dropped": self.dropped,
        }

    async def _write(self) -> None:
        batch = dict(self._waiting)
        try:
            await asyncio.to_thread(self._sink.append_refusals, list(batch.values()))
        except HelpdeskAssetsError as error:
            if not self._is_failing:
                log.warning("Refused events cannot be recorded yet. %s", error)
            self._is_failing = True
            return
        self._is_failing = False
        for refusal_id in batch:
            self._waiting.pop(refusal_id, None)
            self._written[refusal_id] = None
        while len(self._written) > MAX_REMEMBERED:
            del self._written[next(iter(self._written))]
        if not self._waiting:
            self._has_waiting.clear()
