"""The helpdesk behind the HTTP endpoints: its clock, its tickets, and changes to them.

The vendor's API and the admin API share one `HelpdeskBackend`, in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from helpdesk_assets.local.simulator.call_counters import CallCounters
from helpdesk_assets.local.simulator.clock import SimulatedClock
from helpdesk_assets.local.simulator.fact_switches import FactSwitches
from helpdesk_assets.local.simulator.fault_registry import FaultRegistry, RateWindow
from helpdesk_assets.local.simulator.journal import Journal
from helpdesk_assets.local.simulator.seeded_random import SeededRandom
from helpdesk_assets.local.simulator.ticket_factory import (
    Json,
    MakeId,
    TicketVersion,
    body,
    population,
    raw_ticket,
    ticket_id,
)
from helpdesk_assets.local.simulator.ticket_store import TicketStore

# About 250 MB of tickets.
_MAX_CACHED_TICKETS = 60_000


class RemovalKind(StrEnum):
    """The ways in which a ticket leaves the lists."""

    DELETED = "deleted"
    SPAM = "spam"
    MERGED = "merged"


class Removal(NamedTuple):
    """How and when (in seconds since 1970) a ticket was removed.

    `into` is the id of the ticket that a merged one became part of.
    """

    kind: RemovalKind
    at: int
    into: str | None


class HelpdeskBackend:
    """The state of the simulated helpdesk.

    `store` holds live tickets; `removed` and `removals` hold the others. Tickets in `archived` are
    in `store` too; the vendor's dialect decides whether lists show them. `hidden` holds live
    tickets that the token's account may not see at present: the API does not have them at all.
    """

    def __init__(
        self,
        tickets: int,
        seed: int,
        start: datetime | None = None,
        frozen: bool = False,
        history_until: datetime | None = None,
        cap: int | None = None,
        journal: Journal | None = None,
        friendly: Iterable[str] = (),
        make_id: MakeId = ticket_id,
    ) -> None:
        """Create the helpdesk with its initial tickets.

        Args:
            tickets: number of initial tickets.
            seed: equal seeds and starts give equal tickets.
            start: initial time of the clock; default: real time.
            frozen: stop the clock at `start`.
            history_until: end of the initial tickets' history; equal ends give equal tickets.
            cap: number of rows that one query can reach; default: the vendor's documented limit.
            journal: has the changes of earlier starts, and takes those of this one.
            friendly: keys of the unverified facts that begin with the friendly answer.
            make_id: makes the ids of tickets.
        """
        self.clock = SimulatedClock(start)
        if frozen:
            self.clock.freeze()
        until = int(history_until.timestamp()) if history_until else self.clock.tick()
        self.store = TicketStore(population(seed, tickets, until, make_id))
        self.removed = TicketStore(())
        self.hidden = TicketStore(())
        self.removals: dict[str, Removal] = {}
        self.archived: set[str] = set()
        self.cap = cap
        self.facts = FactSwitches(friendly)
        self.is_friendly = self.facts.is_friendly
        self.faults = FaultRegistry()
        self.counters = CallCounters()
        self.rate_window = RateWindow()
        # Called with `created`, `updated` or `deleted`, and the new version.
        self.listeners: list[Callable[[str, TicketVersion], None]] = []
        self._seed, self._make_id = seed, make_id
        self._created_count, self._choice_count = tickets, 0
        self._json_cache: dict[tuple[str, int], msgspec.Raw] = {}
        self._journal: Journal | None = None
        if journal is not None:
            self._replay(journal)
            self._journal = journal

    def _replay(self, journal: Journal) -> None:
        """Do again what the journal says; nobody listens yet."""
        now = self.clock.now()
        for entry in journal.entries():
            moment = datetime.fromtimestamp(entry["at"], UTC)
            now = max(now, moment)
            self.clock.freeze(moment)
            match entry["kind"]:
                case "change":
                    self.change(entry["ids"], entry["fields"], silent=entry["silent"])
                case "create":
                    self.create(0, entry["fields"], entry["ids"])
                case "remove":
                    self.remove(entry["ids"], RemovalKind(entry["removal"]), entry["into"])
                case "restore":
                    self.restore(entry["ids"])
                case "archive":
                    self.archive(entry["ids"])
            self._created_count, self._choice_count = entry["counts"]
        self.clock.thaw()
        # What was changed is not in the future, also if the clock had been moved for it.
        self.clock.put(now)

    def _record(self, kind: str, ids: Sequence[str], **details: Any) -> None:
        if self._journal is not None and ids:
            counts = (self._created_count, self._choice_count)
            self._journal.record(kind, ids, self.clock.tick(), counts=counts, **details)

    def raw_ticket(self, version: TicketVersion) -> Json:
        """See `ticket_factory.raw_ticket`."""
        return raw_ticket(self._seed, version)

    def raw_ticket_json(self, version: TicketVersion) -> msgspec.Raw:
        """Return `raw_ticket` as JSON, cached up to `_MAX_CACHED_TICKETS`.

        Generating a page takes longer than the rest of a call, and would dominate benchmarks.
        """
        key = (version.ticket_id, version.revision)
        found = self._json_cache.get(key)
        if found is None:
            found = msgspec.Raw(msgspec.json.encode(self.raw_ticket(version)))
            if len(self._json_cache) < _MAX_CACHED_TICKETS:
                self._json_cache[key] = found
        return found

    def body(self, version: TicketVersion) -> Json:
        """See `ticket_factory.body`."""
        return body(self._seed, version)

    def find(self, ticket_id: str) -> TicketVersion | None:
        """Return the current version of a live or removed ticket, or None."""
        return self.store.get(ticket_id) or self.removed.get(ticket_id)

    def choose(self, count: int) -> list[str]:
        """Return ids of live tickets, chosen by the seed and the number of earlier calls."""
        self._choice_count += 1
        return self.store.choose(SeededRandom(self._seed, "choice", self._choice_count), count)

    def change(
        self,
        ids: Sequence[str],
        fields: Mapping[str, Any] | None = None,
        spread_seconds: float = 0.0,
        same_second: bool = False,
        silent: bool = False,
    ) -> list[TicketVersion]:
        """Change each of `ids` once.

        Args:
            ids: live tickets.
            fields: set on each of them, also for later versions.
            spread_seconds: total time by which the clock advances, in equal steps, one before each
                change. With a second or more per change, no two changes share a second.
            same_second: give all changes the same time.
            silent: change as the vendor's own system does: the visible modified time stays, and no
                webhook is sent.

        Returns:
            The new versions, in the order of `ids`.
        """
        step = timedelta(seconds=spread_seconds / max(len(ids), 1))
        shared_second = self.clock.tick()
        changed = []
        for each in ids:
            self.clock.advance(step)
            at = shared_second if same_second else self.clock.tick()
            changed.append(self.store.change(each, at, fields, silent=silent))
            self._record("change", [each], fields=fields, silent=silent)
            if not silent:
                self._notify("updated", changed[-1])
        return changed

    def create(
        self,
        count: int,
        fields: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[TicketVersion]:
        """Create `count` tickets, or one for each of `ids`.

        Args:
            count: number of tickets; ignored if `ids` are given.
            fields: set on each of them.
            ids: ids for the new tickets.

        Returns:
            The new versions.
        """
        made = []
        new = ids or self._new_ids(count)
        self._record("create", new, fields=fields)
        for each in new:
            now = self.clock.tick()
            version = TicketVersion(each, now, now, 0, fields or None)
            self.store.add(version)
            made.append(version)
            self._notify("created", version)
        return made

    def _new_ids(self, count: int) -> list[str]:
        first, self._created_count = self._created_count, self._created_count + count
        return [self._make_id(self._seed, number) for number in range(first, self._created_count)]

    def remove(
        self, ids: Sequence[str], kind: RemovalKind = RemovalKind.DELETED, into: str | None = None
    ) -> list[TicketVersion]:
        """Move live tickets to `removed`, with a last version dated now.

        Args:
            ids: live tickets.
            kind: how they leave.
            into: for merged tickets, the id of the remaining one.

        Returns:
            The last versions, in the order of `ids`.
        """
        at = self.clock.tick()
        self._record("remove", ids, removal=kind, into=into)
        for each in ids:
            self.removed.add(self.store.delete(each))
            self.removals[each] = Removal(kind, at, into)
        last = [self.removed.change(each, at, None) for each in ids]
        for version in last:
            self._notify("deleted", version)
        return last

    def restore(self, ids: Sequence[str]) -> None:
        """Take removed tickets out of the trash, as they were before.

        Their modified time stays what it was, as Zoho Desk documents for its recycle bin, and no
        webhook is sent.
        """
        self._record("restore", ids)
        for each in ids:
            self.store.add(self.removed.undo(each))
            del self.removals[each]

    def hide(self, ids: Sequence[str]) -> None:
        """Take rights from the token: it no longer sees these tickets."""
        for each in ids:
            self.hidden.add(self.store.delete(each))

    def show(self) -> None:
        """Give the token its rights back: it sees every ticket again."""
        for each in self.hidden.ids():
            self.store.add(self.hidden.delete(each))

    def _notify(self, kind: str, version: TicketVersion) -> None:
        for listener in self.listeners:
            listener(kind, version)

    def archive(self, ids: Sequence[str]) -> None:
        """Archive tickets, as vendors do with tickets closed long ago.

        Lists may no longer show them. The tickets do not change, and no webhook is sent.
        """
        self._record("archive", ids)
        self.archived.update(ids)

    def shift_while_paging(self, endpoint: str) -> None:
        """Apply the fault `changes_while_paging`: tickets change between two pages."""
        if shift := self.faults.consume("changes_while_paging", endpoint):
            self.change(self.choose(shift["changes"]), spread_seconds=shift["advance_seconds"])

    def apply_clock_fault(self) -> None:
        """Set the clock by the fault `clock_offset`. Call this after every change of faults."""
        clock_fault = self.faults.active("clock_offset")
        self.clock.fault_offset = timedelta(seconds=clock_fault["seconds"] if clock_fault else 0)
