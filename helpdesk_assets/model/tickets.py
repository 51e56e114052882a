"""The field's own nouns as frozen values: tickets, pages, windows and the batch of one run.

Everybody may import this module, and it imports nothing of ours: no HTTP, no SQL, no Dagster.
Every datetime in here is aware; `utc` is the one door through which outside times come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


def utc(moment: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ValueError: for a naive datetime. Local time read as UTC is a bug other tools have shipped
            (airbyte issue 48492), so a time without a zone is refused and never guessed.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be placed: {moment.isoformat()}")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One version of one ticket, as the helpdesk gave it.

    `raw_json` is the vendor's object as JSON text, every field kept; `content_hash` is a digest of
    it that does not depend on key order, so two equal hashes mean the same content.

    With `tombstone`, only that the ticket has gone is known: `raw_json` is the vendor's notice,
    `modified_time` and `deleted_time` are when it went, and the table keeps all else that it had.
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
    """One answer of the helpdesk.

    `served_at` is the helpdesk's clock when it answered (its `Date` header). `until` is the end of
    the window that the whole call reads: tickets modified after it may be absent, tickets modified
    up to it are not. It may grow from page to page; the last page's counts. `cursor` is the
    vendor's own, where there is one.

    `resume`, where there is one, lets an interrupted call go on: handed to `changes` with the same
    window, it reads what this page and those before it have left, and what changed since. It is the
    adapter's own text, and means nothing to anybody else. `share` is how much of the window, by
    time, has been read.
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
    """What one adapter has asked of the helpdesk so far. `numbers_as_text`: numbers in the answers
    that BigQuery's JSON cannot hold exactly, and which are kept as text."""

    calls: int = 0
    bytes_received: int = 0
    retries: int = 0
    seconds_waited: float = 0.0
    numbers_as_text: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """`[since, until]`, both inclusive. `since` None: from the beginning."""

    since: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """One ticket as the helpdesk lists it.

    `gone`: the helpdesk tells of it as of one that was deleted, merged away or marked as spam. Its
    `modified_time` may then be when it went, in place of its last change.
    """

    ticket_id: str
    modified_time: datetime
    gone: bool = False


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """One answer of the helpdesk.

    `served_at` is the helpdesk's clock when it answered. `total` is how many tickets it said that
    there are when the inventory began, where it counts them; an inventory of fewer ids was cut
    short. `unreadable` are the ids of tickets that are there, and whose row has no time that can be
    read: what becomes of them is not known, so they are neither in `entries` nor absent.
    """

    entries: tuple[InventoryEntry, ...]
    served_at: datetime
    total: int | None = None
    unreadable: tuple[str, ...] = ()
