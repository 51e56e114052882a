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
class Manifest:
    """What one run fetched; the rows themselves are in raw_ticket_changes.

    Attributes:
        reason: why the run read what it read, for people.
        served_at: the helpdesk's clock at its last answer.
        advances_watermark: False if the window was not read completely, or is a range.
        expected_version: the version of the state row when the run began.
        initial_watermark: the watermark when the run began.
        first_load: there was no watermark and no table to adopt.
        versions: the rows of a small batch, in order of arrival; None for a large one.
        staging: the table that holds the rows of a large batch; None for a small one.
        created_from: the earliest creation time of its tickets; None if one has none.
        created_to: the latest creation time of its tickets; None if one has none.
        lag_p50: seconds from a change to the answer that had it; likewise the other lags.
        cursor: the vendor's own, for the next run.
        fallback: the change endpoint failed, and the listing was read instead.
        is_range: a range was requested, so the state row stays as it is.
        bad: the first unreadable tickets; `bad_count` counts all.
        has_checkpoint: rows were stored while reading. Staging may then hold rows not counted
            here: rows that a killed run stored but did not checkpoint, or rows of a concurrent run
            that resumed the same checkpoint.
        seconds: how long the fetch took.
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
    has_checkpoint: bool = False
    seconds: float = 0.0
    sync_name: str = ""
    dataset: str = ""
    location: str = ""

    @property
    def may_have_tombstones(self) -> bool:
        """Whether rows of the batch may tell only that a ticket was deleted."""
        return self.tombstones > 0 or self.has_checkpoint


def batch_staging_name(batch: str) -> str:
    """The staging table that a large batch is loaded into."""
    return staging_name("raw_ticket_changes", batch)
