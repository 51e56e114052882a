"""What checks are judged by, and what a judgement is. Pure: knows neither Dagster nor a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.settings import Settings


class Severity(StrEnum):
    """WARN: have a look. ERROR: the table may be wrong."""

    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One judgement. `severity` says how bad it is where it did not pass."""

    name: str
    passed: bool
    severity: Severity
    description: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckThresholds:
    """From where on webhooks and the overlap are worth a word; each is a setting."""

    gap_warn_count: int = 1
    gap_error_share: float = 0.2
    gap_error_count: int = 3
    minimum_changes: int = 10
    silence: timedelta = timedelta(hours=1)
    silence_changes: int = 3
    latency_seconds: float = 60.0
    overlap: timedelta = timedelta(minutes=5)

    @classmethod
    def from_settings(cls, settings: Settings) -> CheckThresholds:
        return cls(
            gap_warn_count=settings.webhook_gap_warn_count,
            gap_error_share=settings.webhook_gap_error_share,
            gap_error_count=settings.webhook_gap_error_count,
            minimum_changes=settings.webhook_minimum_changes,
            silence=timedelta(seconds=settings.webhook_silence_seconds),
            silence_changes=settings.webhook_silence_changes,
            latency_seconds=settings.webhook_latency_seconds,
            overlap=settings.overlap,
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is judged: the latest batch, what was counted when it closed, and the state row.

    `facts` None: the batch has not closed yet. `state` None: no run has closed yet.
    """

    manifest: Manifest | None
    facts: RunCounts | None
    state: SyncState | None
    now: datetime
    thresholds: CheckThresholds = CheckThresholds()

    @property
    def latest(self) -> RunCounts | None:
        """The batch's own counts, else those of the last run that closed."""
        return self.facts or (self.state.facts if self.state else None)
