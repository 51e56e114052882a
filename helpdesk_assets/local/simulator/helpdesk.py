"""The helpdesk itself, without HTTP: its clock, its tickets, and what happens to them.

Both the API and the admin endpoints act on one `HelpdeskBackend`, in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from helpdesk_assets.local.simulator.call_counters import CallCounters
from helpdesk_assets.local.simulator.clock import SimulatedClock
from helpdesk_assets.local.simulator.fault_registry import FaultRegistry, RateWindow
from helpdesk_assets.local.simulator.seeded_random import SeededRandom
from helpdesk_assets.local.simulator.ticket_factory import (
    Json,
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
    """How a ticket can leave the lists."""

    DELETED = "deleted"
    SPAM = "spam"
    MERGED = "merged"


class Removal(NamedTuple):
    """What became of a ticket, and when, in seconds since 1970; `into` for a merged one."""

    kind: RemovalKind
    at: int
    into: str | None


class HelpdeskBackend:
    """`store` holds the living tickets, `removed` those that have left with their `removals`.
    Tickets in `archived` live; whether a list tells of them is the vendor's way."""

    def __init__(
        self,
        tickets: int,
        seed: int,
        start: datetime | None = None,
        frozen: bool = False,
        history_until: datetime | None = None,
        cap: int | None = None,
    ) -> None:
        """`history_until`: where the made-up past of the tickets ends, the clock's start when not
        given. A helpdesk that is started again with the same one has the same past. `cap`: rows
        that one query may reach, in place of what the vendor documents."""
        self.clock = SimulatedClock(start)
        if frozen:
            self.clock.freeze()
        until = int(history_until.timestamp()) if history_until else self.clock.tick()
        self.store = TicketStore(population(seed, tickets, until))
        self.removed = TicketStore(())
        self.removals: dict[str, Removal] = {}
        self.archived: set[str] = set()
        self.cap = cap
        self.faults = FaultRegistry()
        self.counters = CallCounters()
        self.rate_window = RateWindow()
        # Whoever wants to hear of changes: what happened, and the version that came of it.
        self.listeners: list[Callable[[str, TicketVersion], None]] = []
        self._seed = seed
        self._created_count = tickets
        self._choice_count = 0
        self._json_cache: dict[tuple[str, int], msgspec.Raw] = {}

    def raw_ticket(self, version: TicketVersion) -> Json:
        return raw_ticket(self._seed, version)

    def raw_ticket_json(self, version: TicketVersion) -> msgspec.Raw:
        """`raw_ticket` as JSON. Kept, as far as there is room: writing a page anew takes longer
        than all else that a call does, and would be what a benchmark measures."""
        key = (version.ticket_id, version.revision)
        found = self._json_cache.get(key)
        if found is None:
            found = msgspec.Raw(msgspec.json.encode(self.raw_ticket(version)))
            if len(self._json_cache) < _MAX_CACHED_TICKETS:
                self._json_cache[key] = found
        return found

    def body(self, version: TicketVersion) -> Json:
        """As `raw_ticket`, less what was set by name: a dialect renames first and lays that over
        it."""
        return body(self._seed, version)

    def find(self, ticket_id: str) -> TicketVersion | None:
        """A ticket by its id, whether it lives or has gone."""
        return self.store.get(ticket_id) or self.removed.get(ticket_id)

    def choose(self, count: int) -> list[str]:
        """Some living tickets; which ones depends on the seed and on how often was chosen."""
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
            ids: living tickets.
            fields: set on each of them, for good.
            spread_seconds: the clock moves on by this in all, in equal steps, one before each
                change; with a second or more for each, no two changes share theirs.
            same_second: all changes are dated alike.
            silent: as by the vendor's own system, which leaves the shown modified time.
        """
        step = timedelta(seconds=spread_seconds / max(len(ids), 1))
        shared_second = self.clock.tick()
        changed = []
        for each in ids:
            self.clock.advance(step)
            at = shared_second if same_second else self.clock.tick()
            changed.append(self.store.change(each, at, fields, silent=silent))
            if not silent:
                self._notify("updated", changed[-1])
        return changed

    def create(
        self,
        count: int,
        fields: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[TicketVersion]:
        """Make `count` tickets, or one for each of `ids`."""
        made = []
        for each in ids or self._new_ids(count):
            now = self.clock.tick()
            version = TicketVersion(each, now, now, 0, fields or None)
            self.store.add(version)
            made.append(version)
            self._notify("created", version)
        return made

    def _new_ids(self, count: int) -> list[str]:
        first, self._created_count = self._created_count, self._created_count + count
        return [ticket_id(self._seed, number) for number in range(first, self._created_count)]

    def remove(
        self, ids: Sequence[str], kind: RemovalKind = RemovalKind.DELETED, into: str | None = None
    ) -> list[TicketVersion]:
        """Take tickets out of the living; their last version, dated now, is in `removed`."""
        at = self.clock.tick()
        for each in ids:
            self.removed.add(self.store.delete(each))
            self.removals[each] = Removal(kind, at, into)
        last = [self.removed.change(each, at, None) for each in ids]
        for version in last:
            self._notify("deleted", version)
        return last

    def _notify(self, kind: str, version: TicketVersion) -> None:
        for listener in self.listeners:
            listener(kind, version)

    def archive(self, ids: Sequence[str]) -> None:
        """What vendors do to tickets that were closed long ago: no list may show them, but they
        are as they were, and no change is told of."""
        self.archived.update(ids)

    def shift_while_paging(self, endpoint: str) -> None:
        """The fault `changes_while_paging`: between two pages, tickets change and leave their
        places."""
        if shift := self.faults.consume("changes_while_paging", endpoint):
            self.change(self.choose(shift["changes"]), spread_seconds=shift["advance_seconds"])

    def apply_clock_fault(self) -> None:
        """To be called when the faults in force have changed."""
        clock_fault = self.faults.active("clock_offset")
        self.clock.fault_offset = timedelta(seconds=clock_fault["seconds"] if clock_fault else 0)
