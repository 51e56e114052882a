"""Tickets, pages, windows and inventory entries, as frozen values.

Any module may import this one; it imports no other module of the package. Every datetime is aware:
`utc` converts each time that comes from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


def utc(moment: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ValueError: the datetime is naive. Other tools have shipped the bug of reading local time
            as UTC (airbyte issue 48492), so a time without a zone is rejected, not guessed.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be placed: {moment.isoformat()}")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One version of one ticket, as the helpdesk returned it.

    Attributes:
        raw_json: the vendor's object as JSON text, with every field.
        content_hash: a digest of that object which ignores key order; equal hashes mean equal
            content.
        tombstone: only the deletion is known. `raw_json` is then the vendor's notice,
            `modified_time` and `deleted_time` are the time of deletion, and the table keeps the
            ticket's other columns.
    """

    ticket_id: str
    subject: str | None
    status: str | None
    priority: str | None
    assignee: str | None
    created_time: datetime | None
    modified_time: datetime
    deleted_time: datetime | None
    raw_json: str
    content_hash: str
    tombstone: bool = False


@dataclass(frozen=True, slots=True)
class BadTicket:
    """A ticket that could not be read: which one, which field, and why."""

    ticket_id: str
    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of tickets.

    Attributes:
        served_at: the helpdesk's clock when it answered (its `Date` header).
        until: the end of the window that the whole call reads. No ticket modified up to it is
            missing; later ones may be. It may grow from page to page; the last page's counts.
        cursor: the vendor's own, if it has one.
        bad: the tickets of the page that cannot be read.
        resume: a token to continue an interrupted call: passed to `changes` with the same window,
            it reads what these pages have left, and what changed since. Opaque: only the adapter
            knows its format.
        share: the part of the window, by time, that has been read; None if unknown.
    """

    tickets: tuple[Ticket, ...]
    served_at: datetime
    until: datetime
    cursor: str | None = None
    bad: tuple[BadTicket, ...] = ()
    resume: str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class ApiUsage:
    """What one adapter has used of the helpdesk's API so far.

    `numbers_as_text` counts numbers that BigQuery's JSON cannot hold exactly and that are stored as
    text.
    """

    calls: int = 0
    bytes_received: int = 0
    retries: int = 0
    seconds_waited: float = 0.0
    numbers_as_text: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, both ends inclusive; `since` None means from the beginning."""

    since: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """One ticket as the helpdesk lists it.

    `gone`: the helpdesk lists it as deleted, merged or spam. Its `modified_time` may then be the
    time of that, instead of its last change.
    """

    ticket_id: str
    modified_time: datetime
    gone: bool = False


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """One page of the inventory.

    Attributes:
        served_at: the helpdesk's clock when it answered.
        total: how many tickets the helpdesk reported when the inventory began, if it counts them.
            An inventory with fewer ids was cut short.
        unreadable: ids of listed tickets without a readable time. Their state is unknown, so they
            are neither in `entries` nor absent.
        resume: a token to continue an interrupted call: passed to `inventory`, it reads what the
            pages up to this one have left, and what changed since. None: this page gives none, and
            that of an earlier page still holds.
    """

    entries: tuple[InventoryEntry, ...]
    served_at: datetime
    total: int | None = None
    unreadable: tuple[str, ...] = ()
    resume: str | None = None
