"""The right to write tickets, raw_ticket_changes and missed_updates of a dataset: one holder.

BigQuery runs two mutating statements of a table at once, and lets both insert the same key. So
whoever writes takes the lease first, and everybody else waits.

It is taken, renewed and released by compare-and-set on one cell (`LeaseCell`). A holder that gives
no sign of life for `LEASE_TTL` loses it to the next one, who counts that time by his own clock:
clocks of two machines are never compared. A holder that was paused finds out before its next
statement (`check`), and what it has sent already is fenced off by the one who takes over.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from helpdesk_assets.errors import HelpdeskAssetsError, LeaseLost
from helpdesk_assets.model.lease import (
    LEASE_TTL,
    MAX_PREDECESSORS,
    RENEW_EVERY,
    HolderProcess,
    LeaseRecord,
    Predecessor,
)
from helpdesk_assets.warehouse.stores.lease_cell import LeaseCell, StoredLease
from helpdesk_assets.warehouse.stores.lease_waiting import Clocks, Sightings, WaitingLine

log = logging.getLogger(__name__)

# How long a command or a step waits for another writer, unless it says otherwise.
DEFAULT_WAIT = timedelta(minutes=30)
# A statement may take a minute from here to BigQuery, so the last one is sent so long before
# somebody may take over.
TRUSTED_FOR = LEASE_TTL - timedelta(minutes=1)

# Holdings of this process, by nonce. One that is written down and not here has failed to release.
_held_here: set[str] = set()


@dataclass(slots=True)
class _Holding:
    """A lease while it is held.

    `confirmed` is when the last sign of life was sent, by both clocks: the monotonic one stands
    still while a machine sleeps, and the other one may be set back.
    """

    stored: StoredLease
    record: LeaseRecord
    confirmed: tuple[float, datetime]
    thread: threading.Thread
    ended: threading.Event = field(default_factory=threading.Event)
    taken_by: str = ""


class WriterLease:
    """One holder or waiter. It may be held again within; by one thread at a time."""

    def __init__(
        self,
        cell: LeaseCell,
        *,
        sync_name: str,
        fence_off: Callable[[tuple[Predecessor, ...], str], None],
        clocks: Clocks | None = None,
        sightings: Sightings | None = None,
        renew_every: timedelta | None = RENEW_EVERY,
    ) -> None:
        """Bind the lease to its cell. Sends no request.

        Args:
            cell: where it is written down.
            sync_name: whose state row the holder may move.
            fence_off: makes sure that nothing of these earlier holders is written any more; the
                second argument is the run on whose behalf.
            clocks: time and chance.
            sightings: what was seen of other holders; None: nothing yet.
            renew_every: how often a thread renews it; None: whoever holds it does.
        """
        self._cell = cell
        self._sync_name = sync_name
        self._fence_off = fence_off
        self._clocks = clocks or Clocks()
        self._renew_every = renew_every
        self._lock = threading.Lock()
        self._holding: _Holding | None = None
        self._sightings = sightings or Sightings()

    @property
    def is_held(self) -> bool:
        """Whether this object holds it, or believes so."""
        return self._holding is not None

    def writer(self) -> LeaseRecord | None:
        """Return who holds it now; None: nobody."""
        record = self._cell.read().record
        return None if record is None or record.released else record

    @contextmanager
    def hold(self, purpose: str, *, run_id: str, wait: timedelta | None = None) -> Iterator[None]:
        """Hold it inside the block. A block within a block changes nothing.

        Args:
            purpose: what is written, for those who wait: `sync`, `repair` and so on.
            run_id: on whose behalf.
            wait: how long another writer is waited for; None: `DEFAULT_WAIT`.

        Raises:
            WriterBusy: it was not free in time.
        """
        if self._holding is not None:
            self._expect_own_thread(self._holding)
            yield
            return
        holding = self._take(purpose, run_id, DEFAULT_WAIT if wait is None else wait)
        try:
            # Not released if this fails: whoever comes next has to fence them off.
            self._begin(holding)
            self._fence_off_predecessors(holding)
            try:
                yield
            finally:
                self._end(holding)
                self._release(holding)
        finally:
            # Whatever interrupts the above: this process must not wait for itself.
            self._end(holding)
            _held_here.discard(holding.record.nonce)

    def check(self) -> None:
        """Make sure that it is held, before something is written.

        Raises:
            RuntimeError: nobody took it, which is a fault of the program.
            LeaseLost: somebody has taken it over.
            HelpdeskAssetsError: nobody can say, since BigQuery does not answer.
        """
        holding = self._holding
        if holding is None:
            raise RuntimeError("Tickets are written without the lease: take `lease` around it.")
        if holding.taken_by or self._age(holding) >= TRUSTED_FOR:
            self.renew()

    def renew(self) -> None:
        """Give a sign of life.

        Raises:
            LeaseLost: somebody has taken it over.
        """
        holding = self._holding
        if holding is None:
            return
        with self._lock:
            # Its end may have come while this waited for the lock.
            if not holding.taken_by and not holding.ended.is_set():
                sent, renewals = self._moment(), holding.record.renewals + 1
                if self._write(holding, replace(holding.record, renewals=renewals)):
                    holding.confirmed = sent
        if holding.taken_by:
            raise self._lost(holding)

    def _lost(self, holding: _Holding) -> LeaseLost:
        return LeaseLost(
            f"Writing for {holding.record.holder}: it gave no sign of life for "
            f"{LEASE_TTL.seconds} s, and {holding.taken_by} writes instead. The watermark was not "
            "moved and nothing is lost; run it again."
        )

    def _expect_own_thread(self, holding: _Holding) -> None:
        if holding.thread is not threading.current_thread():
            raise RuntimeError("Two threads write through one warehouse: each needs its own.")

    # Taking it

    def _take(self, purpose: str, run_id: str, wait: timedelta) -> _Holding:
        nonce, process = secrets.token_hex(8), HolderProcess.current()
        record = LeaseRecord(nonce, purpose, run_id, self._sync_name, process, self._clocks.now())
        # Before it is written down: other threads may read it at once.
        _held_here.add(nonce)
        try:
            return self._take_as(record, WaitingLine(self._clocks, wait))
        except BaseException:
            _held_here.discard(nonce)
            raise

    def _take_as(self, record: LeaseRecord, queue: WaitingLine) -> _Holding:
        sent = self._moment()
        while True:
            stored = self._cell.read()
            found = stored.record
            if found is not None and found.nonce == record.nonce:
                # The answer to the write that took it was lost.
                return _Holding(stored, found, sent, threading.current_thread())
            if found is not None and not found.released and not self._is_gone(found):
                queue.wait_for(found)
                continue
            sent = self._moment()
            record = replace(record, since=sent[1], predecessors=_predecessors(found))
            if written := self._cell.write(record, stored.tag):
                return _Holding(written, record, sent, threading.current_thread())

    def _is_gone(self, found: LeaseRecord) -> bool:
        """Return whether the holder has ended, or has given no sign of life for too long."""
        here, process = HolderProcess.current(), found.process
        if process.token == here.token:
            return found.nonce not in _held_here
        if process.has_ended(here):
            return True
        return self._sightings.silence(found, self._clocks.monotonic()) >= LEASE_TTL

    def _begin(self, holding: _Holding) -> None:
        self._holding = holding
        if self._renew_every is not None:
            threading.Thread(
                target=self._keep, args=(holding,), name="writer lease", daemon=True
            ).start()

    def _fence_off_predecessors(self, holding: _Holding) -> None:
        gone = holding.record.predecessors
        if not gone:
            return
        log.warning(
            "Taking over the right to write from run %s, which gave no sign of life.",
            ", ".join(each.run_id for each in gone),
        )
        self._fence_off(gone, holding.record.run_id)
        with self._lock:
            holding.record = replace(holding.record, predecessors=())

    # Keeping it

    def _keep(self, holding: _Holding) -> None:
        """Renew it until it ends, or the thread that took it does."""
        pause = (self._renew_every or RENEW_EVERY).total_seconds()
        while not holding.ended.wait(pause) and holding.thread.is_alive():
            try:
                self.renew()
            except LeaseLost as error:
                log.warning("%s", error)
                return
            except HelpdeskAssetsError as error:
                log.info("The right to write could not be renewed; trying again. %s", error)

    def _moment(self) -> tuple[float, datetime]:
        return self._clocks.monotonic(), self._clocks.now()

    def _age(self, holding: _Holding) -> timedelta:
        monotonic, now = holding.confirmed
        ours = timedelta(seconds=self._clocks.monotonic() - monotonic)
        return max(ours, self._clocks.now() - now)

    def _write(self, holding: _Holding, record: LeaseRecord) -> bool:
        """Write the holding's record; False, and `taken_by` says who, if it is another's."""
        while (written := self._cell.write(record, holding.stored.tag)) is None:
            # The answer to the last write was lost, or somebody has labelled or dropped the table.
            holding.stored = self._cell.read()
            found = holding.stored.record
            if found is not None and found.nonce != record.nonce:
                holding.taken_by = found.holder
                return False
        holding.stored, holding.record = written, record
        return True

    # Giving it back

    def _end(self, holding: _Holding) -> None:
        if self._holding is holding:
            self._holding = None
        holding.ended.set()

    def _release(self, holding: _Holding) -> None:
        """Say that it is free. A failure only warns: what was written stays written."""
        if holding.taken_by:
            return
        try:
            with self._lock:
                is_own = self._write(holding, replace(holding.record, released=True))
        except HelpdeskAssetsError as error:
            log.warning(
                "The right to write could not be given back, so the next writer on another "
                "machine waits for %d s. %s",
                LEASE_TTL.seconds,
                error,
            )
            return
        if not is_own:
            log.warning("%s", self._lost(holding))


def _predecessors(found: LeaseRecord | None) -> tuple[Predecessor, ...]:
    if found is None or found.released:
        return ()
    gone = Predecessor(found.run_id, found.sync_name)
    return (*found.predecessors, gone)[-MAX_PREDECESSORS:]
