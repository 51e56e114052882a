"""Open incidents and what each channel knows of them. Pure: no clock, no Dagster, no sending.

An incident begins with the first run that reports a problem of a subject and ends with the first
run that reports none. Notices are never queued: what is due is the difference between the current
state and the last notice of a channel. A channel that was down for hours therefore gets the current
state once and not the whole history, and the stored state does not grow with the number of runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from helpdesk_assets.alerts.findings import Finding, RunReport, is_ad_hoc, job_subject
from helpdesk_assets.checks.evidence import Severity

_RANK = {None: 0, Severity.WARN: 1, Severity.ERROR: 2}


class NoticeKind(StrEnum):
    """Why a notice is sent."""

    OPENED = "began"
    ESCALATED = "worse"
    REMINDER = "reminder"
    RESOLVED = "over"
    # The incident ended before its first notice could be sent.
    RESOLVED_UNNOTICED = "passed-by"


@dataclass(frozen=True, slots=True)
class LastNotice:
    """The last notice to one channel. `severity` is None if it reported the end."""

    severity: Severity | None
    at: datetime


@dataclass(frozen=True, slots=True)
class RetryState:
    """State of retries after unclear failures of one channel."""

    attempts: int
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """One problem of one subject, from its first failing run until it is resolved.

    Attributes:
        finding: The finding of the last failing run.
        since: When the first failing run ended.
        seen_at: When the last failing run ended.
        run_id: The last run that touched the incident.
        root_run_id: The root run of the last failing run.
        runs: Number of failing runs. A run and its retries count once.
        resolved_at: When the run that resolved the incident ended; None while it is open.
        uncovered: After a failed run, the assets, partitions and checks that later runs must cover.
        last_notice: The last notice, by channel.
        retry: Pending retries, by channel.
    """

    finding: Finding
    since: datetime
    seen_at: datetime
    run_id: str
    root_run_id: str
    runs: int = 1
    resolved_at: datetime | None = None
    uncovered: frozenset[str] = frozenset()
    last_notice: Mapping[str, LastNotice] = field(default_factory=dict)
    retry: Mapping[str, RetryState] = field(default_factory=dict)

    @property
    def severity(self) -> Severity | None:
        """The current severity; None if the incident is resolved."""
        return None if self.resolved_at else self.finding.severity

    def with_notice(self, channel: str, at: datetime) -> Incident:
        """Records that the channel was notified, or refused the notice for good."""
        last_notice = {**self.last_notice, channel: LastNotice(self.severity, at)}
        return replace(self, last_notice=last_notice, retry=_without(self.retry, channel))

    def with_retry(self, channel: str, retry: RetryState) -> Incident:
        """Schedules the next attempt on the channel."""
        return replace(self, retry={**self.retry, channel: retry})

    def resolution_sent_to(self, channels: Collection[str]) -> bool:
        """Whether the incident is resolved and every channel has been notified of that."""
        return self.resolved_at is not None and all(
            name in self.last_notice and self.last_notice[name].severity is None
            for name in channels
        )


Incidents = Mapping[str, Incident]
EMPTY: Incidents = MappingProxyType({})


def apply(incidents: Incidents, report: RunReport) -> Incidents:
    """Returns the incidents after one run. Runs must be applied in the order of their ends."""
    updated = dict(incidents)
    for finding in report.checks:
        _apply_finding(updated, finding, report)
    if report.failure is not None:
        _apply_finding(updated, report.failure, report, uncovered=report.covers)
    elif report.succeeded:
        for subject, incident in incidents.items():
            if incident.resolved_at is None and (
                subject == job_subject(report.job) or incident.uncovered
            ):
                updated[subject] = _resolve_if_covered(incident, report)
    return updated


def due_notice(
    incident: Incident, channel: str, now: datetime, reminder: timedelta
) -> NoticeKind | None:
    """Returns the notice that is due on a channel, or None.

    Args:
        incident: The incident.
        channel: Name of the channel.
        now: Current time.
        reminder: How long an unchanged incident stays silent.
    """
    retry = incident.retry.get(channel)
    if retry is not None and now < retry.next_attempt_at:
        return None
    last_notice = incident.last_notice.get(channel)
    known = last_notice.severity if last_notice else None
    if incident.resolved_at is not None:
        if last_notice is None:
            return NoticeKind.RESOLVED_UNNOTICED
        return NoticeKind.RESOLVED if known else None
    if last_notice is None or known is None:
        return NoticeKind.OPENED
    if _RANK[incident.severity] > _RANK[known]:
        return NoticeKind.ESCALATED
    return NoticeKind.REMINDER if now - last_notice.at >= reminder else None


def prune(incidents: Incidents, channels: Collection[str], limit: int) -> Incidents:
    """Drops incidents whose end is known to all channels, and notices of removed channels.

    Args:
        incidents: All incidents, by subject.
        channels: Names of the configured channels.
        limit: How many incidents to keep, the most recently seen first. The next failing run of a
            dropped subject opens its incident again.
    """
    retained = {
        subject: replace(
            incident,
            last_notice={
                name: last_notice
                for name, last_notice in incident.last_notice.items()
                if name in channels
            },
            retry={name: retry for name, retry in incident.retry.items() if name in channels},
        )
        for subject, incident in incidents.items()
        if not incident.resolution_sent_to(channels)
    }
    newest = sorted(retained, key=lambda subject: retained[subject].seen_at, reverse=True)[:limit]
    return {subject: retained[subject] for subject in retained if subject in newest}


def _apply_finding(
    updated: dict[str, Incident],
    finding: Finding,
    report: RunReport,
    uncovered: frozenset[str] = frozenset(),
) -> None:
    before = updated.get(finding.subject)
    if before is None or before.resolved_at is not None:
        if finding.severity is not None:
            updated[finding.subject] = _open(before, finding, report, uncovered)
    elif finding.severity is None:
        updated[finding.subject] = replace(
            before, resolved_at=report.ended_at, run_id=report.run_id
        )
    else:
        updated[finding.subject] = replace(
            before,
            finding=finding,
            seen_at=report.ended_at,
            run_id=report.run_id,
            root_run_id=report.root_run_id,
            runs=before.runs + (before.root_run_id != report.root_run_id),
            uncovered=before.uncovered | uncovered,
        )


def _open(
    before: Incident | None, finding: Finding, report: RunReport, uncovered: frozenset[str]
) -> Incident:
    """Opens an incident, also if some channels have not been notified of the last one's end.

    Such a channel still counts as notified. It gets no notice of the time in between.
    """
    return Incident(
        finding=finding,
        since=report.ended_at,
        seen_at=report.ended_at,
        run_id=report.run_id,
        root_run_id=report.root_run_id,
        uncovered=uncovered,
        last_notice=before.last_notice if before else {},
        retry=before.retry if before else {},
    )


def _resolve_if_covered(incident: Incident, report: RunReport) -> Incident:
    """Resolves the incident of a failed run if a successful run makes up for it.

    The run must be of the same job, or successful runs since must have covered everything that the
    failed runs had planned. A run started by hand may select anything, and a run of partitions
    some of them, so for these only coverage counts.
    """
    left = incident.uncovered - report.covers
    same_job = incident.finding.subject == job_subject(report.job)
    repeats = same_job and not is_ad_hoc(report.job) and not report.partitioned
    if repeats or (incident.uncovered and not left):
        return replace(incident, resolved_at=report.ended_at, run_id=report.run_id, uncovered=left)
    return replace(incident, uncovered=left)


def _without(retry: Mapping[str, RetryState], channel: str) -> dict[str, RetryState]:
    return {name: value for name, value in retry.items() if name != channel}
