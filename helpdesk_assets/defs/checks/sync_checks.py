"""All checks as one step after the sync: under other executors each step costs a process."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import dagster as dg

from helpdesk_assets.checks import tables
from helpdesk_assets.checks.evidence import CheckResult, CheckThresholds, Evidence
from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.latest_batch import batch_metadata, latest_batch
from helpdesk_assets.defs.resources.watermark import WatermarkResource
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import run_counts_from_json
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.settings import load_settings

# Check -> (its asset, what it asks).
CHECKS: Mapping[str, tuple[str, str]] = {
    "webhook_gaps": (
        metadata.MISSED_UPDATES,
        "Did webhooks deliver every change? An error above WEBHOOK_GAP_ERROR_SHARE of the changes.",
    ),
    "webhook_silence": (
        metadata.MISSED_UPDATES,
        "Does the receiver hear of changes at all? Not if they came and no event did.",
    ),
    "webhook_latency": (
        metadata.MISSED_UPDATES,
        "Are changes in the table soon? 95 of 100 within WEBHOOK_LATENCY_SECONDS.",
    ),
    "overlap_too_small": (
        metadata.RAW_TICKET_CHANGES,
        "Does polling find changes well before its windows have passed them?",
    ),
    "no_fallback": (metadata.RAW_TICKET_CHANGES, "Did the change endpoint answer?"),
    "read_whole": (
        metadata.RAW_TICKET_CHANGES,
        "Is every ticket that was fetched accounted for in the table?",
    ),
    "one_row_per_ticket": (metadata.TICKETS_TABLE, "Does no ticket have two rows?"),
    "no_null_keys_or_times": (metadata.TICKETS_TABLE, "Has every row its id and its time?"),
    "no_time_in_the_future": (
        metadata.TICKETS_TABLE,
        "Is no row dated ahead of the helpdesk's clock?",
    ),
    "watermark_fresh": (metadata.SYNC_WATERMARK, "Is the watermark at most two ticks old?"),
}


def _check_spec(name: str) -> dg.AssetCheckSpec:
    asset, question = CHECKS[name]
    # Every check waits for the watermark, since it is judged by what is counted there.
    last = [] if asset == metadata.SYNC_WATERMARK else [metadata.SYNC_WATERMARK]
    return dg.AssetCheckSpec(name, asset=asset, description=question, additional_deps=last)


@dg.multi_asset_check(
    name="sync_checks",
    specs=[_check_spec(name) for name in CHECKS],
    can_subset=True,
    pool="helpdesk_sync",
)
def sync_checks(
    context: dg.AssetCheckExecutionContext, watermark: WatermarkResource
) -> Iterator[dg.AssetCheckResult]:
    with as_failure():
        evidence = collect_evidence(context.instance, context.run, watermark)
    for check_result in tables.evaluate_checks(evidence):
        key = dg.AssetCheckKey(dg.AssetKey(CHECKS[check_result.name][0]), check_result.name)
        if key in context.selected_asset_check_keys:
            yield to_dagster_result(key, check_result)


def collect_evidence(
    instance: dg.DagsterInstance, run: dg.DagsterRun, watermark: WatermarkResource
) -> Evidence:
    """The latest batch and the state row. Two reads, no query job."""
    manifest = latest_batch(instance, run)
    state = watermark.read()
    return Evidence(
        manifest=manifest,
        facts=_batch_counts(instance, manifest, state),
        state=state,
        now=datetime.now(UTC),
        thresholds=CheckThresholds.from_settings(load_settings()),
    )


def to_dagster_result(key: dg.AssetCheckKey, check_result: CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=check_result.passed,
        severity=dg.AssetCheckSeverity(check_result.severity.value),
        description=check_result.description,
        metadata=metadata.check_metadata(check_result.facts),
    )


def _batch_counts(
    instance: dg.DagsterInstance, manifest: Manifest | None, state: SyncState | None
) -> RunCounts | None:
    """What was counted when the batch closed: in the state row, except for a run over a range,
    which leaves that row alone."""
    if manifest is None:
        return None
    if state is not None and state.run_id == manifest.run_id:
        return state.facts
    batch_values = batch_metadata(instance, metadata.SYNC_WATERMARK, manifest.batch_id)
    return run_counts_from_json(batch_values[metadata.FACTS]) if batch_values else None
