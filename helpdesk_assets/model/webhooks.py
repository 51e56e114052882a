"""What is expected of webhooks, and what was counted: values of the ledger, a run and a day.

Values only: no SQL, no HTTP, no Dagster. Every datetime is aware.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal


class LedgerReason(StrEnum):
    """Why a change is in the ledger `missed_updates`.

    With our receiver: `missed` (no event arrived), `late` (the event arrived after the grace, or
    after the change had been recorded as missed), `not_subscribed` (the subscription leaves out
    this kind of change) and `webhook_only` (an event arrived, but polling did not return the
    ticket).
    Without it, by the tickets table: `missing` (no such ticket) and `stale` (an older version).
    """

    MISSED = "missed"
    LATE = "late"
    NOT_SUBSCRIBED = "not_subscribed"
    WEBHOOK_ONLY = "webhook_only"
    MISSING = "missing"
    STALE = "stale"


# The reasons that count as missed updates.
MISSED_REASONS = (LedgerReason.MISSED, LedgerReason.MISSING, LedgerReason.STALE)


class LedgerSource(StrEnum):
    """What shows whether a webhook delivered a change. `auto`: events, once one has arrived."""

    AUTO = "auto"
    EVENTS = "events"
    TABLE = "table"


class JudgedBy(StrEnum):
    """What a run judged webhooks by; `nothing`: it judged none."""

    EVENTS = "events"
    TABLE = "table"
    NOTHING = "nothing"


class NotJudged(StrEnum):
    """Why a run judged no webhook."""

    SWITCHED_OFF = "switched_off"
    FIRST_LOAD = "first_load"
    TABLE_LOST = "table_lost"
    NO_EVENT = "no_event"

    @property
    def text(self) -> str:
        """The reason for people, to follow "not judged: "."""
        return _NOT_JUDGED[self]


_NOT_JUDGED = {
    NotJudged.SWITCHED_OFF: "webhooks are switched off (WEBHOOKS_ENABLED=false)",
    NotJudged.FIRST_LOAD: "first load",
    NotJudged.TABLE_LOST: "full load, since the table was not the one of the watermark",
    NotJudged.NO_EVENT: "no webhook has been stored yet",
}


def judged_text(by: JudgedBy, not_judged: NotJudged | None) -> str:
    """Return by what webhooks are judged, or why they are not, for people."""
    if by is JudgedBy.EVENTS:
        return "judged by the events of the receiver"
    if by is JudgedBy.TABLE:
        return "judged by the tickets table"
    return f"not judged: {not_judged.text if not_judged else 'no run has closed yet'}"


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """A kind of change that the webhook's subscription leaves out.

    `conditions`: columns with the words that each may hold; all must match. The column `change`
    holds created, updated or deleted.
    """

    conditions: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """What is expected of webhooks.

    `enabled`: whether any is expected; `auto`: once one has been stored, or if the ledger's source
    is the table. `grace`: how long one may take. `lookback`: how far a window reaches back behind
    the watermark at least, so that it includes changes that were younger than the grace.
    """

    enabled: bool | Literal["auto"]
    ledger_source: LedgerSource
    grace: timedelta
    lookback: timedelta
    unsubscribed: tuple[Unsubscribed, ...] = ()


@dataclass(frozen=True, slots=True)
class MissedUpdate:
    """One row of the ledger that counts as missed; see `LedgerReason`."""

    ticket_id: str
    modified_time: datetime
    reason: str
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class WebhookCounts:
    """What a run that closed judged of webhooks, and what it counted of our receiver's events.

    `judged_by`: by what; `not_judged`: why nothing, None before a run has closed. `loaded_until`:
    no run judges a change up to then, since a load has read it. `judged`: changes whose grace
    period ended since the last run, except those that webhooks are not subscribed to. `pending`:
    changes that are younger than the grace period.

    By events alone: `late`, `not_subscribed`, `webhook_only`: rows of the ledger that this run
    wrote. `events`: events in the time that this run judged. `latency_p50`, `latency_p95`: their
    seconds from change to commit, None without events. `last_event`: time of the newest event.
    `changes_since_last_event`: changes after it, the first at `first_change_since_last_event`.
    """

    judged_by: JudgedBy = JudgedBy.NOTHING
    not_judged: NotJudged | None = None
    loaded_until: datetime | None = None
    judged: int = 0
    pending: int = 0
    late: int = 0
    not_subscribed: int = 0
    webhook_only: int = 0
    events: int = 0
    latency_p50: float | None = None
    latency_p95: float | None = None
    last_event: datetime | None = None
    changes_since_last_event: int = 0
    first_change_since_last_event: datetime | None = None

    @property
    def is_judged(self) -> bool:
        """Whether the run judged webhooks at all."""
        return self.judged_by is not JudgedBy.NOTHING

    @property
    def text(self) -> str:
        """By what webhooks were judged, or why they were not, for people."""
        return judged_text(self.judged_by, self.not_judged)


@dataclass(frozen=True, slots=True)
class WebhookDay:
    """The changes of one UTC day.

    `late` is a part of `delivered`. The percentiles are seconds from the change to the commit, None
    if unknown.
    """

    day: date
    delivered: int
    late: int
    missed: int
    latency_p50: float | None = None
    latency_p95: float | None = None
    latency_p99: float | None = None

    @property
    def missed_share(self) -> float:
        """Missed changes as a part of all; 0 without changes."""
        changes = self.delivered + self.missed
        return self.missed / changes if changes else 0.0


# The fields of WebhookCounts that are times.
WEBHOOK_TIME_FIELDS = ("loaded_until", "last_event", "first_change_since_last_event")
