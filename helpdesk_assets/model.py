"""The field's own nouns as frozen values: tickets, windows, batches and what a run reports.

Everybody may import this module, and it imports nothing of ours: no HTTP, no SQL, no Dagster.
Every datetime in here is aware; `utc` is the one door through which outside times come in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
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


class Guard(StrEnum):
    """What a MERGE may do to a row that is there already."""

    INSERT_ONLY = "insert_only"
    NEWER_WINS = "newer_wins"
    STATUS_MOVES = "status_moves"


class ColumnType(StrEnum):
    """The BigQuery column types that our tables use."""

    STRING = "STRING"
    INT64 = "INT64"
    FLOAT64 = "FLOAT64"
    BOOL = "BOOL"
    TIMESTAMP = "TIMESTAMP"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: ColumnType
    description: str = ""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table, its key and its guard: all that a MERGE into it needs to know.

    `key` columns are never NULL. `newest_first` is the total order by which one row is picked from
    a source that holds a key more than once: the columns are compared from left to right, all
    descending. With `Guard.NEWER_WINS`, `version` names the timestamp column a newer value of which
    overwrites, and `fingerprint` the column whose difference decides between equal timestamps; of
    those, a row that has `ended` is not replaced by one that has not.
    `write_once` columns are set by the insert and never by an update. A source row whose
    `partial_flag` is true knows only a part: an update by it leaves the `partial_keeps` columns.
    With `Guard.STATUS_MOVES`, a row is updated only where its column `status` makes one of `moves`,
    each from one word to another.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    guard: Guard
    newest_first: tuple[str, ...] = ()
    version: str | None = None
    fingerprint: str | None = None
    ended: str | None = None
    write_once: tuple[str, ...] = ()
    partial_flag: str | None = None
    partial_keeps: tuple[str, ...] = ()
    status: str | None = None
    moves: tuple[tuple[str, str], ...] = ()
    partition_by: str | None = None
    partition_unit: str = "MONTH"
    cluster_by: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What one write did. `inserted` and `updated` are None where the service does not tell them
    apart (`changed`, their sum, is always known)."""

    table: str
    changed: int
    inserted: int | None = None
    updated: int | None = None
    query_jobs: int = 0
    load_jobs: int = 0
    bytes_billed: int = 0
    seconds: float = 0.0


class Reason(StrEnum):
    """Why a change is in the ledger `missed_updates`.

    By the events of our receiver: `missed` (its event never came), `late` (it came after the grace,
    or after the change had been called missed), `not_subscribed` (the subscription leaves this kind
    of change out) and `webhook_only` (its event came, and polling did not return the ticket). By
    the tickets table alone: `missing` (no such ticket) and `stale` (an older version).
    """

    MISSED = "missed"
    LATE = "late"
    NOT_SUBSCRIBED = "not_subscribed"
    WEBHOOK_ONLY = "webhook_only"
    MISSING = "missing"
    STALE = "stale"


# These count as missed updates; the others are known not to be.
NEVER_CAME = (Reason.MISSED, Reason.MISSING, Reason.STALE)


class LedgerBy(StrEnum):
    """What tells whether a webhook delivered a change. `auto`: events, once there is one."""

    AUTO = "auto"
    EVENTS = "events"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A kind of change that the webhook's subscription leaves out. `where`: column and the words
    that it may hold, each of which must hold; `change` is created, updated or deleted."""

    where: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """What is expected of webhooks. `grace`: how long one may take. `reach`: how far a window goes
    back behind the watermark at least, so that what was younger than the grace is seen again."""

    enabled: bool
    by: LedgerBy
    grace: timedelta
    reach: timedelta
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class MissedUpdate:
    """One line of the ledger that counts as missed; see `Reason`."""

    ticket_id: str
    modified_time: datetime
    reason: str
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class WebhookFacts:
    """What was counted of our receiver's events when a run closed.

    `judged`: changes that grew older than the grace since the last run, those left out by the
    subscription not among them. `late`, `not_subscribed` and `webhook_only`: lines of the ledger
    that this run wrote. `events`: those of the time that the run judged, and `latency_p50` and
    `latency_p95` their seconds from the change to the commit; None without any. `last_event` is
    the last one's time; since then `unheard` changes came, the first at `unheard_since`.
    """

    judged: int = 0
    late: int = 0
    not_subscribed: int = 0
    webhook_only: int = 0
    events: int = 0
    latency_p50: float | None = None
    latency_p95: float | None = None
    last_event: datetime | None = None
    unheard: int = 0
    unheard_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebhookDay:
    """What became of one day's changes, by UTC. `late` is a part of `delivered`; the percentiles
    are seconds from the change to the commit, None where nobody tells."""

    day: date
    delivered: int
    late: int
    missed: int
    latency_p50: float | None = None
    latency_p95: float | None = None
    latency_p99: float | None = None

    @property
    def missed_share(self) -> float:
        changes = self.delivered + self.missed
        return self.missed / changes if changes else 0.0


# The fields of WebhookFacts that are times, for whoever writes them as text.
WEBHOOK_TIMES = ("last_event", "unheard_since")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the warehouse itself counted when a run closed.

    Written into the state row by the statement that moves the watermark and read back with a table
    read, so a run learns all of this without a further query job. `missed` holds the ones with the
    longest lag, at most 100; `missed_total` counts them all, and `missed_since` is when the first
    of them changed. `rows` to `future_times` speak of the whole tickets table, `inserted` to
    `rejected` of this run's tickets. `behind_p99` is how far behind the watermark, in seconds, this
    run still found changes that no run had seen. `webhooks` is None where the table alone tells.
    """

    rows: int = 0
    repeated_keys: int = 0
    null_keys: int = 0
    null_times: int = 0
    future_times: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    missed_total: int = 0
    missed: tuple[MissedUpdate, ...] = ()
    missed_since: datetime | None = None
    behind_p99: float = 0.0
    webhooks: WebhookFacts | None = None

    @property
    def tickets(self) -> int:
        """Distinct tickets that the helpdesk gave and the table now holds at least as new."""
        return self.inserted + self.updated + self.unchanged + self.rejected


@dataclass(frozen=True, slots=True)
class Reading:
    """What a run asked of the helpdesk: rows and pages read, and calls made."""

    rows: int = 0
    pages: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run that closed, or one watermark that was set by hand: a line of the state row's short
    memory, and of the run log.

    `version`, `watermark` and `cursor` are those of the state row after it; 0 and None where an
    older version of this program wrote the line. `window` is None where nothing was read.
    """

    run_id: str
    closed_at: datetime
    mode: Mode
    reason: str
    window: Window | None
    tickets: int
    missed: int
    version: int = 0
    watermark: datetime | None = None
    cursor: str | None = None
    reading: Reading = field(default_factory=Reading)
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A long reading that was interrupted, or is under way: what is durable of it.

    Its rows so far are in the table `staging`, which is that of the batch that goes on with it
    too; `resume` is where the adapter of `provider` goes on. `rows` to `bad_count` are what has
    been counted of these rows. `share` is how much of the window they are, by time.
    """

    provider: str
    staging: str
    resume: str
    saved_at: datetime
    mode: Mode
    reason: str
    since: datetime | None
    first_load: bool
    rows: int
    pages: int
    tombstones: int
    bad: tuple[BadTicket, ...]
    bad_count: int
    share: float | None


@dataclass(frozen=True, slots=True)
class SyncState:
    """The state row of one sync. `watermark` None: no window has been read whole yet. `version` 0:
    no run has closed, and the row only keeps a first load that is `unfinished`.

    Losing the row loses no ticket: the next run is a full load.
    """

    sync_name: str
    watermark: datetime | None
    version: int
    cursor: str | None = None
    window: Window | None = None
    run_id: str | None = None
    reason: str | None = None
    closed_at: datetime | None = None
    facts: RunFacts = field(default_factory=RunFacts)
    reading: Reading = field(default_factory=Reading)
    recent_runs: tuple[RunRecord, ...] = ()
    unfinished: Unfinished | None = None
