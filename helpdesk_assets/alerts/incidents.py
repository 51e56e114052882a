"""What is wrong at present and who knows of it. Pure: no clock, no Dagster, nothing is sent.

An episode begins with the first run in which a subject is not well and ends with the first in which
it is. What somebody has to be told is never queued: it is the difference between how things are and
what they were told last. So a receiver that was away for hours hears the present state once and not
the whole history, and what has to be remembered does not grow with the number of runs.
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
    """Why somebody is told."""

    OPENED = "began"
    ESCALATED = "worse"
    REMINDER = "reminder"
    RESOLVED = "over"
    # It began and ended before they could be told.
    RESOLVED_UNNOTICED = "passed-by"


@dataclass(frozen=True, slots=True)
class LastNotice:
    """What one channel was told last. `severity` None: that it is over."""

    severity: Severity | None
    at: datetime


@dataclass(frozen=True, slots=True)
class RetryState:
    """A channel failed to take this episode, and did not say whether it ever will."""

    attempts: int
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """`finding` and `seen_at` are of the latest run in which it was not well, `run_id` of the
    latest that had to do with it. `runs` counts a run and its retries once. `uncovered`, of a
    failed run: what has yet to be done by a later one. `last_notice` and `retry` are by channel."""

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
        """How bad it is now; None: over."""
        return None if self.resolved_at else self.finding.severity

    def with_notice(self, channel: str, at: datetime) -> Incident:
        """The channel knows how things are, or will never take it."""
        last_notice = {**self.last_notice, channel: LastNotice(self.severity, at)}
        return replace(self, last_notice=last_notice, retry=_without(self.retry, channel))

    def with_retry(self, channel: str, retry: RetryState) -> Incident:
        return replace(self, retry={**self.retry, channel: retry})

    def resolution_sent_to(self, channels: Collection[str]) -> bool:
        """Whether it is over and everybody knows that."""
        return self.resolved_at is not None and all(
            name in self.last_notice and self.last_notice[name].severity is None
            for name in channels
        )


Incidents = Mapping[str, Incident]
EMPTY: Incidents = MappingProxyType({})


def apply(incidents: Incidents, report: RunReport) -> Incidents:
    """The episodes after this run. Runs have to come in the order in which they ended."""
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
    """What the channel has to be told of it now, if anything."""
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
    """Without what is over and known to everybody, and without channels that are no more. Beyond
    `limit` the ones seen longest ago go, should ever so many be wrong at once; a run in which one
    of them is still not well brings it back."""
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
    """A new one; also where the last one's end has not reached everybody yet. Whoever was told of
    its beginning only goes on knowing that, and need not hear that it was well for a while."""
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
    """A failed run's episode after a good run: over when that was the same job, or when nothing is
    left that the failed run had set out to do. What is put together by hand may be anything, so
    there only the latter counts."""
    left = incident.uncovered - report.covers
    same_job = incident.finding.subject == job_subject(report.job)
    if (same_job and not is_ad_hoc(report.job)) or (incident.uncovered and not left):
        return replace(incident, resolved_at=report.ended_at, run_id=report.run_id, uncovered=left)
    return replace(incident, uncovered=left)


def _without(retry: Mapping[str, RetryState], channel: str) -> dict[str, RetryState]:
    return {name: value for name, value in retry.items() if name != channel}
