"""The state of a sync: the watermark, the counts of closed runs, and a checkpoint.

Values only: `warehouse/stores/state.py` reads and writes the row. Every datetime is aware.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from helpdesk_assets.model.batch import Manifest, Mode, NewestSeen
from helpdesk_assets.model.tickets import BadTicket, Window
from helpdesk_assets.model.webhooks import JudgedBy, MissedUpdate, WebhookCounts


@dataclass(frozen=True, slots=True)
class RepeatedRows:
    """Rows of one table beyond the first of their key, and what became of them.

    Attributes:
        table: the table.
        found: how many the run counted.
        removed: how many it removed afterwards; fewer if somebody else was faster.
        writers: who wrote the rows last, as far as their columns say.
        problem: why rows are left; empty if none are.
    """

    table: str
    found: int
    removed: int = 0
    writers: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What the warehouse counted when a run closed.

    The statement that moves the watermark stores it in the state row, so a run reads it by a table
    read and needs no further query job.

    Attributes:
        rows: of the whole tickets table, as the others up to `future_times`.
        inserted: of this run's tickets, as the others up to `rejected`.
        rejected: tickets of which the table has a newer version.
        missed_total: updates that no webhook delivered.
        missed: those with the longest lag, at most 100.
        missed_since: when the first of them changed.
        index_lag_p99: how many seconds behind the watermark this run still found changes that no
            run had seen.
        webhooks: what was judged of webhooks, and why not.
        batch_tickets: distinct tickets of this run's batch, found where the batch is kept.
        absent: those of them that the tickets table does not hold at least as new.
        rows_lost: by how many tickets the table is smaller than when the run before closed.
        behind: tickets of which a closed run stored a version, and the table has an older one or
            none: somebody put rows back.
        history_rows: rows of raw_ticket_changes.
        repeated_versions: rows of raw_ticket_changes beyond the first of their key, of the last
            days; `repeated_misses` are those of missed_updates.
        repeated: what the run did about repeated rows, by table, after it had counted them.
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
    index_lag_p99: float = 0.0
    webhooks: WebhookCounts = field(default_factory=WebhookCounts)
    batch_tickets: int = 0
    absent: int = 0
    rows_lost: int = 0
    behind: int = 0
    history_rows: int = 0
    repeated_versions: int = 0
    repeated_misses: int = 0
    repeated: tuple[RepeatedRows, ...] = ()

    @property
    def distinct_rows(self) -> int:
        """Rows of the tickets table without repeated and nameless ones: these are no tickets."""
        return self.rows - self.repeated_keys - self.null_keys

    @property
    def tickets(self) -> int:
        """Distinct tickets of the run, each now at least as new in the table."""
        return self.inserted + self.updated + self.unchanged + self.rejected


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """What a run read from the helpdesk.

    Attributes:
        rows: rows that it was given.
        pages: pages that it read.
        calls: calls that it made.
        newest: see `Manifest.newest`.
        unmet_reason: see `Manifest.unmet_reason`.
        cursor_digest: of the helpdesk's cursor as the run left it; empty if there was none.
        read_until: up to when it has read every change; None if it may have skipped some.
        stored: see `Manifest.digests`; only of the last run that closed.
    """

    rows: int = 0
    pages: int = 0
    calls: int = 0
    newest: NewestSeen | None = None
    unmet_reason: str | None = None
    cursor_digest: str = ""
    read_until: datetime | None = None
    stored: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> ReadCounts:
        """Take them from a run's manifest."""
        return cls(
            manifest.rows,
            manifest.pages,
            manifest.api.calls,
            manifest.newest,
            manifest.unmet_reason,
            digest_of(manifest.cursor),
            manifest.window.until if manifest.advances_watermark else None,
            manifest.digests,
        )


def digest_of(cursor: str | None) -> str:
    """Return a short digest of a helpdesk's cursor, empty for none."""
    if cursor is None:
        return ""
    return hashlib.blake2b(cursor.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One closed run, or one manual change of the watermark: a row of the run log.

    `version`, `watermark` and `cursor` are the state row's after it. `window` is None if nothing
    was read. `missed` says something only of what was judged, see `judged_by`.
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
    read_counts: ReadCounts = field(default_factory=ReadCounts)
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    judged_by: JudgedBy = JudgedBy.NOTHING

    @property
    def counts(self) -> dict[str, int]:
        """What the run read and wrote, by the names that commands and the run log use."""
        return {
            "rows_read": self.read_counts.rows,
            "pages": self.read_counts.pages,
            "api_calls": self.read_counts.calls,
            "tickets": self.tickets,
            "inserted": self.inserted,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "missed": self.missed,
        }


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a long read has come, and what of it is durable.

    Attributes:
        staging: the table of the rows read so far; the resuming batch keeps appending to it.
        resume: the provider's opaque continuation token.
        saved_at: when it was saved, by this machine's clock.
        since: where the window begins.
        rows: of the rows in staging, as the others up to `bad_count`.
        bad: the first unreadable tickets; `bad_count` counts all.
        share: the part of the window, by time, that has been read; None if unknown.
        forced: see `Manifest.forced`.
        account: the digest of the account that is read.
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
    forced: bool = False
    account: str = ""


@dataclass(frozen=True, slots=True)
class SyncState:
    """The state row of one sync. Losing it loses no ticket: the next run is a full load.

    Attributes:
        watermark: None until a window has been read completely.
        version: counts the changes of the row; 0 if no run has closed, and the row only holds the
            `checkpoint` of a first load.
        reason: mode and reason of the last run, as `mode: reason`.
        recent_runs: the runs that closed before the last one, newest first.
        full_load_at: the helpdesk's clock when the last full load began; what it stored itself
            counts as found by a closed run.
        provider: of the account whose tickets these are; empty before the first run has closed.
        account: digest of that account.
        mapping: the provider's version of how fields fill columns, of the last run; None: not said.
        tickets_created: when the tickets table was made that the last run closed over.
        fence: counts the writers that gave no sign of life and were replaced; they close no more.
        damaged: the columns of the row that cannot be read and so count as empty, and that there
            are several rows.
    """

    sync_name: str
    watermark: datetime | None
    version: int
    cursor: str | None = None
    window: Window | None = None
    run_id: str | None = None
    reason: str | None = None
    closed_at: datetime | None = None
    facts: RunCounts = field(default_factory=RunCounts)
    read_counts: ReadCounts = field(default_factory=ReadCounts)
    recent_runs: tuple[RunRecord, ...] = ()
    checkpoint: Checkpoint | None = None
    full_load_at: datetime | None = None
    tickets_created: datetime | None = None
    provider: str = ""
    account: str = ""
    mapping: int | None = None
    fence: int = 0
    damaged: tuple[str, ...] = ()

    def has_stored(self, manifest: Manifest) -> bool:
        """Whether the last run to close had each version of the batch, and no run has since."""
        is_next = self.version == manifest.expected_version
        return is_next and manifest.may_repeat and {*manifest.digests} <= {*self.read_counts.stored}

    @property
    def own_cursor(self) -> str | None:
        """The cursor, unless somebody has put another one in its place.

        Without it the window begins at the watermark, so nothing is lost.
        """
        left = self.read_counts.cursor_digest
        return self.cursor if not left or digest_of(self.cursor) == left else None

    @property
    def ended_with_full_load(self) -> bool:
        """Whether the last run to close had read everything."""
        has_read_all = self.read_counts.read_until is not None
        return has_read_all and (self.reason or "").startswith(f"{Mode.FULL}: ")
