"""Reads ended runs out of Dagster's event log and says of each what it found, as plain data.

Asset checks have no sensor of their own in Dagster, and their events no order that can be read on
from: on SQLite, ids count anew in each run's file. The ends of runs have one, so these are followed
and each run is then asked for its checks. Left out, therefore: checks of a run that has not ended,
and verdicts that are reported without any run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import dagster as dg

from helpdesk_assets.alerts.findings import Finding, RunReport, job_subject
from helpdesk_assets.checks.verdicts import Severity
from helpdesk_assets.metadata import TICKET_IDS

ENDS = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
)
TOLD_BY_A_RUN = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
}
PAGE = 25
# A tick ends after 60 s; what is not read now is read by the next one.
READING_SECONDS = 10.0
_ROOT = "dagster/root_run_id"
# How Dagster fails a step because of a check that blocks. The check's own finding says it better.
_BLOCKED = "DagsterAssetCheckFailedError"


@dataclass(frozen=True, slots=True)
class Ours:
    """Which runs and checks are told of: an instance may hold other teams' as well."""

    assets: frozenset[str]
    checks: frozenset[str]
    jobs: frozenset[str]

    @classmethod
    def of(
        cls,
        assets: Iterable[dg.AssetsDefinition],
        jobs: Iterable[Any],
    ) -> Ours:
        """Those of these definitions; checks are assets' definitions too, as Dagster has it."""
        defined = list(assets)
        return cls(
            frozenset(key.to_user_string() for each in defined for key in each.keys),
            frozenset(check_subject(key) for each in defined for key in each.check_keys),
            frozenset(job.name for job in jobs),
        )


def check_subject(key: dg.AssetCheckKey) -> str:
    """`missed_updates.webhook_gaps`."""
    return f"{key.asset_key.to_user_string()}.{key.name}"


def newest(instance: dg.DagsterInstance) -> dict[str, str]:
    """Cursors behind the latest end of each kind: what ended before is never told."""
    return {
        end.value: instance.fetch_run_status_changes(end, limit=1, ascending=False).cursor
        for end in ENDS
    }


def read_on(
    instance: dg.DagsterInstance,
    cursors: Mapping[str, str],
    ours: Ours,
    location: str | None,
    *,
    page: int = PAGE,
    seconds: Callable[[], float] = time.monotonic,
) -> tuple[list[RunReport], dict[str, str]]:
    """Reports of our runs that ended since, in the order of their ends, and the cursors behind
    them. `location` is the sensor's own code location."""
    reports: list[RunReport] = []
    read, more, end = dict(cursors), True, seconds() + READING_SECONDS
    while more and seconds() < end:
        entries, read, more = _next_ends(instance, read, page)
        found = (_report(instance, entry, ours, location) for entry in entries)
        reports.extend(report for report in found if report is not None)
    return reports, read


def _next_ends(
    instance: dg.DagsterInstance, cursors: Mapping[str, str], page: int
) -> tuple[list[dg.EventLogEntry], dict[str, str], bool]:
    """Up to a page of ends of each kind, in order. Where one kind has more than a page, the others
    are read no further than it: a failure of now must not come before a success of then."""
    pages = {
        end: instance.fetch_run_status_changes(
            end, limit=page, cursor=cursors.get(end.value), ascending=True
        )
        for end in ENDS
    }
    full = [found.records[-1].timestamp for found in pages.values() if found.has_more]
    horizon = min(full, default=float("inf"))
    read, entries = dict(cursors), list[dg.EventLogEntry]()
    for end, found in pages.items():
        within = list(takewhile(lambda record: record.timestamp <= horizon, found.records))
        if len(within) == len(found.records):
            read[end.value] = found.cursor
        elif within:
            # Cursors are Dagster's to make: asked for just these, it gives the one behind them.
            again = instance.fetch_run_status_changes(
                end, limit=len(within), cursor=cursors.get(end.value), ascending=True
            )
            read[end.value] = again.cursor
        entries.extend(record.event_log_entry for record in within)
    return sorted(entries, key=lambda entry: entry.timestamp), read, bool(full)


def _report(
    instance: dg.DagsterInstance, end: dg.EventLogEntry, ours: Ours, location: str | None
) -> RunReport | None:
    """None where the run is not ours, or has been deleted meanwhile."""
    run = instance.get_run_by_id(end.run_id)
    if run is None or _elsewhere(run, location):
        return None
    told = _told(instance, run.run_id)
    covers = frozenset(name for name in map(_planned, told) if name)
    covers &= ours.assets | ours.checks
    if not covers and run.job_name not in ours.jobs:
        return None
    event = end.dagster_event
    kind = event.event_type if event else None
    failed = kind is dg.DagsterEventType.RUN_FAILURE
    return RunReport(
        run_id=run.run_id,
        root_run_id=run.tags.get(_ROOT, run.run_id),
        job=run.job_name,
        ended_at=datetime.fromtimestamp(end.timestamp, UTC),
        succeeded=kind is dg.DagsterEventType.RUN_SUCCESS,
        covers=covers,
        checks=tuple(_verdicts(told, ours)),
        failure=_failure(run, event, told, ours) if failed and event else None,
    )


def _told(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    """Not a documented method of the instance, so it is called in this place alone."""
    entries = instance.all_logs(run_id, of_type=TOLD_BY_A_RUN)
    return [entry.dagster_event for entry in entries if entry.dagster_event]


def _elsewhere(run: dg.DagsterRun, location: str | None) -> bool:
    """Whether another code location started it, which may have jobs of the same names. A run that
    was started from a shell has no location."""
    origin = run.remote_job_origin
    return bool(origin and location and origin.location_name != location)


def _planned(event: dg.DagsterEvent) -> str | None:
    if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
        return event.asset_key.to_user_string() if event.asset_key else None
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return check_subject(event.asset_check_planned_data.asset_check_key)
    return None


def _evaluations(
    told: Sequence[dg.DagsterEvent], ours: Ours
) -> Iterable[tuple[dg.DagsterEvent, dg.AssetCheckEvaluation]]:
    for event in told:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if check_subject(evaluation.asset_check_key) in ours.checks:
                yield event, evaluation


def _verdicts(told: Sequence[dg.DagsterEvent], ours: Ours) -> Iterable[Finding]:
    """The last word on each check: a step that is tried again evaluates its checks again."""
    last = {check_subject(e.asset_check_key): e for _, e in _evaluations(told, ours)}
    for subject, evaluation in last.items():
        yield Finding(
            subject,
            None if evaluation.passed else Severity(evaluation.severity.value),
            evaluation.description or "The check did not pass.",
            tuple(_counts(evaluation.metadata)),
            _ticket_ids(evaluation.metadata),
        )


def _failure(
    run: dg.DagsterRun, end: dg.DagsterEvent, told: Sequence[dg.DagsterEvent], ours: Ours
) -> Finding | None:
    """Why the run failed, and which checks gave no verdict because their step crashed; None where
    it failed only because of checks that block, which say it themselves."""
    failed = [event for event in told if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    judged = {event.step_key for event, _ in _evaluations(told, ours)}
    unsaid = [event for event in failed if not (_is_blocked(event) and event.step_key in judged)]
    if failed and not unsaid:
        return None
    reasons = [f"step {event.step_key}: {_reason(event)}" for event in unsaid[:2]]
    crashed = _crashed(told, {event.step_key for event in unsaid})
    text = "The run failed. " + (" ".join(reasons) or end.message or "")
    if crashed:
        text = f"The run failed, and with it crashed {_named(crashed)}. {' '.join(reasons)}"
    return Finding(job_subject(run.job_name), Severity.ERROR, text)


def _crashed(told: Sequence[dg.DagsterEvent], failed_steps: set[str | None]) -> list[str]:
    """Checks that were planned and never evaluated, in a step that failed itself. Those of a step
    that was left out since an earlier one had failed did not crash."""
    planned = [
        event
        for event in told
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
        and event.step_key in failed_steps
    ]
    evaluated = {
        event.asset_check_evaluation_data.asset_check_key
        for event in told
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }
    keys = [event.asset_check_planned_data.asset_check_key for event in planned]
    return sorted({check_subject(key) for key in keys if key not in evaluated})


def _named(checks: Sequence[str]) -> str:
    more = f" and {len(checks) - 3} more" if len(checks) > 3 else ""
    return f"the check{'s' if len(checks) > 1 else ''} {', '.join(checks[:3])}{more}"


def _is_blocked(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == _BLOCKED


def _reason(event: dg.DagsterEvent) -> str:
    """Our own errors say what to do, in one line; of others, the first line of the innermost."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().partition("\n")[0] if error else event.message or ""


def _counts(metadata: Mapping[str, dg.MetadataValue[Any]]) -> Iterable[tuple[str, float]]:
    for name, value in metadata.items():
        is_number = isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        if is_number and value.value is not None:
            yield name, float(value.value)


def _ticket_ids(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[str, ...]:
    stated = metadata[TICKET_IDS].value if TICKET_IDS in metadata else None
    return tuple(map(str, stated)) if isinstance(stated, list) else ()
