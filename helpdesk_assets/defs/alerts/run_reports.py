"""Turns one ended Dagster run into plain data.

A report says which checks passed, failed or crashed, and why the run failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from helpdesk_assets.alerts.findings import Finding, RunReport, job_subject, partition_subject
from helpdesk_assets.checks.evidence import Severity
from helpdesk_assets.defs.metadata import TICKET_IDS
from helpdesk_assets.defs.sync_identity import is_of_other_sync

REPORTED_EVENT_TYPES = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
}
_ROOT_RUN_TAG = "dagster/root_run_id"
# Dagster fails a step with this error if a blocking check fails. The check's finding says more.
_BLOCKING_CHECK_ERROR = "DagsterAssetCheckFailedError"


@dataclass(frozen=True, slots=True)
class AlertScope:
    """Which runs and checks are reported. An instance may also run other teams' definitions.

    Attributes:
        assets: Asset keys.
        checks: Checks, as `asset.check`.
        jobs: Job names.
    """

    assets: frozenset[str]
    checks: frozenset[str]
    jobs: frozenset[str]

    @classmethod
    def of(
        cls,
        assets: Iterable[dg.AssetsDefinition],
        jobs: Iterable[Any],
    ) -> AlertScope:
        """Builds the scope of these definitions. Checks are `AssetsDefinition`s in Dagster too."""
        defined = list(assets)
        return cls(
            frozenset(key.to_user_string() for each in defined for key in each.keys),
            frozenset(check_subject(key) for each in defined for key in each.check_keys),
            frozenset(job.name for job in jobs),
        )


def check_subject(key: dg.AssetCheckKey) -> str:
    """The name of a check in messages, such as `missed_updates.webhook_gaps`."""
    return f"{key.asset_key.to_user_string()}.{key.name}"


@dataclass(frozen=True, slots=True)
class Watcher:
    """Whose runs a sensor reports: those of this scope, code location and sync.

    Attributes:
        scope: Which runs and checks to report.
        location: The sensor's own code location; None if unknown.
        sync: The tag of the sensor's own sync; None if the settings cannot be read.
    """

    scope: AlertScope
    location: str | None = None
    sync: str | None = None


def build_report(
    instance: dg.DagsterInstance, end: dg.EventLogEntry, watcher: Watcher
) -> RunReport | None:
    """Builds the report of one ended run.

    Args:
        instance: Dagster's instance.
        end: The event that ended the run.
        watcher: Whose runs to report.

    Returns:
        The report, or None if the run is out of scope or has been deleted since.
    """
    scope = watcher.scope
    run = instance.get_run_by_id(end.run_id)
    if run is None or is_of_other_sync(instance, run, watcher.sync, watcher.location):
        return None
    events = _run_events(instance, run.run_id)
    planned = {name for name in map(_planned_subject, events) if name}
    covers = planned & (scope.assets | scope.checks)
    if not covers and run.job_name not in scope.jobs:
        return None
    partitions = _planned_partitions(events, scope)
    event = end.dagster_event
    kind = event.event_type if event else None
    failed = kind is dg.DagsterEventType.RUN_FAILURE
    return RunReport(
        run_id=run.run_id,
        root_run_id=run.tags.get(_ROOT_RUN_TAG, run.run_id),
        job=run.job_name,
        ended_at=datetime.fromtimestamp(end.timestamp, UTC),
        succeeded=kind is dg.DagsterEventType.RUN_SUCCESS,
        covers=frozenset(covers - {asset for asset, _ in partitions})
        | {partition_subject(*partition) for partition in partitions},
        partitioned=bool(partitions),
        checks=tuple(_check_findings(events, scope)),
        failure=_failure_finding(run, event, events, scope) if failed and event else None,
    )


def _run_events(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    # Dagster does not document `all_logs`.
    entries = instance.all_logs(run_id, of_type=REPORTED_EVENT_TYPES)
    return [entry.dagster_event for entry in entries if entry.dagster_event]


def _planned_subject(event: dg.DagsterEvent) -> str | None:
    if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
        return event.asset_key.to_user_string() if event.asset_key else None
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return check_subject(event.asset_check_planned_data.asset_check_key)
    return None


def _planned_partitions(
    events: Iterable[dg.DagsterEvent], scope: AlertScope
) -> list[tuple[str, str]]:
    """Returns the partitions that the run planned, as (asset in scope, partition)."""
    found: list[tuple[str, str]] = []
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            planned = event.asset_materialization_planned_data
            asset, subset = planned.asset_key.to_user_string(), planned.partitions_subset
            partitions = [planned.partition] if planned.partition else []
            partitions += subset.get_partition_keys() if subset else []
            found += [(asset, partition) for partition in partitions if asset in scope.assets]
    return found


def _check_evaluations(
    events: Sequence[dg.DagsterEvent], scope: AlertScope
) -> Iterable[tuple[dg.DagsterEvent, dg.AssetCheckEvaluation]]:
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if check_subject(evaluation.asset_check_key) in scope.checks:
                yield event, evaluation


def _check_findings(events: Sequence[dg.DagsterEvent], scope: AlertScope) -> Iterable[Finding]:
    """Yields the last evaluation of each check. A retried step evaluates its checks again."""
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
    """Says why the run failed, and which checks have no result because their step crashed.

    Returns None if the run failed only because of blocking checks, which have their own findings.
    """
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
    failed_text = f"{_run_text(events, scope)} failed."
    text = f"{failed_text} {' '.join(reasons) or end.message or ''}"
    if crashed:
        text = f"{failed_text} Without a result: {_checks_text(crashed)}. {' '.join(reasons)}"
    return Finding(job_subject(run.job_name), Severity.ERROR, text)


def _run_text(events: Sequence[dg.DagsterEvent], scope: AlertScope) -> str:
    # A subset of partitions may have no order of its own.
    planned = sorted(partition for _, partition in _planned_partitions(events, scope))
    if not planned:
        return "The run"
    return f"The run of {planned[0]}" + (f" to {planned[-1]}" if len(planned) > 1 else "")


def _crashed_checks(events: Sequence[dg.DagsterEvent], failed_steps: set[str | None]) -> list[str]:
    """Returns the checks that a failed step planned and never evaluated.

    Checks of a step that was skipped because an earlier one failed did not crash.
    """
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
    """Returns the description of our own failures, else the first line of the innermost error."""
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
