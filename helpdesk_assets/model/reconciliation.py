"""What a sweep of a helpdesk is, and how the tickets table may differ from it.

A sweep is one reading of the helpdesk's inventory. Everybody may import this module, and it imports
nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DifferenceKind(StrEnum):
    """How a ticket differs. `absent`: the table has no row. `stale`: the row is older. `gone`: the
    row lives, and the helpdesk does not list the ticket, or lists it as gone. `newer_here`: the row
    is newer than what the helpdesk has, so that somebody else wrote it, or by a wrong clock."""

    ABSENT = "absent"
    STALE = "stale"
    DELETED = "gone"
    AHEAD = "newer_here"


# These are fetched and merged.
REPAIRED_BY_FETCH = (DifferenceKind.ABSENT, DifferenceKind.STALE)


class DifferenceOutcome(StrEnum):
    """What became of a difference. `found`: nothing yet, as of a run that died or only looked.
    `repaired`: the row is as new as the helpdesk's ticket. `deleted`: the row says that the ticket
    has gone. `exists`: not listed, and there when it was asked for. `left`: it is as it was."""

    FOUND = "found"
    REPAIRED = "repaired"
    DELETED = "deleted"
    STILL_EXISTS = "exists"
    UNRESOLVED = "left"


@dataclass(frozen=True, slots=True)
class InventorySnapshot:
    """One reading of the inventory.

    `listed_at` is the helpdesk's clock at its first answer and `ended_at` at its last. `entries`
    are the rows that came, a ticket perhaps more than once. `total` is what the helpdesk said that
    there are, where it says so. `unreadable` tickets are there and have no time that can be read.
    """

    sweep_id: str
    run_id: str
    listed_at: datetime
    ended_at: datetime
    entries: int
    pages: int
    total: int | None = None
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many tickets the sweep has, and how many rows of the table have not gone."""

    listed: int
    alive: int


@dataclass(frozen=True, slots=True)
class DifferenceCount:
    """Differences of one kind that came to the same; a few are named."""

    kind: DifferenceKind
    outcome: DifferenceOutcome
    count: int
    ticket_ids: tuple[str, ...] = ()
