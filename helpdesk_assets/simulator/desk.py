"""The helpdesk itself, without HTTP: its clock, its tickets, and what happens to them.

Both the API and the admin endpoints act on one `Desk`, in one thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from helpdesk_assets.simulator.clock import SimulatedClock
from helpdesk_assets.simulator.counters import CallCounters
from helpdesk_assets.simulator.dice import Dice
from helpdesk_assets.simulator.faults import FaultBoard, RateWindow
from helpdesk_assets.simulator.store import TicketStore
from helpdesk_assets.simulator.tickets import Json, Version, population, ticket_id, whole


class Desk:
    def __init__(
        self,
        tickets: int,
        seed: int,
        start: datetime | None = None,
        frozen: bool = False,
        history_until: datetime | None = None,
    ) -> None:
        """`history_until`: where the made-up past of the tickets ends, the clock's start when not
        given. A helpdesk that is started again with the same one has the same past."""
        self.clock = SimulatedClock(start)
        if frozen:
            self.clock.freeze()
        until = int(history_until.timestamp()) if history_until else self.clock.tick()
        self.store = TicketStore(population(seed, tickets, until))
        self.faults = FaultBoard()
        self.counters = CallCounters()
        self.rate_window = RateWindow()
        self._seed = seed
        self._made = tickets
        self._choices = 0

    def whole(self, version: Version) -> Json:
        return whole(self._seed, version)

    def choose(self, count: int) -> list[str]:
        """Some living tickets; which ones depends on the seed and on how often was chosen."""
        self._choices += 1
        return self.store.choose(Dice(self._seed, "choice", self._choices), count)

    def change(
        self,
        ids: Sequence[str],
        fields: Mapping[str, Any] | None = None,
        spread_seconds: float = 0.0,
        same_second: bool = False,
    ) -> list[Version]:
        """Change each of `ids` once.

        Args:
            ids: living tickets.
            fields: set on each of them, for good.
            spread_seconds: the clock moves on by this in all, in equal steps, one before each
                change; with a second or more for each, no two changes share theirs.
            same_second: all changes are dated alike.
        """
        step = timedelta(seconds=spread_seconds / max(len(ids), 1))
        one_tick = self.clock.tick()
        changed = []
        for each in ids:
            self.clock.advance(step)
            at = one_tick if same_second else self.clock.tick()
            changed.append(self.store.change(each, at, fields))
        return changed

    def create(self, count: int, fields: Mapping[str, Any] | None = None) -> list[Version]:
        made = []
        for _ in range(count):
            now = self.clock.tick()
            version = Version(ticket_id(self._seed, self._made), now, now, 0, fields or None)
            self._made += 1
            self.store.add(version)
            made.append(version)
        return made

    def delete(self, ids: Sequence[str]) -> None:
        for each in ids:
            self.store.delete(each)

    def heed_faults(self) -> None:
        """To be called when the faults in force have changed."""
        off = self.faults.standing("clock_offset")
        self.clock.error = timedelta(seconds=off["seconds"] if off else 0)
