"""Moves the watermark as the last step, so a crash before it only repeats work."""

from datetime import UTC, datetime

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import sync_asset
from helpdesk_assets.defs.assets.sync_step import begin_step
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.resources.watermark import WatermarkResource
from helpdesk_assets.defs.run_batch import SyncRun
from helpdesk_assets.errors import UserError
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.warehouse import tables


@sync_asset(
    metadata.SYNC_WATERMARK,
    tables.SYNC_STATE,
    deps=[metadata.TICKETS_TABLE],
    details="Stored as `sync_state`. The watermark belongs to the sync alone and never comes from "
    "rows that webhooks write. It moves only forwards, only over a window that was read whole, "
    "and only after the window's tickets are in the table.",
)
def sync_watermark(
    context: dg.AssetExecutionContext, watermark: WatermarkResource
) -> dg.MaterializeResult[None]:
    """Commits the run's batch, once it is merged."""
    now = datetime.now(UTC)
    with as_failure():
        sync_run = begin_step(context, metadata.SYNC_WATERMARK, tables.SYNC_STATE)
        settings = watermark.bigquery.settings()
        manifest = sync_run.batch(settings)
        require_merged(sync_run, manifest)
        committed = watermark.commit_run(manifest, attempt=context.retry_number)
    jobs = sync_run.job_counts(manifest.batch_id)
    for name in metadata.JOB_COUNTS:
        jobs[name] += getattr(committed.use, name)
    return dg.MaterializeResult(
        metadata=metadata.committed(
            manifest, committed.facts, committed.state, jobs, now, settings.bigquery_price_per_tib
        )
    )


def require_merged(sync_run: SyncRun, manifest: Manifest) -> None:
    """Checks that tickets_table has merged the batch.

    A watermark that moved past an unmerged batch would hide its changes from every later run.

    Raises:
        UserError: the batch is not in the tickets table yet.
    """
    if sync_run.step_metadata(metadata.TICKETS_TABLE, manifest.batch_id) is None:
        raise UserError(
            f"Batch {manifest.batch_id} has not been merged: neither run {sync_run.run.run_id} nor "
            "a run that it re-executes has materialised tickets_table with it. Materialise "
            "missed_updates and tickets_table in the same run. The watermark has not moved."
        )
