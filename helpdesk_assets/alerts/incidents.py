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

from helpdesk_assets.alerts.findings import Finding, RunReport, job_subject, put_together
from helpdesk_assets.checks.evidence import Severity

_RANK = {None: 0, Severity.WARN: 1, Severity.ERROR: 2}


class Kind(StrEnum):
    """Why somebody is told."""

    BEGAN = "began"
    WORSE = "worse"
    REMINDER = "reminder"
    OVER = "over"
    # It began and ended before they could be told.
    PASSED_BY = "passed-by"


@dataclass(frozen=True, slots=True)
class Told:
    """What one channel was told last. `severity` None: that it is over."""

    severity: Severity | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Trying:
    """A channel failed to take this episode, and did not say whether it ever will."""

    tries: int
    again_at: datetime


@dataclass(frozen=True, slots=True)
class Episode:
    """`finding` and `seen_at` are of the latest run in which it was not well, `run_id` of the
    latest that had to do with it. `runs` counts a run and its retries once. `waits_for`, of a
    failed run: what has yet to be done by a later one. `told` and `trying` are by channel."""

    finding: Finding
    since: datetime
    seen_at: datetime
    run_id: str
    root_run_id: str
    runs: int = 1
    over_at: datetime | None = None
    waits_for: frozenset[str] = frozenset()
    told: Mapping[str, Told] = field(default_factory=dict)
    trying: Mapping[str, Trying] = field(default_factory=dict)

    @property
    def severity(self) -> Severity | None:
        """How bad it is now; None: over."""
        return None if self.over_at else self.finding.severity

    def now_told(self, channel: str, at: datetime) -> Episode:
        """The channel knows how things are, or will never take it."""
        told = {**self.told, channel: Told(self.severity, at)}
        return replace(self, told=told, trying=_without(self.trying, channel))

    def now_trying(self, channel: str, trying: Trying) -> Episode:
        return replace(self, trying={**self.trying, channel: trying})

    def known_to(self, channels: Collection[str]) -> bool:
        """Whether it is over and everybody knows that."""
        return self.over_at is not None and all(
            name in self.told and self.told[name].severity is None for name in channels
        )


Episodes = Mapping[str, Episode]
NONE: Episodes = MappingProxyType({})


def absorb(episodes: Episodes, report: RunReport) -> Episodes:
    """The episodes after this run. Runs have to come in the order in which they ended."""
    updated = dict(episodes)
    for finding in report.checks:
        _absorb(updated, finding, report)
    if report.failure is not None:
        _absorb(updated, report.failure, report, waits_for=report.covers)
    elif report.succeeded:
        for subject, episode in episodes.items():
            if episode.over_at is None and (
                subject == job_subject(report.job) or episode.waits_for
            ):
                updated[subject] = _made_up_for(episode, report)
    return updated


def due(episode: Episode, channel: str, now: datetime, reminder: timedelta) -> Kind | None:
    """What the channel has to be told of it now, if anything."""
    trying = episode.trying.get(channel)
    if trying is not None and now < trying.again_at:
        return None
    told = episode.told.get(channel)
    known = told.severity if told else None
    if episode.over_at is not None:
        if told is None:
            return Kind.PASSED_BY
        return Kind.OVER if known else None
    if told is None or known is None:
        return Kind.BEGAN
    if _RANK[episode.severity] > _RANK[known]:
        return Kind.WORSE
    return Kind.REMINDER if now - told.at >= reminder else None


def forget(episodes: Episodes, channels: Collection[str], most: int) -> Episodes:
    """Without what is over and known to everybody, and without channels that are no more. Beyond
    `most` the ones seen longest ago go, should ever so many be wrong at once; a run in which one of
    them is still not well brings it back."""
    kept = {
        subject: replace(
            episode,
            told={name: told for name, told in episode.told.items() if name in channels},
            trying={name: trying for name, trying in episode.trying.items() if name in channels},
        )
        for subject, episode in episodes.items()
        if not episode.known_to(channels)
    }
    newest = sorted(kept, key=lambda subject: kept[subject].seen_at, reverse=True)[:most]
    return {subject: kept[subject] for subject in kept if subject in newest}


def _absorb(
    updated: dict[str, Episode],
    finding: Finding,
    report: RunReport,
    waits_for: frozenset[str] = frozenset(),
) -> None:
    before = updated.get(finding.subject)
    if before is None or before.over_at is not None:
        if finding.severity is not None:
            updated[finding.subject] = _begin(before, finding, report, waits_for)
    elif finding.severity is None:
        updated[finding.subject] = replace(before, over_at=report.ended_at, run_id=report.run_id)
    else:
        updated[finding.subject] = replace(
            before,
            finding=finding,
            seen_at=report.ended_at,
            run_id=report.run_id,
            root_run_id=report.root_run_id,
            runs=before.runs + (before.root_run_id != report.root_run_id),
            waits_for=before.waits_for | waits_for,
        )


def _begin(
    before: Episode | None, finding: Finding, report: RunReport, waits_for: frozenset[str]
) -> Episode:
    """A new one; also where the last one's end has not reached everybody yet. Whoever was told of
    its beginning only goes on knowing that, and need not hear that it was well for a while."""
    return Episode(
        finding=finding,
        since=report.ended_at,
        seen_at=report.ended_at,
        run_id=report.run_id,
        root_run_id=report.root_run_id,
        waits_for=waits_for,
        told=before.told if before else {},
        trying=before.trying if before else {},
    )


def _made_up_for(episode: Episode, report: RunReport) -> Episode:
    """A failed run's episode after a good run: over when that was the same job, or when nothing is
    left that the failed run had set out to do. What is put together by hand may be anything, so
    there only the latter counts."""
    left = episode.waits_for - report.covers
    same_job = episode.finding.subject == job_subject(report.job)
    if (same_job and not put_together(report.job)) or (episode.waits_for and not left):
        return replace(episode, over_at=report.ended_at, run_id=report.run_id, waits_for=left)
    return replace(episode, waits_for=left)


def _without(trying: Mapping[str, Trying], channel: str) -> dict[str, Trying]:
    return {name: value for name, value in trying.items() if name != channel}
