"""What a sync remembers: the watermark, what closed runs counted, and what is unfinished.

Values alone: how they become a row is `warehouse/state.py`. Every datetime is aware.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from helpdesk_assets.model.batch import Mode
from helpdesk_assets.model.tickets import BadTicket, Window
from helpdesk_assets.model.webhooks import MissedUpdate, WebhookCounts


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What the warehouse itself counted when a run closed.

    Written into the state row by the statement that moves the watermark and read back with a table
    read, so a run learns all of this without a further query job. `missed` holds the ones with the
    longest lag, at most 100; `missed_total` counts them all, and `missed_since` is when the first
    of them changed. `rows` to `future_times` speak of the whole tickets table, `inserted` to
    `rejected` of this run's tickets. `index_lag_p99` is how far behind the watermark, in seconds,
    this run still found changes that no run had seen. `webhooks` is None where the table alone
    tells.
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
    webhooks: WebhookCounts | None = None

    @property
    def tickets(self) -> int:
        """Distinct tickets that the helpdesk gave and the table now holds at least as new."""
        return self.inserted + self.updated + self.unchanged + self.rejected


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """What a run asked of the helpdesk: rows and pages read, and calls made."""

    rows: int = 0
    pages: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run that closed, or one watermark that was set by hand: a line of the state row's short
    memory, and of the run log.

    `version`, `watermark` and `cursor` are those of the state row after it. `window` is None where
    nothing was read.
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

    @property
    def counts(self) -> dict[str, int]:
        """What the run asked for and what came of it, by the names that people read."""
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
    no run has closed, and the row only keeps a first load that is `checkpoint`.

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
    facts: RunCounts = field(default_factory=RunCounts)
    read_counts: ReadCounts = field(default_factory=ReadCounts)
    recent_runs: tuple[RunRecord, ...] = ()
    checkpoint: Checkpoint | None = None
