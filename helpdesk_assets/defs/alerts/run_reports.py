"""What one ended run of Dagster says, as plain data: which checks passed and which did not, which
crashed, and why the run failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from helpdesk_assets.alerts.findings import Finding, RunReport, job_subject
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.defs.metadata import TICKET_IDS

REPORTED_EVENT_TYPES = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
}
_ROOT_RUN_TAG = "dagster/root_run_id"
# How Dagster fails a step because of a check that blocks. The check's own finding says it better.
_BLOCKING_CHECK_ERROR = "DagsterAssetCheckFailedError"


@dataclass(frozen=True, slots=True)
class AlertScope:
    """Which runs and checks are told of: an instance may hold other teams' as well."""

    assets: frozenset[str]
    checks: frozenset[str]
    jobs: frozenset[str]

    @classmethod
    def of(
        cls,
        assets: Iterable[dg.AssetsDefinition],
        jobs: Iterable[Any],
    ) -> AlertScope:
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


def build_report(
    instance: dg.DagsterInstance, end: dg.EventLogEntry, scope: AlertScope, location: str | None
) -> RunReport | None:
    """None where the run is not ours, or has been deleted meanwhile."""
    run = instance.get_run_by_id(end.run_id)
    if run is None or _is_other_location(run, location):
        return None
    events = _run_events(instance, run.run_id)
    covers = frozenset(name for name in map(_planned_subject, events) if name)
    covers &= scope.assets | scope.checks
    if not covers and run.job_name not in scope.jobs:
        return None
    event = end.dagster_event
    kind = event.event_type if event else None
    failed = kind is dg.DagsterEventType.RUN_FAILURE
    return RunReport(
        run_id=run.run_id,
        root_run_id=run.tags.get(_ROOT_RUN_TAG, run.run_id),
        job=run.job_name,
        ended_at=datetime.fromtimestamp(end.timestamp, UTC),
        succeeded=kind is dg.DagsterEventType.RUN_SUCCESS,
        covers=covers,
        checks=tuple(_check_findings(events, scope)),
        failure=_failure_finding(run, event, events, scope) if failed and event else None,
    )


def _run_events(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    """Not a documented method of the instance, so it is called in this place alone."""
    entries = instance.all_logs(run_id, of_type=REPORTED_EVENT_TYPES)
    return [entry.dagster_event for entry in entries if entry.dagster_event]


def _is_other_location(run: dg.DagsterRun, location: str | None) -> bool:
    """Whether another code location started it, which may have jobs of the same names. A run that
    was started from a shell has no location."""
    origin = run.remote_job_origin
    return bool(origin and location and origin.location_name != location)


def _planned_subject(event: dg.DagsterEvent) -> str | None:
    if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
        return event.asset_key.to_user_string() if event.asset_key else None
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return check_subject(event.asset_check_planned_data.asset_check_key)
    return None


def _check_evaluations(
    events: Sequence[dg.DagsterEvent], scope: AlertScope
) -> Iterable[tuple[dg.DagsterEvent, dg.AssetCheckEvaluation]]:
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if check_subject(evaluation.asset_check_key) in scope.checks:
                yield event, evaluation


def _check_findings(events: Sequence[dg.DagsterEvent], scope: AlertScope) -> Iterable[Finding]:
    """The last word on each check: a step that is tried again evaluates its checks again."""
    last = {check_subject(e.asset_check_key): e for _, e in _check_evaluations(events, scope)}
    for subject, evaluation in last.items():
        yield Finding(
            subject,
            None if evaluation.passed else Severity(evaluation.severity.value),
            evaluation.description or "The check did not pass.",
            tuple(_numeric_metadata(evaluation.metadata)),
            _ticket_ids(evaluation.metadata),
        )


def _failure_finding(
    run: dg.DagsterRun, end: dg.DagsterEvent, events: Sequence[dg.DagsterEvent], scope: AlertScope
) -> Finding | None:
    """Why the run failed, and which checks gave no verdict because their step crashed; None where
    it failed only because of checks that block, which say it themselves."""
    failed = [event for event in events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    evaluated_steps = {event.step_key for event, _ in _check_evaluations(events, scope)}
    unreported = [
        event
        for event in failed
        if not (_is_blocked_by_check(event) and event.step_key in evaluated_steps)
    ]
    if failed and not unreported:
        return None
    reasons = [f"step {event.step_key}: {_error_text(event)}" for event in unreported[:2]]
    crashed = _crashed_checks(events, {event.step_key for event in unreported})
    text = "The run failed. " + (" ".join(reasons) or end.message or "")
    if crashed:
        text = f"The run failed, and with it crashed {_checks_text(crashed)}. {' '.join(reasons)}"
    return Finding(job_subject(run.job_name), Severity.ERROR, text)


def _crashed_checks(events: Sequence[dg.DagsterEvent], failed_steps: set[str | None]) -> list[str]:
    """Checks that were planned and never evaluated, in a step that failed itself. Those of a step
    that was left out since an earlier one had failed did not crash."""
    planned = [
        event
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
        and event.step_key in failed_steps
    ]
    evaluated = {
        event.asset_check_evaluation_data.asset_check_key
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }
    keys = [event.asset_check_planned_data.asset_check_key for event in planned]
    return sorted({check_subject(key) for key in keys if key not in evaluated})


def _checks_text(checks: Sequence[str]) -> str:
    more = f" and {len(checks) - 3} more" if len(checks) > 3 else ""
    return f"the check{'s' if len(checks) > 1 else ''} {', '.join(checks[:3])}{more}"


def _is_blocked_by_check(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == _BLOCKING_CHECK_ERROR


def _error_text(event: dg.DagsterEvent) -> str:
    """Our own errors say what to do, in one line; of others, the first line of the innermost."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().partition("\n")[0] if error else event.message or ""


def _numeric_metadata(metadata: Mapping[str, dg.MetadataValue[Any]]) -> Iterable[tuple[str, float]]:
    for name, value in metadata.items():
        is_number = isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        if is_number and value.value is not None:
            yield name, float(value.value)


def _ticket_ids(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[str, ...]:
    listed = metadata[TICKET_IDS].value if TICKET_IDS in metadata else None
    return tuple(map(str, listed)) if isinstance(listed, list) else ()
