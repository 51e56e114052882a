"""A batch: what one run fetched, in a size that can be handed from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from helpdesk_assets.model.tickets import ApiUsage, BadTicket, Window
from helpdesk_assets.naming import staging_name


class Mode(StrEnum):
    """How a batch was fetched: by the change endpoint behind a watermark, or everything. By hand:
    nothing was fetched, a person has set the watermark."""

    FULL = "full"
    INCREMENTAL = "incremental"
    MANUAL = "by_hand"


class Version(NamedTuple):
    """Points at one row of raw_ticket_changes. A tuple, so that JSON holds it as a pair."""

    ticket_id: str
    content_hash: str


# How long a batch can be merged after it was fetched; what is left of one then is removed.
BATCH_TTL = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one run fetched, in a size that can be handed from step to step.

    The rows themselves are in raw_ticket_changes. Which of them are this batch's is told by
    `versions` (in order of arrival) for a small batch and by the table `staging` for a large one.
    `advances_watermark` is False where the window was not read whole or was asked for by hand.
    A run with `is_range` leaves the state row alone; one with `fallback` used the listing.
    `expected_version` and `initial_watermark` are the state row as it was when the run began. A
    batch that was `has_checkpoint` while it was read may hold rows that are not counted here: of a
    run that was killed before it had noted them, or of one that went on with it beside this one.
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

    @property
    def may_have_tombstones(self) -> bool:
        return self.tombstones > 0 or self.has_checkpoint


def batch_staging_name(batch: str) -> str:
    """The staging table that a large batch is loaded into."""
    return staging_name("raw_ticket_changes", batch)
