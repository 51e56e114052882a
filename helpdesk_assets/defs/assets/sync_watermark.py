"""Moves the watermark as the last step, so a crash before it only repeats work."""

from datetime import UTC, datetime

import dagster as dg

from helpdesk_assets.defs import metadata
from helpdesk_assets.defs.assets.factory import sync_asset
from helpdesk_assets.defs.failures import as_failure
from helpdesk_assets.defs.latest_batch import batch_job_counts, batch_metadata, latest_batch
from helpdesk_assets.defs.resources.watermark import WatermarkResource
from helpdesk_assets.errors import UserError
from helpdesk_assets.model.batch import Manifest
from helpdesk_assets.model.state import RunCounts
from helpdesk_assets.warehouse import tables


@sync_asset(
    "sync_watermark",
    tables.SYNC_STATE,
    deps=[metadata.TICKETS_TABLE],
    details="Stored as `sync_state`. The watermark belongs to the sync alone and never comes from "
    "rows that webhooks write. It moves only forwards, only over a window that was read whole, "
    "and only after the window's tickets are in the table.",
)
def sync_watermark(
    context: dg.AssetExecutionContext, watermark: WatermarkResource
) -> dg.MaterializeResult[None]:
    """Commits the latest batch, once it is merged."""
    now = datetime.now(UTC)
    with as_failure():
        manifest = latest_batch(context.instance, context.run)
        if manifest is None:
            result_metadata = metadata.committed(None, RunCounts(), watermark.read(), {}, now)
            return dg.MaterializeResult(metadata=result_metadata)
        require_merged(context.instance, manifest)
        committed = watermark.commit_run(manifest, attempt=context.retry_number)
    jobs = batch_job_counts(context.instance, manifest.batch_id)
    for name in metadata.JOB_COUNTS:
        jobs[name] += getattr(committed.use, name)
    return dg.MaterializeResult(
        metadata=metadata.committed(manifest, committed.facts, committed.state, jobs, now)
    )


def require_merged(instance: dg.DagsterInstance, manifest: Manifest) -> None:
    """Checks that tickets_table has merged the batch.

    A watermark that moved past an unmerged batch would hide its changes from every later run.

    Raises:
        UserError: the batch is not in the tickets table yet.
    """
    if batch_metadata(instance, metadata.TICKETS_TABLE, manifest.batch_id) is None:
        raise UserError(
            f"Batch {manifest.batch_id} has not been merged: the latest materialisation of "
            "tickets_table is of another batch. Materialise missed_updates and tickets_table "
            "first, then sync_watermark."
        )
