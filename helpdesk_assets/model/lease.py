"""The lease of a dataset: who writes its tickets now, as text that every process can read.

Values only: who may take it, and when, is `warehouse.stores.writer_lease`'s.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Self

import msgspec

from helpdesk_assets.formatting import format_duration
from helpdesk_assets.naming import short_run_id

# Without a sign of life for so long, a holder counts as gone.
LEASE_TTL = timedelta(seconds=120)
RENEW_EVERY = timedelta(seconds=30)
# Each holder that cannot fence off its predecessors joins them, and BigQuery takes descriptions of
# at most 16,384 characters. A job of one before these has ended by its own time limit, or soon.
MAX_PREDECESSORS = 50

_RANDOM = secrets.token_hex(8)
_ENDED = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class HolderProcess:
    """A process, as others can tell it from all others.

    Attributes:
        host: the machine's name, for people.
        pid: its id, which another one gets later.
        token: a random number of its own.
        boot: which start of which machine; empty where that is not known.
        namespace: in which numbering its id counts.
        started: when it began, in ticks since the machine's start.
    """

    host: str
    pid: int
    token: str
    boot: str = ""
    namespace: str = ""
    started: str = ""

    @classmethod
    def current(cls) -> Self:
        """Return this process."""
        pid = os.getpid()
        # A forked child has its parent's random number, but not its id.
        return cls(
            socket.gethostname(),
            pid,
            f"{_RANDOM}{pid}",
            _text(Path("/proc/sys/kernel/random/boot_id")),
            _link(Path("/proc/self/ns/pid")),
            _stat(pid)[1],
        )

    def has_ended(self, here: HolderProcess) -> bool:
        """Return whether it provably runs no longer, as only its own machine can tell.

        Args:
            here: the process that asks.
        """
        own, its = ((each.host, each.boot, each.namespace) for each in (here, self))
        if own != its or not all(own) or not self.started:
            return False
        state, started = _stat(self.pid)
        if not state:
            return not _is_used(self.pid)
        return state in _ENDED or started != self.started


def _stat(pid: int) -> tuple[str, str]:
    """Return a process's state and start, both empty if there is none."""
    # The program's name is in brackets, and may have brackets and spaces of its own.
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _is_used(pid: int) -> bool:
    """Return whether any process has this id; /proc may hide those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return ""


def _link(path: Path) -> str:
    with suppress(OSError):
        return str(path.readlink())
    return ""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """A holder that went without a word, and whose writes may still be on their way."""

    run_id: str
    sync_name: str


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """One holding of the lease, as it is written down.

    Attributes:
        nonce: a random number of this holding alone.
        purpose: what is written, such as `sync`.
        run_id: on whose behalf.
        sync_name: whose state row the holder may move.
        process: the holder.
        since: when it began, by the holder's clock.
        renewals: signs of life so far.
        released: the holder has finished.
        predecessors: holders that it took the lease from, until they are fenced off.
    """

    nonce: str
    purpose: str
    run_id: str
    sync_name: str
    process: HolderProcess
    since: Annotated[datetime, msgspec.Meta(tz=True)]
    renewals: int = 0
    released: bool = False
    predecessors: tuple[Predecessor, ...] = ()

    def to_text(self) -> str:
        """Return the record as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_text(cls, text: str | None) -> Self | None:
        """Read what `to_text` wrote; None for anything else, which nobody holds."""
        try:
            return msgspec.json.decode(text or "", type=cls)
        except (msgspec.DecodeError, UnicodeError):
            return None

    @property
    def holder(self) -> str:
        """`sync run 1a2b3c4d on HOST (pid 123)`."""
        process = self.process
        run = short_run_id(self.run_id)
        return f"{self.purpose} run {run} on {process.host} (pid {process.pid})"

    def describe(self, now: datetime) -> str:
        """`sync run 1a2b3c4d on HOST (pid 123), which has been writing for 12 s`."""
        duration = max(now - self.since, timedelta(0))
        return f"{self.holder}, which has been writing for {format_duration(duration)}"
