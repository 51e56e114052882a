"""Runs all checks of the sync as one step after it.

One step and not one per check: with other executors, each step costs a process.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from helpdesk_assets.checks import tables
from helpdesk_assets.checks.evidence import CheckThresholds, Evidence
from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.checks.results import to_dagster_result
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.watermark import WatermarkResource
from helpdesk_assets.defs.run_batch import SyncRun
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.codec import run_counts_from_json
from helpdesk_assets.model.state import RunCounts, SyncState
from helpdesk_assets.settings import load_settings

# By check: the asset that it belongs to, and its description.
CHECKS: Mapping[str, tuple[str, str]] = {
    "webhook_gaps": (
        metadata.MISSED_UPDATES,
        "Did webhooks deliver every change? ERROR above a share of WEBHOOK_GAP_ERROR_SHARE.",
    ),
    "webhook_silence": (
        metadata.MISSED_UPDATES,
        "Do events reach the receiver at all while tickets change?",
    ),
    "webhook_latency": (
        metadata.MISSED_UPDATES,
        "Do 95% of webhooks reach the table within WEBHOOK_LATENCY_SECONDS?",
    ),
    "overlap_too_small": (
        metadata.RAW_TICKET_CHANGES,
        "Does polling find changes well before its window has moved past them?",
    ),
    "no_fallback": (metadata.RAW_TICKET_CHANGES, "Did the change endpoint answer?"),
    "read_whole": (
        metadata.RAW_TICKET_CHANGES,
        "Is every fetched ticket accounted for in the table?",
    ),
    "table_shrank": (
        metadata.TICKETS_TABLE,
        "Do the tables still hold all that earlier runs have written?",
    ),
    "one_row_per_ticket": (metadata.TICKETS_TABLE, "Does every ticket have only one row?"),
    "no_null_keys_or_times": (
        metadata.TICKETS_TABLE,
        "Does every row have its id and its modified time?",
    ),
    "no_time_in_the_future": (
        metadata.TICKETS_TABLE,
        "Are all rows dated before the helpdesk's current time?",
    ),
    "watermark_fresh": (
        metadata.SYNC_WATERMARK,
        "Is the watermark at most two ticks of the schedule old?",
    ),
}


def _check_spec(name: str) -> dg.AssetCheckSpec:
    asset, question = CHECKS[name]
    # Every check waits for sync_watermark, because that step counts what the checks judge.
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
    """Evaluates all checks and yields those that were selected."""
    selected = {key.name: key for key in context.selected_asset_check_keys}
    prefix = tuple(next(iter(selected.values())).asset_key.path[:-1])
    with as_failure():
        evidence = collect_evidence(SyncRun(context.instance, context.run, prefix), watermark)
    for check_result in tables.evaluate_checks(evidence):
        if check_result.name in selected:
            yield to_dagster_result(check_result, selected[check_result.name].asset_key)


def collect_evidence(sync_run: SyncRun, watermark: WatermarkResource) -> Evidence:
    """Collects the run's batch and the state row. Costs two reads and no query job.

    Args:
        sync_run: The current run.
        watermark: Reads the state row.
    """
    state = watermark.read()
    judged = _judged_run(sync_run, state)
    manifest = judged.batch(watermark.bigquery.settings())
    return Evidence(
        manifest=manifest,
        facts=_batch_counts(judged, manifest, state),
        state=state,
        now=datetime.now(UTC),
        thresholds=CheckThresholds.from_settings(load_settings()),
    )


def _judged_run(sync_run: SyncRun, state: SyncState | None) -> SyncRun:
    """Returns the run or, if its checks run without a batch, the run that closed last."""
    if state is None or state.run_id is None or sync_run.find_batch() is not None:
        return sync_run
    closed = sync_run.instance.get_run_by_id(state.run_id)
    return replace(sync_run, run=closed) if closed else sync_run


def _batch_counts(
    sync_run: SyncRun, manifest: Manifest, state: SyncState | None
) -> RunCounts | None:
    """Returns what was counted when the batch was committed.

    The metadata of its sync_watermark also say what the run did about what it had counted. Until
    they are stored, the counts of the state row serve.
    """
    batch_values = sync_run.step_metadata(metadata.SYNC_WATERMARK, manifest.batch_id)
    if batch_values:
        return run_counts_from_json(batch_values[metadata.FACTS])
    return state.facts if state is not None and state.run_id == manifest.run_id else None
