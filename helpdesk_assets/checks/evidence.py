"""The input and the result of a check. Pure: knows neither Dagster nor a client."""

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
    """WARN: worth a look. ERROR: the table may be wrong."""

    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: The check's name.
        passed: Whether the check passed.
        severity: How bad it is if the check did not pass.
        description: One to three sentences for people: what was found and what to do.
        facts: The numbers behind it, by metadata key.
    """

    name: str
    passed: bool
    severity: Severity
    description: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckThresholds:
    """From which values on a check fails. Each is a setting."""

    gap_warn_count: int = 1
    gap_error_share: float = 0.2
    gap_error_count: int = 3
    minimum_changes: int = 10
    silence: timedelta = timedelta(hours=1)
    silence_changes: int = 3
    latency_seconds: float = 60.0
    overlap: timedelta = timedelta(minutes=5)
    grace: timedelta = timedelta(minutes=5)

    @classmethod
    def from_settings(cls, settings: Settings) -> CheckThresholds:
        """Reads the thresholds from the settings."""
        return cls(
            gap_warn_count=settings.webhook_gap_warn_count,
            gap_error_share=settings.webhook_gap_error_share,
            gap_error_count=settings.webhook_gap_error_count,
            minimum_changes=settings.webhook_minimum_changes,
            silence=timedelta(seconds=settings.webhook_silence_seconds),
            silence_changes=settings.webhook_silence_changes,
            latency_seconds=settings.webhook_latency_seconds,
            overlap=settings.overlap,
            grace=settings.grace,
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks of a run are based on.

    Attributes:
        manifest: The latest batch; None if nothing was ever fetched.
        facts: What was counted when the batch was committed; None before that.
        state: The state row; None before the first run is committed.
        now: Current time, UTC.
        thresholds: From which values on a check fails.
    """

    manifest: Manifest | None
    facts: RunCounts | None
    state: SyncState | None
    now: datetime
    thresholds: CheckThresholds = CheckThresholds()

    @property
    def latest(self) -> RunCounts | None:
        """The counts of this batch, else those of the last committed run."""
        return self.facts or (self.state.facts if self.state else None)
