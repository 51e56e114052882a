"""Snapshots of a helpdesk's inventory, and how the tickets table may differ from one.

Any module may import this one; it imports no other module of the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from helpdesk_assets.naming import staging_name


class DifferenceKind(StrEnum):
    """How a ticket differs.

    `absent`: the table has no row. `stale`: the row is older. `gone`: the row is not marked as
    deleted, but the helpdesk does not list the ticket, or lists it as deleted. `dead_here`: the row
    is marked as deleted, but the helpdesk lists the ticket. `newer_here`: the row is newer than the
    helpdesk's ticket: another program wrote it, a clock is wrong, or the helpdesk was restored.
    """

    ABSENT = "absent"
    STALE = "stale"
    DELETED = "gone"
    DEAD = "dead_here"
    AHEAD = "newer_here"


# The kinds that are repaired by fetching and merging the ticket.
REPAIRED_BY_FETCH = (DifferenceKind.ABSENT, DifferenceKind.STALE, DifferenceKind.DEAD)


class DifferenceOutcome(StrEnum):
    """What became of a difference.

    `found`: nothing yet, after a dry run or a crash. `repaired`: the row is as new as the
    helpdesk's ticket, and lives. `deleted`: the row is now marked as deleted. `exists`: the ticket
    is not listed, but the helpdesk returned it by id. `left`: the difference remains.
    """

    FOUND = "found"
    REPAIRED = "repaired"
    DELETED = "deleted"
    STILL_EXISTS = "exists"
    UNRESOLVED = "left"


@dataclass(frozen=True, slots=True)
class InventorySnapshot:
    """One complete listing of the helpdesk's tickets.

    Attributes:
        listed_at: the helpdesk's clock at its first answer.
        ended_at: the helpdesk's clock at its last answer.
        entries: rows received; a ticket may be among them more than once.
        pages: answers received.
        total: how many tickets the helpdesk reported, if it does.
        unreadable: listed tickets without a readable time.
        staging: the table of those entries that were stored while the rest was read; None if none
            were.
    """

    sweep_id: str
    run_id: str
    listed_at: datetime
    ended_at: datetime
    entries: int
    pages: int
    total: int | None = None
    unreadable: int = 0
    staging: str | None = None


@dataclass(frozen=True, slots=True)
class InventoryPart:
    """How far an inventory has come, whose entries up to here are stored.

    Attributes:
        snapshot: what was read so far; it has a `staging`.
        resume: the provider's opaque token to go on from here.
        saved_at: when it was stored, by this machine's clock.
        provider: the provider's name.
        account: the digest of the account that is read.
    """

    snapshot: InventorySnapshot
    resume: str
    saved_at: datetime
    provider: str
    account: str


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many tickets the snapshot and the table have.

    Attributes:
        listed: distinct tickets in the snapshot.
        alive: rows of the table that are not marked as deleted.
        highest: the highest id of the table that is a number; 0 without one.
    """

    listed: int
    alive: int
    highest: int = 0


@dataclass(frozen=True, slots=True)
class DifferenceCount:
    """Differences of one kind with one outcome: how many, and the ids of a few."""

    kind: DifferenceKind
    outcome: DifferenceOutcome
    count: int
    ticket_ids: tuple[str, ...] = ()


def inventory_staging_name(sweep_id: str) -> str:
    """The table that an inventory's parts are stored in."""
    return staging_name("ticket_inventory", sweep_id)
