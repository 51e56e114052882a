"""A batch: what one run fetched, in a size that can be handed from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from helpdesk_assets.model.tickets import ApiUsage, BadTicket, Window
from helpdesk_assets.naming import staging_name


class Mode(StrEnum):
    """How a batch was fetched.

    `full`: every ticket. `incremental`: changes since the watermark, or of a range. `by_hand`:
    nothing was fetched; a person set the watermark.
    """

    FULL = "full"
    INCREMENTAL = "incremental"
    MANUAL = "by_hand"


class Version(NamedTuple):
    """The key of one row of raw_ticket_changes; a tuple, so that JSON holds it as a pair."""

    ticket_id: str
    content_hash: str


# How long after its fetch a batch can be merged; cleanup then removes what is left of it.
BATCH_TTL = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class NewestSeen:
    """The newest change that a sync has been given: so far the clock that dates tickets had come.

    Attributes:
        changed_at: when the ticket changed or was deleted.
        known_at: the helpdesk's clock when a run was first given it; or `changed_at`, if the
            helpdesk's clock and ours agreed then, so that its age was known.
    """

    changed_at: datetime
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one run fetched; the rows themselves are in raw_ticket_changes.

    Attributes:
        reason: why the run read what it read, for people.
        served_at: the helpdesk's clock at its last answer.
        advances_watermark: False if the window was not read completely, or is a range.
        expected_version: the version of the state row when the run began.
        initial_watermark: the watermark when the run began.
        first_load: there was no watermark and no table to adopt.
        versions: the rows of a small batch, in order of arrival, staged or not; None for a large
            one.
        digests: of those versions and their times, one each; empty if they are too many to be
            remembered.
        staging: the table that holds the rows of a large or forced batch; None for a small one.
        created_months: the months in which its tickets were created, by their first moment; None if
            they are not known of all.
        oldest_modified: the earliest `modified_time` of its versions; None if it does not bound
            when they can have been stored: not all are known, or one is dated in the future.
        lag_p50: seconds from a change to the answer that had it; likewise the other lags.
        cursor: the vendor's own, for the next run.
        fallback: the change endpoint failed, and the listing was read instead.
        is_range: a range was requested, so the state row stays as it is.
        bad: the first unreadable tickets; `bad_count` counts all.
        has_checkpoint: rows were stored while reading. Staging may then hold rows not counted
            here: rows that a killed run stored but did not checkpoint, or rows of a concurrent run
            that resumed the same checkpoint.
        seconds: how long the fetch took.
        read_since: the helpdesk's clock at its first answer; all rows were read then or later.
        forced: the table is to equal the batch: rows of equal versions are compared by columns. The
            batch is always staged, since raw_ticket_changes keeps each version as it first came.
        ground_reason: what was wrong with the tables when the run began; None if nothing was.
        tickets_created: when the tickets table was made that the run began with.
        provider: the name of the helpdesk's provider.
        account: digest of the helpdesk's account.
        mapping: the provider's version of how fields fill columns.
        mapping_before: that of the last run that closed; None if there was none.
        lookback: how far every window reaches back behind the watermark; None if not known.
        newest: the newest change that this run or an earlier one was given; None if no ticket was.
        sync_name: the state row of the sync that fetched the batch.
        dataset: where the batch was fetched to: project and dataset, joined by a dot.
        location: the dataset's location by the settings; empty for the client's own.
    """

    batch_id: str
    run_id: str
    mode: Mode
    reason: str
    window: Window
    served_at: datetime
    advances_watermark: bool
    expected_version: int
    initial_watermark: datetime | None
    first_load: bool
    rows: int
    pages: int
    api: ApiUsage
    versions: tuple[Version, ...] | None
    staging: str | None
    created_months: tuple[datetime, ...] | None = None
    oldest_modified: datetime | None = None
    digests: tuple[str, ...] = ()
    lag_p50: float = 0.0
    lag_p95: float = 0.0
    lag_max: float = 0.0
    cursor: str | None = None
    fallback: bool = False
    is_range: bool = False
    bad: tuple[BadTicket, ...] = ()
    bad_count: int = 0
    tombstones: int = 0
    has_checkpoint: bool = False
    seconds: float = 0.0
    lookback: timedelta | None = None
    newest: NewestSeen | None = None
    read_since: datetime | None = None
    forced: bool = False
    ground_reason: str | None = None
    tickets_created: datetime | None = None
    provider: str = ""
    account: str = ""
    mapping: int | None = None
    mapping_before: int | None = None
    sync_name: str = ""
    dataset: str = ""
    location: str = ""

    @property
    def listed_tickets(self) -> tuple[str, ...]:
        """The tickets of a small batch, each once; empty for a large one."""
        return tuple(dict.fromkeys(version.ticket_id for version in self.versions or ()))

    @property
    def may_repeat(self) -> bool:
        """Whether the batch may be one that has been stored before, each ticket of it once."""
        is_plain = not (self.is_range or self.forced or self.staging or self.tombstones)
        return (
            is_plain
            and self.mode is Mode.INCREMENTAL
            and 0 < self.rows == len(self.digests) == len(self.listed_tickets)
        )

    @property
    def mapping_notice(self) -> str | None:
        """What to do about rows that an older mapping filled; None if there is nothing to do."""
        if self.mapping_before in (None, self.mapping) or self.forced:
            return None
        return (
            "This version fills columns from the helpdesk's fields in another way than the one "
            f"that wrote the rows (mapping {self.mapping_before}, now {self.mapping}). A row "
            "changes with its ticket; `helpdesk-assets sync --full` rewrites them all."
        )

    @property
    def unmet_reason(self) -> str | None:
        """Why everything still has to be read: it was to be, and the run may have skipped some."""
        return None if self.advances_watermark else self.ground_reason

    @property
    def resets_watermark(self) -> bool:
        """Whether the watermark is the window's end, though it may have been later before."""
        is_full_load = self.mode is Mode.FULL and self.advances_watermark
        return is_full_load and self.ground_reason is not None

    @property
    def is_believed_at_once(self) -> bool:
        """Whether a ticket of the batch lives, though lists show deleted tickets for a while.

        True for tickets fetched by id, and where a person has asked for everything.
        """
        return self.forced and self.ground_reason is None

    @property
    def may_have_tombstones(self) -> bool:
        """Whether rows of the batch may tell only that a ticket was deleted."""
        return self.tombstones > 0 or self.has_checkpoint


def batch_staging_name(batch: str) -> str:
    """The staging table that a large batch is loaded into."""
    return staging_name("raw_ticket_changes", batch)
