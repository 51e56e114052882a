"""The field's own nouns as frozen values: tickets, pages, windows and the batch of one run.

Everybody may import this module, and it imports nothing of ours: no HTTP, no SQL, no Dagster.
Every datetime in here is aware; `utc` is the one door through which outside times come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


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
class ApiUse:
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


class Mode(StrEnum):
    """How a batch was fetched: by the change endpoint behind a watermark, or everything. By hand:
    nothing was fetched, a person has set the watermark."""

    FULL = "full"
    INCREMENTAL = "incremental"
    BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Version:
    """Points at one row of raw_ticket_changes."""

    ticket_id: str
    content_hash: str


# How long a batch can be merged after it was fetched; what is left of one then is removed.
BATCH_LIVES = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one run fetched, in a size that can be handed from step to step.

    The rows themselves are in raw_ticket_changes. Which of them are this batch's is told by
    `versions` (in order of arrival) for a small batch and by the table `staging` for a large one.
    `moves_watermark` is False where the window was not read whole or was asked for by hand.
    A run with `is_range` leaves the state row alone; one with `fallback` used the listing.
    `seen_version` and `seen_watermark` are the state row as it was when the run began. A batch that
    was `saved` while it was read may hold rows that are not counted here: of a run that was killed
    before it had noted them, or of one that went on with it beside this one.
    """

    batch_id: str
    run_id: str
    mode: Mode
    reason: str
    window: Window
    served_at: datetime
    moves_watermark: bool
    seen_version: int
    seen_watermark: datetime | None
    first_load: bool
    rows: int
    pages: int
    api: ApiUse
    batch_bytes: int
    versions: tuple[Version, ...] | None
    staging: str | None
    created_from: datetime | None
    created_to: datetime | None
    lag_p50: float = 0.0
    lag_p95: float = 0.0
    lag_max: float = 0.0
    cursor: str | None = None
    fallback: bool = False
    is_range: bool = False
    bad: tuple[BadTicket, ...] = ()
    bad_count: int = 0
    tombstones: int = 0
    saved: bool = False
    seconds: float = 0.0

    @property
    def may_have_tombstones(self) -> bool:
        return self.tombstones > 0 or self.saved
